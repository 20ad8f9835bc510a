import json

import pytest
from typer.testing import CliRunner

from embedding_assets.cli.experiments import app
from embedding_assets.errors import SchemaError

pytestmark = pytest.mark.usefixtures("no_environment")
COLUMNS = ("--unit", "user", "--variant", "arm", "--metric", "paid")


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "x.csv"
    rows = [f"u{n},{'ab'[n % 2]},{int(n % 20 == 1 or n % 100 == 0)},{n % 7}" for n in range(8_000)]
    path.write_text("\n".join(["user,arm,paid,before", *rows]))
    return path


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def told(*arguments):
    done = run(*arguments, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_an_analysis_tells_people_and_programs_the_same(file):
    text, data = run("analyse", file, *COLUMNS).stdout, told("analyse", file, *COLUMNS)
    assert data["judgement"]["winner"] == "b"
    assert "Decision: b wins" in text
    assert f"- {data['judgement']['reasons'][0]}" in text
    assert data["samples"]["a"] == {
        "n": 4_000,
        "mean": pytest.approx(0.02),
        "variance": pytest.approx(0.0196, abs=1e-5),
        "nonzero": 80,
    }
    assert data["judgement"]["comparisons"][0]["is_significant"] is True


def test_options_reach_the_analysis(file):
    data = told(
        "analyse", file, *COLUMNS, "--control", "b", "--covariate", "before", "--time", "before",
        "--weights", "a=1, b=1", "--lower-is-better",
    )  # fmt: skip
    assert (data["control"], data["judgement"]["winner"]) == ("b", "a")
    assert data["reduction"]["missing"] == 0.0
    assert data["metric"]["direction"] == "down"
    assert data["is_split_assumed"] is False


@pytest.mark.parametrize("weights", ["a", "a=x", "=3", "a=0.5,b=0.5", ""])
def test_weights_of_another_form_are_wrong_use(file, weights):
    done = run("analyse", file, *COLUMNS, "--weights", weights)
    assert done.exit_code == 2
    assert "is not of the form A=70,B=30" in done.stderr


def test_a_column_that_is_not_there_is_a_named_failure(file):
    done = run("analyse", file, *COLUMNS[:-1], "revenue")
    assert isinstance(done.exception, SchemaError)
    assert "'revenue' is not in" in done.exception.problem


def test_a_simulation_is_a_table_a_plot_and_data(tmp_path):
    done = run("simulate", "--experiments", 20, "--lift", 0.5, "--plot", tmp_path / "x.png")
    assert done.exit_code == 0, done.output
    assert "+50 %" in done.stdout
    assert (tmp_path / "x.png").stat().st_size > 1_000
    data = told("simulate", "--experiments", 20, "--lift", 0.5)
    assert {one["scenario"]["lift"] for one in data["different"]} == {0.5}
    assert max(one["always_valid"] for one in data["same"]) <= 0.1


@pytest.mark.parametrize("wrong", [("--experiments", 0), ("--lift", "x"), ("--lift", -1)])
def test_impossible_simulations_are_wrong_use(wrong):
    assert run("simulate", *wrong).exit_code == 2
