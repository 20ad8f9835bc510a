import pytest

from embedding_assets.experiments.samples import Sample, expected_events


def test_a_sample_has_the_moments_of_its_values():
    assert Sample.of([0, 3, 0, 5]) == Sample(4, 2.0, 6.0, 2)
    assert Sample.of_sums(4, 8.0, 34.0, 2) == Sample(4, 2.0, 6.0, 2)
    assert Sample.of_rate(5, 2) == Sample(5, 0.4, 0.3, 2)


@pytest.mark.parametrize("sample", [Sample.of([]), Sample.of_sums(0, 0.0, 0.0), Sample.of([7])])
def test_few_units_have_no_variance(sample):
    assert sample.variance == 0.0


@pytest.mark.parametrize(
    ("control", "variant", "kind", "events"),
    [
        (Sample.of_rate(1_000, 60), Sample.of_rate(1_000, 40), "rate", 50),
        (Sample.of_rate(1_000, 940), Sample.of_rate(1_000, 960), "rate", 50),
        (Sample.of_rate(9_000, 0), Sample.of_rate(1_000, 100), "rate", 10),
        (Sample(1_000, 0.06, 0.06), Sample(1_000, 0.04, 0.04), "rate", 50),
        (Sample(1_000, 5.0, 9.0, 60), Sample(1_000, 5.0, 9.0, 40), "mean", 50),
        (Sample(1_000, 5.0, 9.0), Sample(1_000, 5.0, 9.0), "mean", 1_000),
        (Sample(0, 0.0, 0.0), Sample(0, 0.0, 0.0), "mean", 0),
    ],
)
def test_events_are_counted_as_the_smaller_arm_would_hold_them(control, variant, kind, events):
    assert expected_events(control, variant, kind) == pytest.approx(events)
