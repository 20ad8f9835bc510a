import math

import numpy as np
import pytest

from embedding_assets.quality import retrieval
from embedding_assets.quality.retrieval import (
    METRICS,
    Score,
    bootstrap,
    compare,
    ndcg,
    recall,
    reciprocal_rank,
)

ROWS = np.array([4, 8, 2, 6])
GRADES = {8: 3, 6: 1, 5: 2, 4: 0, 2: -1}


def test_ndcg_has_the_grade_as_gain_and_the_logarithm_as_discount():
    reached = 3 / math.log2(3) + 1 / math.log2(5)
    ideal = 3 + 2 / math.log2(3) + 1 / math.log2(4)
    assert ndcg([ROWS], [GRADES], 10) == pytest.approx([reached / ideal])


def test_ndcg_reads_no_further_than_its_cut():
    ideal = 3 + 2 / math.log2(3)
    assert ndcg([ROWS], [GRADES], 2) == pytest.approx([3 / math.log2(3) / ideal])
    assert ndcg([ROWS], [GRADES], 1) == pytest.approx([0.0])


def test_a_perfect_ranking_has_1_and_an_empty_one_0():
    perfect, empty = np.array([8, 5, 6]), np.array([], dtype=np.int64)
    for metric in METRICS.values():
        assert metric([perfect, empty], [GRADES, GRADES]).tolist() == [1.0, 0.0]


def test_the_reciprocal_rank_is_that_of_the_first_relevant_row():
    assert reciprocal_rank([ROWS, ROWS[2:]], [GRADES, GRADES], 10).tolist() == [1 / 2, 1 / 2]
    assert reciprocal_rank([ROWS], [GRADES], 1).tolist() == [0.0]


def test_recall_is_the_share_of_all_relevant_rows():
    assert recall([ROWS], [GRADES], 2) == pytest.approx([1 / 3])
    assert recall([ROWS], [GRADES], 4) == pytest.approx([2 / 3])


def test_a_query_without_a_relevant_row_has_0_throughout():
    for metric in METRICS.values():
        assert metric([ROWS], [{4: 0, 2: -1}]).tolist() == [0.0]


def test_an_interval_is_that_of_normal_theory_where_it_holds():
    values = np.random.default_rng(1).normal(0.5, 0.1, size=400)
    score = Score.of(values)
    half = 1.96 * values.std() / 20
    assert score.mean == pytest.approx(values.mean())
    assert (score.low, score.high) == pytest.approx(
        (score.mean - half, score.mean + half), abs=half / 10
    )


def test_equal_values_have_no_interval():
    assert Score.of(np.full(5, 0.25)) == Score(0.25, 0.25, 0.25)


def test_resampling_is_the_same_each_time_and_in_any_blocks(monkeypatch):
    values = np.random.default_rng(2).random(30)
    at_once = bootstrap(values)
    monkeypatch.setattr(retrieval, "_DRAWN_AT_ONCE", 1_000)
    np.testing.assert_allclose(bootstrap(values), at_once)
    assert len(at_once) == 10_000


def test_a_system_that_loses_on_most_queries_is_worse():
    losing = compare("one", np.array([0.1, 0.2, 0.3, 0.4] * 5), "other", np.full(20, 0.6))
    assert losing.is_worse
    assert losing.chance_worse == 1.0
    assert losing.difference == pytest.approx(-0.35)
    assert losing.low < -0.35 < losing.high < 0


def test_a_system_within_chance_is_not_worse():
    values = np.random.default_rng(3).random(20)
    others = values.copy()
    others[:3] += [0.3, -0.2, -0.02]
    comparison = compare("one", values, "other", others)
    assert not comparison.is_worse
    assert 0.5 < comparison.chance_worse < 0.95


def test_equal_systems_are_as_likely_worse_as_better():
    values = np.random.default_rng(4).random(12)
    comparison = compare("one", values, "other", values)
    assert (comparison.difference, comparison.chance_worse) == (0.0, 0.5)
