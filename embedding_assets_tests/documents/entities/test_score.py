from embedding_assets.documents.entities.labelled import Span
from embedding_assets.documents.entities.score import Score, judge


def test_only_the_same_ends_and_label_count():
    truth = [[Span(0, 2, "ORG"), Span(3, 4, "LOC")], [Span(0, 1, "LOC")]]
    found = [[Span(0, 2, "ORG"), Span(3, 5, "LOC")], [Span(0, 1, "ORG")]]
    report = judge(truth, found)
    assert report.overall == Score(1 / 3, 1 / 3, 1 / 3, 3)
    assert report.types == {"LOC": Score(0.0, 0.0, 0.0, 2), "ORG": Score(0.5, 1.0, 2 / 3, 1)}


def test_what_no_answer_can_match_counts_as_missed():
    report = judge([[Span(0, 1, "ORG", exact=False)]], [[Span(0, 1, "ORG")]])
    assert report.overall == Score(0.0, 0.0, 0.0, 1)


def test_nothing_to_find_and_nothing_found_is_no_number():
    assert judge([[]], [[]]).overall == Score(None, None, None, 0)
