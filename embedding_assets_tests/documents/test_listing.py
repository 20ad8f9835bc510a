import pyarrow as pa
import pytest

from embedding_assets.documents.listing import page_of_documents

TABLE = pa.table({"doc_id": ["b", "ä", "a", "c/1"], "rows": [1, 2, 3, 4]})


@pytest.mark.parametrize(
    ("after", "limit", "expected"),
    [
        ("", 2, ["a", "b"]),
        ("b", 10, ["c/1", "ä"]),
        ("bb", 1, ["c/1"]),
        ("ä", 5, []),
        ("", 9, ["a", "b", "c/1", "ä"]),
    ],
)
def test_documents_come_by_id_behind_the_one_that_is_named(after, limit, expected):
    assert [row["doc_id"] for row in page_of_documents(TABLE, after, limit)] == expected


def test_of_no_document_there_is_an_empty_page():
    assert page_of_documents(TABLE.slice(0, 0), "", 5) == []
