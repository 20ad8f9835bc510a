import io

import pytest

from embedding_assets.category_report import (
    CategoryReport,
    categories_text,
    classified_text,
    text_of,
)
from embedding_assets.documents.classify.classifier import Classified
from embedding_assets.errors import EmptyInputError
from embedding_assets.settings import Settings

ROWS = [
    {"doc_id": "a.pdf", "category": "law", "probability": 0.91, "best_category": "law"},
    {"doc_id": "b.pdf", "category": None, "probability": 0.3, "best_category": "food"},
    {"doc_id": "c.pdf", "category": None, "probability": None, "best_category": None},
]
FIGURES = {
    "way": "labels", "categories": 2, "labelled_texts": 1200, "macro_f1": 0.9, "accuracy": 0.92,
    "accuracy_by_descriptions": 0.6, "ece": 0.02, "threshold": 0.4,
}  # fmt: skip


def test_categories_with_what_is_known_of_the_classifier():
    shown = categories_text(CategoryReport(FIGURES, ROWS))
    assert "3 documents: law 1" in shown
    assert "learnt from 1,200 texts: macro-F1 0.900" in shown
    assert "by names alone 0.600" in shown


def test_what_could_not_be_judged_or_had_no_text_is_told():
    few = {"way": "labels", "categories": 3, "labelled_texts": 21, "without_texts": "sport"}
    shown = categories_text(CategoryReport(few, []))
    assert "learnt from 21 texts (no text of sport); not judged" in shown
    shown = categories_text(CategoryReport({**few, "way": "descriptions"}, []))
    assert "3 categories, told by their names and descriptions (no text of sport)" in shown


def test_what_is_wrong_with_the_labels_is_shown():
    shown = categories_text(CategoryReport({"problem": "Only one.", "mend": "Add another."}, []))
    assert "The labels cannot be used: Only one. Add another." in shown
    assert "set classification.labels" in categories_text(CategoryReport({}, []))


def test_a_text_with_its_categories():
    said = Classified(None, 0.3, "law", (("law", 0.3), ("food", 0.2)))
    assert classified_text(said).splitlines() == [
        "no category; law is not probable enough",
        "   30.0%  law",
        "   20.0%  food",
    ]


def test_a_text_is_given_or_read(tmp_path, monkeypatch):
    (tmp_path / "a.txt").write_text("in a file")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"from elsewhere")))
    given = ("words", str(tmp_path / "a.txt"), "-")
    assert [text_of(each, Settings()) for each in given] == ["words", "in a file", "from elsewhere"]
    with pytest.raises(EmptyInputError, match="no text to classify"):
        text_of("  ", Settings())
