import pytest

from embedding_assets.document_report import hits_text, listed, listed_text, versions_text
from embedding_assets.documents.inventory import DocumentEntry, DocumentInventory
from embedding_assets.documents.plan import DocumentState
from embedding_assets.search.documents import Hit
from embedding_assets.search.manifest import IndexModel, Manifest
from embedding_assets.storage.slices import Footer

TABLE = "| City | Fee |\n| --- | --- |\n| Rome | 3 EUR |"


def hit(text, pages=(), heading_path=()):
    return Hit(
        text=text, score=0.5, doc_id="a.pdf", path="fees/a.pdf", title=None, pages=pages, boxes=(),
        heading_path=heading_path, chunk_id="c", kind="paragraph", model_version="1",
        index_version="1", mode="hybrid",
    )  # fmt: skip


@pytest.fixture(autouse=True)
def terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")


def test_a_hit_names_its_place():
    assert hits_text([hit("Refunds take\nten days.", (3, 4), ("Terms", "Refunds"))]) == (
        " 1  0.500  fees/a.pdf, pages 3, 4\n"
        "           Terms > Refunds\n"
        "           Refunds take ten days."
    )


def test_a_long_passage_is_shown_by_its_beginning():
    lines = hits_text([hit("word " * 200, (1,))]).splitlines()
    assert len(lines) == 5 and lines[-1].endswith(" …")
    assert max(map(len, lines[:-1])) <= 60


def test_a_table_is_shown_by_rows():
    assert hits_text([hit(TABLE)]).splitlines()[1:] == [
        "           | City | Fee |",
        "           | --- | --- |",
        "           | Rome | 3 EUR |",
    ]


def test_no_hit_is_said():
    assert hits_text([]) == "Nothing found."


class Tables:
    """A library of literal footers."""

    def __init__(self, states, **footers):
        self._states, self._footers = states, footers

    def inventory(self):
        ids = sorted({state.doc_id for state in self._states} | {"new.pdf"})
        return DocumentInventory(tuple(DocumentEntry(i, i, "pdf", 1, 1, 1) for i in ids))

    def states(self, inventory):
        return self._states

    def table(self, asset):
        footers = self._footers.get(asset, {})
        return type("Table", (), {"footer": lambda self, key: footers.get(key)})()


def test_documents_are_listed_with_the_state_of_their_last_asset_and_what_was_not_read():
    scan = {"pages": 3, "pages_without_text": 2, "scanned_pages": [2, 3]}
    library = Tables(
        [
            DocumentState("documents", "scan.pdf", "fresh"),
            DocumentState("documents", "old.pdf", "fresh"),
            DocumentState("doc_chunks", "old.pdf", "stale", "the chunk settings changed"),
        ],
        documents={"scan.pdf": Footer("scan.pdf", "", 1, scan)},
        doc_chunks={"scan.pdf": Footer("scan.pdf", "", 7, {})},
    )
    assert listed_text(listed(library)).splitlines()[1:] == [
        "new.pdf   being written      0       0",
        "old.pdf   stale              0       0  the chunk settings changed",
        "scan.pdf  fresh              3       7  2 of 3 pages without text, scanned: install "
        "Tesseract to read them",
    ]


def test_versions_are_listed_with_their_recall():
    manifest = Manifest(
        version="20260101", code="1", created="", model=IndexModel("mini", "2", "f", 3), digest="",
        rows=1200, documents=3, method="approximate", recall_at_10={"none": 0.99, "one": 0.97},
        exact_up_to_rows=1, cells=2, candidates=3, seconds={}, reused=0,
    )  # fmt: skip
    assert versions_text([manifest]).splitlines()[-1].split() == [
        "20260101", "1,200", "3", "mini", "v2", "approximate", "0.97",
    ]  # fmt: skip
