import json
from datetime import UTC, datetime
from hashlib import sha256

from embedding_assets.forget.receipt import Receipt, Step, keep_receipt, receipt_text

RECEIPT = Receipt(
    "document",
    "a.pdf",
    datetime(2026, 3, 1, 12, 0, 5, tzinfo=UTC),
    (Step("tombstones", "listed", 1), Step("doc_chunks", "partitions removed", 1200)),
)


def test_the_text_has_a_line_for_each_place():
    assert receipt_text(RECEIPT) == (
        "The document a.pdf is forgotten (2026-03-01 12:00:05 UTC).\n"
        "  tombstones      1  listed\n"
        "  doc_chunks  1,200  partitions removed"
    )


def test_the_kept_receipt_has_a_hash_in_place_of_the_id(tmp_path):
    path = keep_receipt(RECEIPT, tmp_path)
    assert path.parent == tmp_path / "forgotten" / "receipts"
    assert "a.pdf" not in path.read_text() + path.name
    assert json.loads(path.read_text()) == {
        "kind": "document",
        "id_sha256": sha256(b"a.pdf").hexdigest(),
        "at": "2026-03-01T12:00:05+00:00",
        "steps": [
            {"place": "tombstones", "what": "listed", "count": 1},
            {"place": "doc_chunks", "what": "partitions removed", "count": 1200},
        ],
    }
