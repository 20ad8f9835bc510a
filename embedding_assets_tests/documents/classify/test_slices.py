import pytest

from embedding_assets.documents.classify.classifier import DocumentClassifier
from embedding_assets.documents.classify.labels import Category, LabelledRow, LabelledTexts
from embedding_assets.documents.classify.slices import _told
from embedding_assets.embedding.encoder import HashingEncoder

ENCODER = HashingEncoder(dimension=16)


def told(rows, described):
    labelled = LabelledTexts.from_rows(rows, [Category(name) for name in described])
    made = DocumentClassifier.fit(labelled, lambda texts: ENCODER.encode(texts).vectors, "model")
    return _told(made, labelled)


@pytest.mark.parametrize(
    ("described", "expected"),
    [
        (["food", "law"], None),
        (["food", "law", "sport", "tax"], "sport, tax"),
        (["food", "law", *(f"name {n:02}" for n in range(23))],
         ", ".join(f"name {n:02}" for n in range(20)) + " and 3 more"),
    ],
    ids=["none", "two", "many"],
)  # fmt: skip
def test_categories_without_texts_are_named(described, expected):
    rows = [LabelledRow(f"{label} {n}", label) for label in ("food", "law") for n in range(50)]
    assert told(rows, described).get("without_texts") == expected


def test_where_there_are_only_names_none_is_named():
    assert "without_texts" not in told([], ["food", "law"])
