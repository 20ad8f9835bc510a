from datetime import date, timedelta

import pytest

from embedding_assets.embedding.encoder import HashingEncoder
from embedding_assets.embedding.store import VectorStore
from embedding_assets.records.plan import DayState, TextChanges, measured_speed
from embedding_assets_tests.records.shop import Shop, row


@pytest.fixture(scope="module")
def ran_once(tmp_path_factory):
    """The shop after a run."""
    shop = stocked(tmp_path_factory.mktemp("shop"))
    shop.run()
    return shop


@pytest.fixture
def shop(tmp_path):
    return stocked(tmp_path)


@pytest.fixture
def ran(ran_once, tmp_path):
    return ran_once.copy(tmp_path)


def stocked(tmp_path):
    shop = Shop(tmp_path)
    shop.put("ada.parquet", *(row("ada", f"Dish {n}", f"2025-03-0{n}") for n in (1, 3, 5)))
    shop.put("rest.parquet", row("bob", at="2025-03-03"), row("eve", at="2025-03-04"))
    return shop


def planned(shop):
    return {asset.asset: asset for asset in shop.plan().assets}


def days(asset):
    return asset.missing, asset.stale, asset.fresh


CHANGES = {
    "nothing": lambda shop: None,
    "a touched file": lambda shop: shop.touch("ada.parquet"),
    "a new record today": lambda shop: shop.put("n.parquet", row("bob", "Soup", "2025-03-05")),
    "a late record": lambda shop: shop.put("n.parquet", row("ada", "Late", "2025-03-02")),
    "a removed file": lambda shop: (shop.source / "ada.parquet").unlink(),
    "all files removed": lambda shop: [path.unlink() for path in shop.source.iterdir()],
    "a changed record": lambda shop: shop.put(
        "rest.parquet", row("bob", "Soup", at="2025-03-03"), row("eve", at="2025-03-04")
    ),
    "a duplicate": lambda shop: shop.put("n.parquet", row("bob", at="2025-03-03T00:00:00Z")),
    "a bad record": lambda shop: shop.put("n.parquet", row("bob", "", "2025-03-03"), row(at="?")),
    "a text known already": lambda shop: shop.put("n.parquet", row("zoe", at="2025-03-04")),
    "a moved record": lambda shop: shop.put(
        "rest.parquet", row("bob", at="2025-03-04"), row("eve", at="2025-03-04")
    ),
}


@pytest.mark.parametrize(
    ("before", "change"),
    [
        *(("everything", change) for change in CHANGES),
        *(
            (before, change)
            for before in ("one day", "no embeddings", "nothing")
            for change in ("a late record", "a removed file")
        ),
        ("nothing", "all files removed"),
    ],
)
def test_a_plan_tells_what_the_run_then_does(request, change, before):
    shop = request.getfixturevalue("ran" if before == "everything" else "shop")
    {
        "everything": lambda: None,
        "one day": lambda: shop.run("2025-03-03"),
        "no embeddings": lambda: shop.run(until="account_texts"),
        "nothing": lambda: None,
    }[before]()
    CHANGES[change](shop)
    plan = planned(shop)
    kept = {name: dict(table.footers(table.keys())) for name, table in vars(shop.tables).items()}
    replaced, computed = shop.run()
    for name, table in zip(plan, kept, strict=True):
        missing = [key for key in replaced[name] if key not in kept[table]]
        assert plan[name].missing == len(missing), name
        assert plan[name].stale == len(replaced[name]) - len(missing), name
    assert plan["account_embeddings"].texts.to_embed == computed
    stored = shop.tables.texts.footers(shop.tables.texts.keys())
    texts = plan["account_texts"].texts
    assert texts.new + texts.changed + texts.unchanged == sum(f.rows for f in stored.values())
    before_rows = sum(footer.rows for footer in kept["texts"].values())
    assert texts.changed + texts.unchanged + texts.deleted == before_rows
    assert {state.state for state in shop.states()} <= {"fresh"}


