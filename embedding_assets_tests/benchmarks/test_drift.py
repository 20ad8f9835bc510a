import numpy as np

from embedding_assets.benchmarks.drift import CASES, Case, Texts, measure


def texts():
    """Two topics that lie apart, and questions of three kinds."""
    chance = np.random.default_rng(0)
    kinds = np.eye(6, dtype=np.float32)[[0, 1, 2, 3, 4]]
    near = [kind + chance.normal(0, 0.2, (1_200, 6)).astype(np.float32) for kind in kinds]
    intent = np.repeat([0, 1, 2], 1_200)
    return Texts(near[0], near[1], np.concatenate(near[2:]), intent)


def test_each_case_gives_a_p_value():
    known = texts()
    for case in CASES:
        if case.units <= 120:
            p_value, effect = case.judge(known, np.random.default_rng(0))
            assert 0 < p_value <= 1 and 0 <= effect <= 1, case.name


def test_questions_that_come_again_are_evidence_only_when_each_day_is_taken_alone():
    known, cases = texts(), {case.name: case for case in CASES}
    p_values = [
        cases[name].judge(known, np.random.default_rng(1))[0]
        for name in (
            "questions that come again", "searches at steady rates",
            "the same, each day taken alone",
        )
    ]  # fmt: skip
    assert p_values[0] > 0.05 < p_values[1]
    assert p_values[2] < 0.05


def test_a_row_tells_how_often_it_was_called_drift_with_its_interval():
    verdicts = iter([0.01, 0.5, 0.05, 0.9])
    case = Case("any", True, 10, lambda *_: (next(verdicts), 0.2))
    row = measure(case, texts(), 4)
    assert (row.found, row.draws, row.effect) == (0.5, 4, 0.2)
    assert 0.1 < row.low < 0.2 and 0.8 < row.high < 0.9
