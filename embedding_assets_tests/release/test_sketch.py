import numpy as np
import pytest

from embedding_assets.release.sketch import Sketch, hashed, mixed, numbered


def of(*numbers, parts=1):
    return Sketch.of(np.array_split(mixed(np.array(numbers, np.uint64)), parts))


def test_of_small_sets_the_share_is_exact():
    before = of(*range(10))
    assert before.changed(before) == 0
    assert before.changed(of(*range(9))) == pytest.approx(0.1)
    assert before.changed(of(*range(5), *range(20, 25))) == pytest.approx(0.5)
    assert before.changed(of(*range(20))) == pytest.approx(0.5)
    assert before.changed(Sketch()) == 1
    assert Sketch().changed(Sketch()) == 0


@pytest.mark.parametrize("share", [0.0, 0.05, 0.1, 0.3, 1.0])
def test_of_large_sets_it_is_near(share):
    count = 200_000
    gone = int(share * count)
    before, now = of(*range(count)), of(*range(gone, count + gone))
    assert len(before.least) == 1_000
    assert before.changed(now) == pytest.approx(share, abs=0.03)


def test_a_sketch_is_the_same_however_the_set_is_cut():
    whole, cut = of(*range(5_000)), of(*range(5_000), parts=77)
    assert np.array_equal(whole.least, cut.least)
    assert np.array_equal(Sketch.from_json(cut.to_json()).least, whole.least)


def test_texts_and_their_numbers_have_hashes_of_their_own():
    assert len({*hashed(["a", "b", "a\0b"]).tolist()}) == 3
    of_both = numbered(["a", "b", "c"], [50, 0, 50])
    assert len({*of_both.tolist()}) == 100
    assert len(numbered([], [])) == 0


def test_what_follows_a_text_that_changed_keeps_its_hashes():
    before, after = numbered(["a", "b"], [3, 5]), numbered(["other", "b"], [7, 5])
    assert before[3:].tolist() == after[7:].tolist()
