"""Bad files and odd names in the watched folder, through `documents sync` and a search."""

import json
import os
import shlex
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

import pytest

from embedding_assets_tests.documents.parse import docx_files, pdfs
from embedding_assets_tests.integration.doors import DAGSTER
from embedding_assets_tests.integration.papers import (
    documents,
    found,
    put,
    put_pair,
    quarantined,
    states,
    synced,
)
from embedding_assets_tests.integration.workplace import EMBEDDING_ASSETS, leftovers

EVIL = b"""%PDF-1.4
1 0 obj <</Type/Catalog/Pages 2 0 R>> endobj
2 0 obj <</Type/Pages/Kids[3 0 R]/Count 1>> endobj
3 0 obj <</Type/Page/Parent 2 0 R/MediaBox[0 0 300 300]/Resources<</XObject<</X 4 0 R>>
/Font<</F 6 0 R>>>>/Contents 5 0 R>> endobj
4 0 obj <</Type/XObject/Subtype/Form/BBox[0 0 300 300]/Resources<</XObject<</X 4 0 R>>>>
/Length 5>> stream
/X Do
endstream endobj
5 0 obj <</Length 53>> stream
/X Do BT /F 12 Tf 20 200 Td (Recursive zeppelin) Tj ET
endstream endobj
6 0 obj <</Type/Font/Subtype/Type1/BaseFont/Helvetica>> endobj
trailer <</Root 1 0 R>>
"""
GOOD_PDF = pdfs.pdf(pdfs.text(50, 100, "Paper about aardvark"))
ENTITIES = '<!DOCTYPE d [<!ENTITY e SYSTEM "file:///etc/hostname">]>'
TEXTS = [("Words", ["p1"])]
DOCUMENTS = " or ".join(
    f"key:{asset}"
    for asset in ("document_files", "documents", "quarantined_documents", "doc_chunks",
                  "doc_vectors", "document_index")
)  # fmt: skip
LONG = "long " * 49 + ".json"


def bomb(path):
    with ZipFile(path, "w", ZIP_DEFLATED) as archive:
        with archive.open("word/document.xml", "w") as entry:
            for _ in range(65):
                entry.write(b" " * 2**20)


def entities(path):
    parts = docx_files.parts_of(docx_files.paragraph("&e;"))
    parts["word/document.xml"] = ENTITIES + parts["word/document.xml"]
    docx_files.write_parts(path, parts)


def bad_files(folder):
    put_pair(folder, "unresolved", [("Lost", ["p9"])])
    put_pair(folder, "torn-csv", TEXTS, 'id,pg_num\n"p1,1\n')
    put_pair(folder, "torn-json", b'[{"text":')
    put_pair(folder, "no-pages", TEXTS)
    (folder / "pages_no-pages.csv").unlink()
    put_pair(folder, "no-texts", TEXTS)
    (folder / "texts_no-texts.json").unlink()
    (folder / "torn.json").write_text('{"body": ["Torn')
    (folder / "levels-100.json").write_text('{"a":' * 99 + '{"body": "Deep"}' + "}" * 99)
    (folder / "abyss.json").write_text("[" * 100_000 + "]" * 100_000)
    bomb(folder / "bomb.docx")
    entities(folder / "entities.docx")
    (folder / "cut.docx").write_bytes((folder / "entities.docx").read_bytes()[:300])
    (folder / "empty.pdf").touch()
    (folder / "cut.pdf").write_bytes(GOOD_PDF[:100])
    (folder / "picture.pdf").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    (folder / "pdf.json").write_bytes(GOOD_PDF)
    (folder / "pdf.docx").write_bytes(GOOD_PDF)
    (folder / "link.json").symlink_to("/etc/passwd")
    (folder / "nowhere.json").symlink_to("nothing.json")
    os.mkfifo(folder / "pipe.json")
    Path(os.fsdecode(os.fsencode(folder) + b"/latin-\xff.json")).write_text("{}")


REASONS = {
    "unresolved": ("unresolved_page", "'p9'"),
    "torn-csv": ("damaged", "pages_torn-csv.csv"),
    "torn-json": ("damaged", "not JSON"),
    "no-pages": ("unreadable", "pages_no-pages.csv"),
    "no-texts": ("unreadable", "texts_no-texts.json"),
    "torn.json": ("damaged", "line 1"),
    "levels-100.json": ("refused", "more than 64 levels"),
    "abyss.json": ("refused", "more than 64 levels"),
    "bomb.docx": ("refused", "200 times"),
    "entities.docx": ("refused", "entities"),
    "cut.docx": ("damaged", ""),
    "empty.pdf": ("empty", "no byte"),
    "cut.pdf": ("damaged", ""),
    "picture.pdf": ("damaged", "PNG"),
    "pdf.json": ("damaged", "is a PDF"),
    "pdf.docx": ("damaged", "is a PDF"),
    "link.json": ("unreadable", "link"),
    "nowhere.json": ("unreadable", "link"),
    "pipe.json": ("unreadable", "regular"),
    "latin-%ED%B3%BF.json": ("unreadable", "UTF-8"),
}

