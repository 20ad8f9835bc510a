from embedding_assets.documents.document import Block, Box, Document, Kind
from embedding_assets.documents.entities.finder import Finder
from embedding_assets.documents.entities.rules import Rules
from embedding_assets.documents.entities.slices import (
    ENTITY_SCHEMA,
    entities_of,
    entity_slices,
    place_of,
)
from embedding_assets.documents.table import DOCUMENT_SCHEMA, StoredDocument, documents_to_batch
from embedding_assets.storage.parquet import ParquetTable
from embedding_assets.storage.slices import Slice

MONEY = Finder(Rules(("money",)))


def shelf(tmp_path, **texts):
    table = ParquetTable.at(tmp_path / "documents")
    for doc_id, text in texts.items():
        block = Block(Kind.PARAGRAPH, text, pages=(2,), boxes=(Box(2, 1.0, 2.0, 3.0, 4.0),))
        stored = StoredDocument(doc_id, f"{doc_id}.pdf", Document("pdf", (block,)), "sha", 1)
        batch = documents_to_batch([stored])
        table.write(Slice(doc_id, f"{doc_id} {text}", DOCUMENT_SCHEMA, lambda rows=batch: [rows]))
    return table, ParquetTable.at(tmp_path / "doc_entities")


def written(documents, stored, finder, keys=("a", "b")):
    return {
        part.key: stored.write(part).replaced
        for part in entity_slices(documents, stored, keys, finder)
    }


def test_rows_have_place_page_box_and_source(tmp_path):
    documents, stored = shelf(tmp_path, a="It costs $5 or € 7.", b="Nothing.")
    assert written(documents, stored, MONEY) == {"a": True, "b": True}
    first, second = stored.read("a").to_pylist()
    assert first == {
        "doc_id": "a", "text": "$5", "label": "MONEY", "start": 9, "end": 11, "block": 0, "page": 2,
        "box": {"page": 2, "left": 1.0, "top": 2.0, "right": 3.0, "bottom": 4.0}, "score": 1.0,
        "source": "rule:money",
    }  # fmt: skip
    assert second["text"] == "€ 7"
    assert stored.read("b").num_rows == 0
    assert stored.read("a").schema.equals(ENTITY_SCHEMA)


def test_only_changed_documents_are_looked_at_again(tmp_path):
    documents, stored = shelf(tmp_path, a="$5", b="$6")
    written(documents, stored, MONEY)
    shelf(tmp_path, b="$7")
    assert written(documents, stored, MONEY) == {"a": False, "b": True}


def test_another_rule_or_model_makes_all_stale(tmp_path):
    documents, stored = shelf(tmp_path, a="$5", b="$6")
    written(documents, stored, MONEY)
    assert written(documents, stored, Finder(Rules(("money", "date")))) == {"a": True, "b": True}


def test_the_blocks_of_a_document_are_read_together_and_apart_from_others(tmp_path):
    documents, stored = shelf(tmp_path, a="Oslo", b="Bergen")
    asked = []

    class Model:
        def find(self, texts, of):
            asked.append((list(texts), list(of)))
            return [[] for _ in texts]

    finder = Finder(Rules(), "digest", Model)
    written(documents, stored, finder)
    entities_of([Block(Kind.PARAGRAPH, text) for text in ("Oslo", "Bergen")], finder)
    (_, [first, second]), (texts, [one, other]) = asked
    assert first != second
    assert texts == ["Oslo", "Bergen"] and one == other


def test_nothing_configured_writes_nothing_and_empties_what_there_was(tmp_path):
    documents, stored = shelf(tmp_path, a="$5", b="$6")
    assert written(documents, stored, Finder(Rules())) == {}
    written(documents, stored, MONEY, keys=("a",))
    assert written(documents, stored, Finder(Rules())) == {"a": True}
    assert stored.read("a").num_rows == 0


def test_a_document_that_was_never_read_has_none(tmp_path):
    documents, stored = shelf(tmp_path, a="$5")
    assert written(documents, stored, MONEY) == {"a": True}


def test_of_several_boxes_the_one_where_the_text_would_stand():
    boxes = (Box(1, 0.0, 0.0, 10.0, 30.0), Box(2, 0.0, 0.0, 10.0, 10.0))
    block = Block(Kind.PARAGRAPH, "x" * 100, pages=(1, 2), boxes=boxes)
    assert [place_of(block, start)[0] for start in (0, 74, 76, 99)] == [1, 1, 2, 2]
    assert place_of(block, 99) == (2, boxes[1])


def test_without_boxes_or_pages_there_is_no_place():
    assert place_of(Block(Kind.PARAGRAPH, "x" * 10, pages=(3, 4)), 6) == (4, None)
    assert place_of(Block(Kind.PARAGRAPH, "x"), 0) == (None, None)


def test_rows_of_blocks_alone():
    blocks = [Block(Kind.PARAGRAPH, "no"), Block(Kind.TABLE, "| $5 |")]
    [row] = entities_of(blocks, MONEY)
    assert (row["block"], row["start"], row["text"]) == (1, 2, "$5")
