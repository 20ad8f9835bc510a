import numpy as np
import pytest

from embedding_assets.errors import InputError
from embedding_assets.experiments.offline import Setup, analyse
from embedding_assets.experiments.report import analysis_text
from embedding_assets.experiments.units import Columns

COLUMNS = Columns("user", "arm", "value")


@pytest.fixture
def written(tmp_path):
    def write(**values):
        """A file of units, each variant with its values; units alternate."""
        rows = sorted((n, arm, value) for arm in values for n, value in enumerate(values[arm]))
        lines = [f"{arm}{n},{arm},{value}" for n, arm, value in rows]
        path = tmp_path / "x.csv"
        path.write_text("\n".join(["user,arm,value", *lines]))
        return path

    return write


def hits(units, count):
    """So many hits, evenly spread."""
    return np.diff(np.arange(units + 1) * count // units).tolist()


def test_zeros_and_ones_are_a_rate(written):
    found = analyse(written(control=hits(5_000, 200), v2=hits(5_000, 320)), COLUMNS)
    assert (found.metric.kind, found.control, found.units) == ("rate", "control", 10_000)
    assert found.samples["v2"].mean == pytest.approx(0.064)
    assert (found.judgement.decision, found.judgement.winner) == ("winner", "v2")
    assert found.judgement.reasons[0].startswith("value: 6.4 % with v2 against 4 % with control")


def test_other_values_are_means(written):
    found = analyse(written(a=[1, 2.5] * 300, b=[2, 1.5] * 300), COLUMNS)
    assert (found.metric.kind, found.control) == ("mean", "a")
    assert found.judgement.decision == "keep_going"


def test_clicks_that_add_up_within_a_unit_are_a_mean_per_unit(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("user,arm,value\na,x,1\na,x,1\nb,y,0\n")
    found = analyse(path, COLUMNS)
    assert (found.metric.kind, found.samples["x"].mean, found.rows) == ("mean", 2.0, 3)


def test_lower_may_be_better(written):
    path = written(control=hits(5_000, 320), v2=hits(5_000, 200))
    assert analyse(path, COLUMNS).judgement.winner == "control"
    assert analyse(path, COLUMNS, Setup(lower_is_better=True)).judgement.winner == "v2"


def test_any_variant_may_be_the_control(written):
    path = written(control=hits(5_000, 200), v2=hits(5_000, 320))
    found = analyse(path, COLUMNS, Setup(control="v2"))
    assert (found.control, [*found.samples]) == ("v2", ["v2", "control"])
    assert found.judgement.comparisons[0].variant == "control"


def test_the_planned_weights_decide_what_a_sound_split_is(written):
    path = written(a=hits(7_000, 280), b=hits(3_000, 120))
    equal = analyse(path, COLUMNS)
    assert (equal.judgement.decision, equal.is_split_assumed) == ("invalid", True)
    planned = analyse(path, COLUMNS, Setup(weights={"a": 70, "b": 30}))
    assert (planned.judgement.decision, planned.is_split_assumed) == ("keep_going", False)


def test_the_last_point_of_the_curve_is_the_judgement(written):
    found = analyse(written(a=hits(5_000, 200), b=hits(5_000, 320)), COLUMNS)
    last, (now,) = found.curves[0].points[-1], found.judgement.comparisons
    assert len(found.curves[0].points) == 50
    assert (last.n, last.difference) == (10_000, pytest.approx(now.difference))
    assert (last.low, last.high) == pytest.approx((now.low, now.high))
    assert [point.n for point in found.curves[0].points][:3] == [200, 400, 600]


def test_a_file_of_few_units_has_as_many_points(written):
    assert len(analyse(written(a=[1, 0], b=[0]), COLUMNS).curves[0].points) == 3


def test_a_covariate_narrows_the_interval(tmp_path):
    rng = np.random.default_rng(2)
    before = rng.normal(10, 3, 2_000)
    lines = [
        f"u{n},{'ab'[n % 2]},{x + rng.normal() + 0.25 * (n % 2):.4f},{x:.4f}"
        for n, x in enumerate(before)
    ]
    path = tmp_path / "x.csv"
    path.write_text("\n".join(["user,arm,value,before", *lines]))
    plain = analyse(path, COLUMNS)
    found = analyse(path, Columns("user", "arm", "value", "before"))
    assert (plain.reduction, plain.judgement.decision) == (None, "keep_going")
    assert found.reduction.variance == pytest.approx(0.9, abs=0.02)
    assert found.judgement.winner == "b"


@pytest.mark.parametrize(
    ("setup", "match"),
    [
        (Setup(control="c"), "The variants of the file are 'a', 'b', which do not go with"),
        (Setup(weights={"a": 1}), "weights 'a'"),
        (Setup(weights={"a": 1, "b": 0}), "weights 'a', 'b'"),
        (Setup(weights={"a": 1, "b": 1, "c": 1}), "weights 'a', 'b', 'c'"),
    ],
)
def test_a_control_or_weights_of_other_variants_are_refused(written, setup, match):
    with pytest.raises(InputError, match=match):
        analyse(written(a=[1, 0], b=[0, 1]), COLUMNS, setup)


def test_one_variant_or_hundreds_are_refused(written):
    with pytest.raises(InputError, match="holds 1 variants \\('a'\\)"):
        analyse(written(a=[1, 0]), COLUMNS)
    with pytest.raises(InputError, match="holds 101 variants"):
        analyse(written(**{f"v{n:03}": [1] for n in range(101)}), COLUMNS)


def test_an_analysis_reads_as_a_table_and_a_decision(written):
    found = analyse(written(control=hits(5_000, 200), v2=hits(5_000, 320)), COLUMNS)
    lines = analysis_text(found).splitlines()
    assert lines[0].endswith("x.csv: 10,000 units in 10,000 rows")
    assert lines[1] == "value: share of units, higher is better"
    assert lines[4].split() == ["control", "5,000", "50", "%", "50", "%", "4", "%"]
    assert lines[5].startswith("v2       5,000   50 %     50 %  6.4 %  +60 % (95 % always-valid")
    assert "Sample ratio: as planned, always-valid p = 1 (an equal split is assumed" in lines[7]
    assert lines[-2] == "Decision: v2 wins"