NAMES = {
    "a b  c.json": "kiwi",
    "it's.json": "mango",
    'quo"te.json': "papaya",
    "東京 🍕.json": "guava",
    LONG: "lychee",
    "100%.json": "quince",
    "a,b[1]*.json": "feijoa",
    "three...dots.json": "durian",
    "-dash.json": "rambutan",
    "new\nline.json": "tamarind",
    "same.json": "persimmon",
    "below/same.json": "salak",
    "Zoe\u0308.json": "longan",
    "Zo\u00eb.json": "loquat",
    "$(reboot) `id`; --x.json": "jackfruit",
}
HOLDS = {
    "aardvark.pdf": "aardvark", "same.pdf": "aardvark", "same.docx": "binturong",
    "evil.pdf": "zeppelin", "levels.json": "bottom", "pair": "tapir",
}  # fmt: skip


def good_files(folder):
    for name, word in NAMES.items():
        put(folder, name, f"About {word} alone.")
    for name in ("aardvark.pdf", "same.pdf"):
        (folder / name).write_bytes(GOOD_PDF)
    (folder / "evil.pdf").write_bytes(EVIL)
    docx_files.write_docx(folder / "same.docx", docx_files.paragraph("The binturong."))
    deep = '{"a":' * 49 + '{"body": "Words at the bottom of fifty levels"}' + "}" * 49
    (folder / "levels.json").write_text(deep)
    put_pair(folder, "pair", [("A tapir.", ["p2"])])


@pytest.fixture(scope="module")
def first(registered, tmp_path_factory):
    """A workplace whose folder holds all of them, and what the first `documents sync` said."""
    place = registered.copy(tmp_path_factory.mktemp("read") / "place")
    good_files(place.documents)
    bad_files(place.documents)
    return place, synced(place)


@pytest.fixture(scope="module")
def read(first):
    return first[0]


def assert_each_bad_file_is_quarantined(place):
    rows = quarantined(place)
    assert rows.keys() == REASONS.keys()
    for doc_id, (kind, words) in REASONS.items():
        assert rows[doc_id]["kind"] == kind, rows[doc_id]
        assert words in rows[doc_id]["reason"], rows[doc_id]
        assert rows[doc_id]["mend"].endswith(".")


def assert_odd_names_are_found(place):
    done = place.run(EMBEDDING_ASSETS, "search", "alone", "--mode", "keyword", "-k", 50, "--json")
    hits = {hit["path"]: hit["text"] for hit in json.loads(done.out)}
    assert hits == {name: f"body: About {word} alone." for name, word in NAMES.items()}


def test_each_bad_file_is_quarantined_with_a_true_reason(first):
    place, said = first
    assert_each_bad_file_is_quarantined(place)
    assert said["quarantined"] == len(REASONS)
    assert said["documents"] == said["to_run"] == len(REASONS) + len(NAMES) + len(HOLDS)


def test_the_others_go_on(read):
    ready = [doc_id for doc_id, state in states(read).items() if state == "fresh"]
    assert len(ready) == len(NAMES) + len(HOLDS)
    assert leftovers(read.data_dir / "assets") == leftovers(read.data_dir / "index") == []


def test_odd_names_are_found_with_their_path(read):
    assert_odd_names_are_found(read)


@pytest.mark.parametrize("word", sorted(set(HOLDS.values())))
def test_files_of_one_stem_and_odd_content_are_found(read, word):
    wanted = sorted(path for path, held in HOLDS.items() if held == word)
    assert sorted(found(read, word)) == wanted


def test_a_second_look_does_nothing(read):
    again = synced(read)
    assert (again["to_run"], again["deleted"], again["run_id"]) == (0, 0, None)


def test_dagster_takes_the_range_that_was_registered_as_it_is_printed(registered, tmp_path):
    place = registered.copy(tmp_path / "place")
    good_files(place.documents)
    bad_files(place.documents)
    printed = documents(place, "sync", "--register-only").out.splitlines()[-1]
    done = place.run(
        DAGSTER, "asset", "materialize", "--select", DOCUMENTS, *shlex.split(printed),
        "-m", "embedding_assets.definitions",
    )  # fmt: skip
    assert done.code == 0, done
    warnings = [line for line in done.err.splitlines() if "Warning" in line]
    assert [line for line in warnings if "SupersessionWarning" not in line] == []
    assert_each_bad_file_is_quarantined(place)
    assert_odd_names_are_found(place)
    assert synced(place)["to_run"] == 0


def test_a_range_of_one_document_is_taken_by_dagster(graph):
    put(graph.documents, "it's.json", "About mango alone.")
    printed = documents(graph, "sync", "--register-only").out.splitlines()[-1]
    done = graph.run(
        DAGSTER, "asset", "materialize", "--select", DOCUMENTS, *shlex.split(printed),
        "-m", "embedding_assets.definitions",
    )  # fmt: skip
    assert done.code == 0, done
    assert found(graph, "mango") == ["it's.json"]
