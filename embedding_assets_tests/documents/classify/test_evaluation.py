import numpy as np
import pytest

from embedding_assets.documents.classify.evaluation import Evaluation, threshold_for
from embedding_assets.documents.classify.plots import confusion_png, reliability_png

NAMES = ("a", "b", "c")
LABELS = np.array([0, 0, 1, 1])
PROBABILITIES = np.array([[0.9, 0.1, 0], [0.4, 0.6, 0], [0.2, 0.8, 0], [0.3, 0.7, 0]])


@pytest.fixture
def found():
    return Evaluation.of(NAMES, LABELS, PROBABILITIES, threshold=0.65)


def test_hits_by_category(found):
    assert found.confusion.tolist() == [[1, 1, 0], [0, 2, 0], [0, 0, 0]]
    a, b, c = found.categories
    assert (a.precision, a.recall, a.texts) == (1.0, 0.5, 2)
    assert b.precision == pytest.approx(2 / 3)
    assert (c.f1, c.texts) == (0.0, 0)
    assert found.accuracy == 0.75


def test_macro_f1_is_over_the_categories_that_occur(found):
    assert found.macro_f1 == pytest.approx((2 / 3 + 4 / 5) / 2)


def test_calibration_compares_probability_and_hits(found):
    assert found.ece == pytest.approx((0.1 + 0.6 + 0.2 + 0.3) / 4)
    certain = np.eye(3)[LABELS]
    assert Evaluation.of(NAMES, LABELS, certain, 0.0).ece == 0


def test_abstaining_leaves_the_less_probable_out(found):
    assert found.abstained == 0.25
    assert found.accuracy_of_rest == 1.0


def test_the_threshold_leaves_out_the_asked_share():
    chances = np.linspace(0.5, 1.0, 101)
    probabilities = np.stack([chances, 1 - chances], axis=1)
    threshold = threshold_for(probabilities, 0.1)
    assert (chances < threshold).mean() == pytest.approx(0.1, abs=0.01)
    assert threshold_for(probabilities, 0) == 0.0
    assert threshold_for(probabilities[:0], 0.1) == 0.0


@pytest.mark.parametrize(("texts", "share"), [(4, 0.0), (10, 0.0), (20, 0.05), (50, 0.04)])
def test_no_more_than_the_asked_share_is_left_out(texts, share):
    chances = np.linspace(0.5, 1.0, texts)[:, None]
    threshold = threshold_for(np.hstack([chances, 1 - chances]), 0.05)
    assert (chances < threshold).mean() == share


def test_of_a_sample_the_figures_are_those_of_what_it_stands_for(found):
    weights = np.array([3.0, 1.0, 1.0])
    rows = np.array([0, 0, 0, 1, 1, 1, 2, 3])
    whole = Evaluation.of(NAMES, LABELS[rows], PROBABILITIES[rows], 0.65)
    sample = Evaluation.of(NAMES, LABELS, PROBABILITIES, 0.65, weights)
    mine, theirs = ({**each.figures(), "texts": 0} for each in (sample, whole))
    assert mine == theirs
    assert [each.f1 for each in sample.categories] == pytest.approx(
        [each.f1 for each in whole.categories]
    )
    assert sample.confusion.tolist() == found.confusion.tolist()
    assert threshold_for(PROBABILITIES, 0.4, weights[LABELS]) == threshold_for(
        PROBABILITIES[rows], 0.4
    )


def test_what_is_stored_is_the_same(found):
    again = Evaluation.from_dict(found.to_dict())
    assert again.figures() == found.figures()
    assert again.to_dict() == found.to_dict()


def test_pictures_are_png_files(found):
    for picture in (confusion_png(found), reliability_png(found)):
        assert picture.startswith(b"\x89PNG")
