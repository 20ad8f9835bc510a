import pytest

from embedding_assets.errors import InputError, NotWritableError
from embedding_assets.experiments.picture import plot
from embedding_assets.experiments.report import simulation_text
from embedding_assets.experiments.scenarios import simulate_all


@pytest.fixture(scope="module")
def simulation():
    return simulate_all(30, [0.2, 0.5])


def test_each_scenario_is_run_with_and_without_each_lift(simulation):
    assert {one.scenario.lift for one in simulation.same} == {0.0}
    assert {one.scenario.lift for one in simulation.different} == {0.2, 0.5}
    both = {one.scenario.experiments for one in (*simulation.same, *simulation.different)}
    assert both == {30}


def test_without_a_lift_nothing_differs():
    assert simulate_all(2, [0.0]).different == ()


def test_a_simulation_reads_as_two_tables(simulation):
    lines = simulation_text(simulation).splitlines()
    assert lines[0] == (
        "A/A, nothing differs: share with a (false) winner; "
        "30 experiments of 40,000 units, peeked at 50 times"
    )
    first = simulation.same[0]
    assert lines[2].startswith("1 % convert ")
    assert lines[2].split()[3:7:2] == [
        f"{100 * x:.1f}" for x in (first.repeated, first.always_valid)
    ]
    second = simulation.different[0]
    found = next(line for line in lines if "+20 %" in line)
    assert f"{100 * second.right:.1f} %" in found
    assert f"{second.units_at_decision:,.0f}" in found
    assert len(simulation_text(simulate_all(2, [])).splitlines()) == 2 + len(simulation.same)


@pytest.mark.parametrize(("name", "start"), [("x.svg", b"<?xml"), ("x.PNG", b"\x89PNG")])
def test_a_plot_is_written_as_its_name_says(simulation, tmp_path, name, start):
    plot(simulation, tmp_path / name)
    assert (tmp_path / name).read_bytes().startswith(start)


def test_an_equal_simulation_is_an_equal_picture_that_names_the_lifts(simulation, tmp_path):
    for name in ("a.svg", "b.svg"):
        plot(simulation, tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    assert "lift +50 %" in (tmp_path / "a.svg").read_text()


def test_a_plot_that_cannot_be_written_is_named(simulation, tmp_path):
    with pytest.raises(InputError, match="neither .png nor .svg"):
        plot(simulation, tmp_path / "x.txt")
    with pytest.raises(NotWritableError, match="cannot be written: No such file"):
        plot(simulation, tmp_path / "none" / "x.png")
