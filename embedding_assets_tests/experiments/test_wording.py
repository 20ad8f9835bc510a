import pytest

from embedding_assets.experiments.wording import p_value, percent, signed_percent, value


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.052, "5.2 %"), (0.04712, "4.71 %"), (0.0, "0 %"), (1.0, "100 %"), (0.000123, "0.0123 %")],
)
def test_shares_have_three_digits(share, text):
    assert percent(share) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.114, "+11 %"), (-0.004, "-0.4 %"), (0.0, "+0.0 %"), (12.0, "+1200 %"), (0.0994, "+9.9 %")],
)
def test_changes_have_a_sign_and_a_decimal_where_they_are_small(share, text):
    assert signed_percent(share) == text


@pytest.mark.parametrize(
    ("mean", "text"),
    [
        (0.0814, "0.0814"),
        (12.3456, "12.3"),
        (18_204.4, "18,200"),
        (-5_000, "-5,000"),
        (1e50, "1e+50"),
    ],
)
def test_means_have_three_digits(mean, text):
    assert value("mean", mean) == text


@pytest.mark.parametrize(
    ("p", "text"), [(0.00234, "p = 0.0023"), (1.0, "p = 1"), (0, "p < 0.0001")]
)
def test_small_p_values_have_a_floor(p, text):
    assert p_value(p) == text
