from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedding_assets.search.filters import Filters, parse_filters
from embedding_assets.search.masks import FilterColumns
from embedding_assets.search.passages import ENTITY
from embedding_assets.search.rows import DOCUMENT_SCHEMA


def columns(documents, pages, entities=None):
    """Documents as dictionaries; `pages` and `entities` for each row, the rows of each document in
    `rows`."""
    entities = entities or [None] * len(pages)
    table = pa.Table.from_pylist(documents, DOCUMENT_SCHEMA)
    rows = np.array([document["rows"] for document in documents], dtype=np.int64)
    half = len(pages) // 2
    cut = [
        [pa.array(part, pa.list_(kind)) for part in (values[:half], values[half:])]
        for values, kind in ((pages, pa.int32()), (entities, ENTITY))
    ]
    return FilterColumns(table, rows, *cut)


def entity(label, text):
    return {"label": label, "text": text}


def document(doc_id, rows, **others):
    empty = dict.fromkeys(DOCUMENT_SCHEMA.names)
    return {**empty, "doc_id": doc_id, "path": f"in/{doc_id}.pdf", "rows": rows, **others}


@pytest.fixture(scope="module")
def shelf():
    documents = [
        document(
            "a", 2, format="pdf", title="Soup (and more)", category="Food",
            modified=datetime(2026, 1, 1, 12, tzinfo=UTC),
        ),
        document("b", 0, format="docx", category="Food"),
        document(
            "c", 3, path="out/C [1].docx", format="docx", title="Law", category="Law",
            modified=datetime(2026, 2, 1, tzinfo=UTC),
        ),
        document("d", 1),
    ]  # fmt: skip
    acme, corp = entity("ORG", "Acme"), entity("ORG", "ACME Corp")
    entities = [[acme, entity("PER", "Zoë")], [], [acme], None, [entity("MISC", "Acme")], [corp]]
    return columns(documents, [[1], [1, 4], [1], [2, 3], [], None], entities)


A, C, D = [0, 1], [2, 3, 4], [5]


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        (["document=a"], A),
        (["document=A"], []),
        (["document=in/A.PDF"], A),
        (["document=in/*"], A + D),
        (["document=*"], A + C + D),
        (["document=out/C [1].docx"], C),
        (["document=in/?.pdf", "document=c"], A + C + D),
        (["document=in"], []),
        (["title=soup (and more)"], A),
        (["title=*A*"], A + C),
        (["title=("], []),
        (["format=DOCX"], C),
        (["category=food"], A),
        (["category=food", "category=law"], A + C),
        (["category=law", "format=pdf"], []),
        (["entity=acme"], [0, 2, 4]),
        (["entity=ZOË"], [0]),
        (["entity=ZOE\u0308"], [0]),
        (["entity=org:ACME"], [0, 2]),
        (["entity=acme  corp"], [5]),
        (["entity=misc:*", "entity=zoë"], [0, 4]),
        (["entity=org"], []),
        (["entity=acme", "category=law"], [2, 4]),
        (["entity=ac*"], []),
        (["entity=' OR 1=1 --"], []),
        (["page=1"], [0, 1, 2]),
        (["page=2..3"], [3]),
        (["page>=2", "page<=3"], [3]),
        (["page=1", "page=3"], [0, 1, 2, 3]),
        (["page=5..2"], []),
        (["page>=4"], [1]),
        (["category=food", "page>=4"], [1]),
        (["date=2026-01-01"], A),
        (["date>=2026-01-02"], C),
        (["date<=2026-01-31"], A),
        (["date=2025-01-01", "date=2026-02-01"], C),
        (["date>=2026-02-01", "date<=2026-01-01"], []),
        (["category=\udcff"], []),
        (["document=\udcff*"], []),
    ],
)
def test_rows_that_meet_the_conditions(shelf, conditions, expected):
    mask = shelf.mask(parse_filters(conditions))
    assert (mask.shape, mask.dtype) == ((6,), np.bool_)
    assert np.flatnonzero(mask).tolist() == expected


def test_without_conditions_there_is_no_mask(shelf):
    assert shelf.mask(Filters()) is None


def test_forgotten_documents_lose_their_rows(shelf):
    assert np.flatnonzero(shelf.without(frozenset(["a", "x"]))).tolist() == C + D
    assert shelf.without(frozenset(["x"])) is None
    assert shelf.without(frozenset()) is None


def test_an_index_without_rows_has_an_empty_mask():
    empty = columns([], [])
    for condition in ("document=*", "entity=a", "page=1", "date=2026-01-01", "format=x"):
        assert empty.mask(parse_filters([condition])).tolist() == []


@given(path=st.text(st.characters(codec="utf-8"), min_size=1))
def test_any_path_matches_itself_and_its_beginning(path):
    shelf = columns([document("x", 1, path=path)], [[1]])
    assert shelf.mask(Filters(documents=(path,))).all()
    assert shelf.mask(Filters(documents=(path[:-1] + "*",))).all()
    assert not shelf.mask(Filters(documents=(path + "?",))).any()
