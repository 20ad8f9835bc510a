from dataclasses import replace

import pytest

from embedding_assets.experiments.plan import (
    PLANS,
    ExperimentPlan,
    Metric,
    PlanError,
    Variant,
    plan_of,
    require_valid,
)

FIELDS = {
    "id": "apps",
    "variants": [{"name": "old", "weight": 70}, {"name": "new", "weight": 30}],
    "metrics": [
        {"name": "refunds", "kind": "rate", "direction": "down", "guard": True},
        {"name": "clicks", "kind": "rate"},
    ],
}
PLAN = plan_of(FIELDS)


def test_a_plan_is_read_with_its_defaults():
    assert PLAN == ExperimentPlan(
        id="apps",
        variants=(Variant("old", 70), Variant("new", 30)),
        metrics=(Metric("refunds", "rate", "down", guard=True), Metric("clicks", "rate")),
    )
    assert PLAN.control.name == "old"
    assert PLAN.primary.name == "clicks"
    assert PLAN.slots == 10_000


def test_a_plan_comes_back_from_json():
    assert PLANS.validate_json(PLANS.dump_json(PLAN)) == PLAN


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"colour": "red"}, "'colour' is no field"),
        ({"alpha": "small"}, "alpha"),
        ({"variants": [{"name": "old", "weight": True}]}, r"variants\.0\.weight"),
        ({"variants": [{"name": "old", "weight": 1.5}]}, r"variants\.0\.weight"),
        ({"metrics": [{"name": "clicks", "kind": "median"}]}, r"metrics\.0\.kind"),
        ({"endpoint": "embed"}, "endpoint"),
    ],
    ids=str,
)
def test_wrong_fields_are_named(fields, named):
    with pytest.raises(PlanError, match=named):
        plan_of({**FIELDS, **fields})


@pytest.mark.parametrize("fields", [[], None, "plan", {}, {"id": {1, 2}}], ids=str)
def test_what_is_no_plan_is_refused(fields):
    with pytest.raises(PlanError):
        plan_of(fields)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"id": "Apps"}, "id = 'Apps'"),
        ({"id": ""}, "id = ''"),
        ({"id": "../apps"}, "id ="),
        ({"layer": "a b"}, "layer = 'a b'"),
        ({"share": 0.0}, "share = 0.0"),
        ({"share": 1.01}, "share = 1.01"),
        ({"share": float("nan")}, "share = nan"),
        ({"alpha": 0.0}, "alpha = 0.0"),
        ({"minimum_units": 1}, "minimum_units = 1"),
        ({"minimum_days": -1.0}, "minimum_days = -1.0"),
        ({"maximum_days": 6.0}, "maximum_days = 6.0"),
        ({"attribution_seconds": 0.0}, "attribution_seconds = 0.0"),
        ({"attribution_seconds": float("inf")}, "attribution_seconds = inf"),
        ({"indifference": 0.0}, "indifference = 0.0"),
        ({"hypothesis": "x" * 2_001}, "hypothesis"),
        ({"variants": (Variant("old", 1),)}, "1 variants"),
        ({"variants": (Variant("old", 1), Variant("old", 1))}, "two variants are called 'old'"),
        ({"variants": (Variant("old", 0), Variant("new", 1))}, "weight 0"),
        ({"variants": (Variant("a b", 1), Variant("new", 1))}, "variant 'a b'"),
        ({"endpoint": "search"}, "setting '' is no search mode"),
        ({"endpoint": "find-similar"}, "setting '' is no model version"),
        ({"metrics": (Metric("clicks", "rate", guard=True),)}, "one must not be a guard"),
        ({"metrics": ()}, "one must not be a guard"),
        ({"metrics": (Metric("m", "rate"), Metric("m", "mean"))}, "two metrics are called 'm'"),
        ({"metrics": (Metric("m", "rate", margin=0.1),)}, r"margin 0\.1 is for guards"),
        ({"metrics": (Metric("latency", "mean"), Metric("m", "rate"))}, "'latency' is observed"),
        (
            {
                "metrics": (Metric("latency", "mean"), Metric("m", "rate")),
                "endpoint": "search",
                "variants": (Variant("a", 1, "keyword"), Variant("b", 1, "hybrid")),
            },
            "a guard, of kind 'mean', 'down'",
        ),
        ({"minimum_units": 10**400}, "minimum_units"),
    ],
    ids=str,
)
def test_what_cannot_be_run_is_named(change, named):
    with pytest.raises(PlanError, match=named):
        require_valid(replace(PLAN, **change))


def test_all_faults_are_named_at_once():
    with pytest.raises(PlanError, match=r"id = .*alpha = "):
        require_valid(replace(PLAN, id="", alpha=2.0))