def test_the_first_plan_names_every_day_missing_and_every_text_new(shop):
    plan = shop.plan()
    assert [days(asset) for asset in plan.assets] == [(4, 0, 0)] * 4
    assert plan.days_to_run == [date(2025, 3, day) for day in (1, 3, 4, 5)]
    texts = planned(shop)["account_embeddings"].texts
    assert (texts.new, texts.changed, texts.unchanged, texts.deleted) == (5, 0, 0, 0)
    # Bob's and Eve's texts are equal.
    assert (texts.to_embed, texts.reused, texts.tokens_estimated) == (4, 1, False)
    assert planned(shop)["account_embeddings"].seconds is None


def test_a_plan_after_a_run_finds_everything_fresh_and_costs_nothing(ran):
    plan = ran.plan()
    assert [days(asset) for asset in plan.assets] == [(0, 0, 4)] * 4
    assert plan.days_to_run == []
    asset = planned(ran)["account_embeddings"]
    assert asset.texts == TextChanges(unchanged=5)
    assert (asset.seconds, dict(asset.why)) == (0.0, {})


def test_a_late_record_is_one_new_and_two_changed_texts_with_their_reasons(ran):
    ran.put("late.parquet", row("ada", "Late", at="2025-03-02"))
    plan = planned(ran)
    assert days(plan["raw_records"]) == (1, 0, 4)
    assert days(plan["account_texts"]) == (1, 2, 2)
    assert plan["account_texts"].texts == TextChanges(new=1, changed=2, unchanged=3)
    assert dict(plan["account_texts"].why) == {
        "never materialized": 1, "an account's history changed": 2,
    }  # fmt: skip
    assert plan["account_embeddings"].texts.to_embed == 3


def test_tokens_are_those_of_the_texts_to_embed(ran):
    ran.put("n.parquet", row("bob", "Soup", "2025-03-05"))
    texts = planned(ran)["account_embeddings"].texts
    text = "Items: Pho; Soup. Vendors: Saigon. Cuisines: Thai."
    assert texts.tokens == ran.encoder.count_tokens([text])[0]


def test_tokens_of_very_many_texts_are_estimated_from_a_sample(shop, monkeypatch):
    monkeypatch.setattr("embedding_assets.records.plan._SAMPLED_TEXTS", 2)
    texts = planned(shop)["account_embeddings"].texts
    assert (texts.to_embed, texts.tokens_estimated) == (4, True)
    assert 20 <= texts.tokens <= 40


def test_seconds_follow_the_speed_that_was_measured(shop):
    assert measured_speed(shop.tables.embeddings) is None
    shop.run()
    speed = measured_speed(shop.tables.embeddings)
    shop.put("n.parquet", row("bob", "Soup", "2025-03-05"))
    asset = planned(shop)["account_embeddings"]
    assert asset.seconds == pytest.approx(asset.texts.tokens / speed)


def test_another_model_makes_every_embedding_stale_and_no_text(shop):
    shop.run()
    shop.encoder = HashingEncoder(16)
    shop.vectors = VectorStore.of(shop.out / "vectors", shop.encoder)
    plan = planned(shop)
    assert days(plan["account_texts"]) == (0, 0, 4)
    assert days(plan["account_embeddings"]) == (0, 4, 0)
    assert dict(plan["account_embeddings"].why) == {"texts or model changed": 4}
    assert plan["account_embeddings"].texts.to_embed == 4


def test_records_before_the_start_and_in_the_future_are_no_days(shop):
    future = date.today() + timedelta(days=3)
    shop.put("odd.parquet", row(at="2020-01-01"), row(at=str(future)))
    assert {state.day for state in shop.states()} == {date(2025, 3, day) for day in (1, 3, 4, 5)}


def test_an_empty_source_has_no_plan(tmp_path):
    shop = Shop(tmp_path)
    assert [days(asset) for asset in shop.plan().assets] == [(0, 0, 0)] * 4
    assert shop.states() == []


def test_only_a_fresh_state_is_fresh():
    day = date(2025, 3, 1)
    assert DayState("a", day, "fresh", "").is_fresh
    assert not DayState("a", day, "stale", "why").is_fresh
