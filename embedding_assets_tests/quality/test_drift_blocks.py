from datetime import date, timedelta

import numpy as np
import pytest

from embedding_assets.quality.drift_blocks import Blocks, common_limit

FIRST = date(2026, 3, 1)


def days(*numbers):
    return [FIRST + timedelta(days=number) for number in numbers]


def hashes(count):
    return np.random.default_rng(0).integers(2**63, size=count).astype(np.uint64)


def test_the_days_before_are_cut_into_blocks_as_long_as_the_window_the_last_first():
    found = Blocks.before(days(*range(17)), days(*range(17, 22)))
    assert (found.count, found.reason) == (3, None)
    assert [found.block_of[day] for day in days(16, 12, 11, 7, 6, 2)] == [0, 0, 1, 1, 2, 2]
    assert found.days == days(*range(2, 17))  # two that fill no block are not looked at


def test_days_without_data_count_on_neither_side():
    found = Blocks.before(days(0, 5, 9, 10), days(20, 23))
    assert found.block_of == dict(zip(days(10, 9, 5, 0), (0, 0, 1, 1), strict=True))


def test_each_unit_is_looked_for_in_one_block_and_in_the_whole_window():
    units = hashes(3_000)
    before, window = days(*range(21)), days(*range(21, 28))
    blocks = Blocks.before(before, window)
    seen = np.stack([blocks.seen(units, day) for day in before])
    assert (seen.sum(axis=0) == 7).all()
    assert np.ptp(seen.sum(axis=1)) < 200
    assert not blocks.seen(units, FIRST - timedelta(days=1)).any()
    assert all(Blocks.window(window).seen(units, day).all() for day in window)


def test_where_no_block_is_full_there_is_none_and_it_says_why():
    found = Blocks.before(days(0, 1), days(2, 3, 4))
    assert not found.days
    assert found.reason == "too few days to judge: 2 before the window have data, 3 in it"
    assert Blocks.before([], days(1)).reason is None
    assert Blocks.before(days(1), []).reason is None


@pytest.mark.parametrize("sizes", [(10, 10), (10, 3), (3, 10), (0, 10)])
def test_what_may_have_been_left_out_of_one_side_is_left_out_of_both(sizes):
    every = [np.sort(hashes(size)) for size in sizes]
    most = 5
    limit = common_limit(most, *(each[:most] for each in every))
    for each in every:
        assert (each <= limit).sum() == (each[:most] <= limit).sum()


def test_where_nothing_was_left_out_all_counts():
    assert (hashes(50) <= common_limit(51, hashes(50), hashes(7))).all()
