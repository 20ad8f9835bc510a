import pytest

from embedding_assets.documents.classify import members
from embedding_assets.documents.classify.members import Terms

TEXTS = ["red red green", "red green blue"]


@pytest.mark.parametrize(
    ("categories", "kept"),
    [(1, ("blue", "green", "red")), (4, ("green", "red")), (8, ("red",))],
)
def test_the_more_categories_the_fewer_terms_the_most_frequent_ones(monkeypatch, categories, kept):
    monkeypatch.setattr(members, "_MOST_COEFFICIENTS", 8)
    assert Terms.fit(TEXTS, categories).vocabulary == kept


def test_there_is_a_limit_for_few_categories_too(monkeypatch):
    monkeypatch.setattr(members, "_MOST_TERMS", 2)
    assert Terms.fit(TEXTS, 2).vocabulary == ("green", "red")
