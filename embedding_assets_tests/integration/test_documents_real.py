"""Real PDF, DOCX, JSON files and pairs through `documents sync`, read from ../shared/data."""

import csv
import re
import shutil
import unicodedata
from collections import Counter
from pathlib import Path

import pytest

from embedding_assets.embedding.windows import TextReader, read_tokenizer
from embedding_assets_tests.integration.papers import found, quarantined, states, synced

SHARED = Path(__file__).parents[3] / "shared" / "data"
WINDOW = 254
FOLDERS = {"pdf": "*.pdf", "docx": "*.docx", "json": "*.json", "paged-texts": "*_*.*"}
LOCKED = {"libreoffice-writer-password", "password-example", "crazyones-encrypted-256",
          "r6-both-passwords", "2206.01062_pg3"}  # fmt: skip
NO_TEXT = {"ocr_test.pdf", "MEDRPT-2024-PAT-3847_medical_report_scan.pdf",
           "docx/tbl-having-tables.docx"}  # fmt: skip
LEAST = 0.98
WORD = re.compile(r"\w+")

pytestmark = pytest.mark.skipif(
    not SHARED.exists(), reason="needs ../shared/data beside the checkout"
)


def truth():
    """What is known of each PDF that lies there, by file name."""
    with (SHARED / "pdf" / "GROUNDTRUTH.csv").open() as file:
        rows = {Path(row["file"]).name: row for row in csv.DictReader(file)}
    return {name: row for name, row in rows.items() if (SHARED / "pdf" / name).exists()}


@pytest.fixture(scope="module")
def first(registered, tmp_path_factory):
    place = registered.copy(tmp_path_factory.mktemp("real") / "place")
    for folder, pattern in FOLDERS.items():
        (place.documents / folder).mkdir()
        for path in (SHARED / folder).glob(pattern):
            shutil.copy(path, place.documents / folder)
    return place, synced(
        place, EMBEDDING_ASSETS_DOCUMENTS__OCR="false", EMBEDDING_ASSETS_DOCUMENTS__WORKERS=2
    )


@pytest.fixture(scope="module")
def place(first):
    return first[0]


@pytest.fixture(scope="module")
def chunks(place):
    """The chunks of each PDF by file name."""
    by_name = {}
    for row in place.table("doc_chunks").to_pylist():
        by_name.setdefault(row["doc_id"].removeprefix("pdf/"), []).append(row)
    assert len(by_name) == 68 - len(LOCKED) - len(NO_TEXT) - 1
    assert not by_name.keys() & NO_TEXT
    return by_name


@pytest.fixture(scope="module")
def raw():
    """The text of each page of the PDFs that can be read, as pypdfium2 gives it."""
    return {name: pages for name in truth() if (pages := raw_pages(SHARED / "pdf" / name))}


def raw_pages(path):
    import pypdfium2

    try:
        document = pypdfium2.PdfDocument(path)
    except pypdfium2.PdfiumError:
        return []
    return [
        (page.get_size(), page.get_textpage().get_text_range(errors="replace")) for page in document
    ]


def words(text):
    """Its words; those that a line's end divides are joined as readers join them."""
    plain = unicodedata.normalize("NFKC", text)
    joined = re.sub(r"[-\u00ad\u2010\ufffe]\s*\r?\n\s*", "", plain)
    return Counter(WORD.findall(joined.lower()))


def pieces(text):
    """Its words and, where a line ends in a hyphen, either half of the divided one too."""
    plain = unicodedata.normalize("NFKC", text).replace("\ufffe", "-").lower()
    return words(text) + Counter(WORD.findall(plain))


def share_found(chunks, pages):
    """The share of the chunks' words that stand on the pages that each of them names."""
    lost = every = 0
    for chunk in chunks:
        told = words(chunk["text"])
        held = sum((pieces(pages[number - 1][1]) for number in chunk["pages"]), Counter())
        lost, every = lost + (told - held).total(), every + told.total()
    return 1 - lost / every


def share_kept(chunks, pages):
    """The share of the pages' words that stand in any of the chunks."""
    text = words("\n".join(text for _, text in pages))
    held = words("\n".join(" ".join([*each["heading_path"], each["text"]]) for each in chunks))
    return (text & held).total() / text.total()


def mean(shares):
    return sum(shares.values()) / len(shares)


def test_the_unreadable_ones_are_quarantined_with_a_true_reason_and_nothing_else(first):
    place, said = first
    rows = quarantined(place)
    reasons = {doc_id.removeprefix("pdf/"): row["kind"] for doc_id, row in rows.items()}
    expected = {f"{name}.pdf": "locked" for name in LOCKED} | {"empty.pdf": "empty"}
    assert reasons == expected
    assert {name for name, row in truth().items() if row["password"]} == {
        f"{name}.pdf" for name in LOCKED
    }
    every = len(truth()) + 21 + 5 + 3
    assert (said["documents"], said["quarantined"]) == (every, len(expected))
    ready = [
        doc_id
        for doc_id, state in states(place, EMBEDDING_ASSETS_DOCUMENTS__OCR="false").items()
        if state == "fresh"
    ]
    assert len(ready) == every - len(expected)


def test_the_pages_are_as_they_were_counted(place):
    held = {
        row["doc_id"].removeprefix("pdf/"): row["page_count"]
        for row in place.table("documents").to_pylist()
        if row["format"] == "pdf"
    }
    wanted = {name: int(row["pages"]) for name, row in truth().items()}
    assert held == {name: wanted[name] for name in held}


def test_every_chunk_stands_on_the_pages_that_it_names(chunks, raw):
    shares = {
        name: share_found(chunks[name], pages) for name, pages in raw.items() if name in chunks
    }
    below = {name: round(share, 3) for name, share in shares.items() if share < LEAST}
    assert mean(shares) >= LEAST, below
    # Raw text of these runs words together, or has Arabic ligatures the wrong way round.
    assert below.keys() <= {"right_to_left_01.pdf", "normal_4pages.pdf", "multi-column-2p.pdf"}


def test_few_words_of_a_file_are_left_out(chunks, raw):
    shares = {
        name: share_kept(chunks[name], pages) for name, pages in raw.items() if name in chunks
    }
    # Two of its pages show one half each of what both of them hold.
    del shares["reliance.pdf"]
    low = {name: round(share, 3) for name, share in shares.items() if share < 0.95}
    assert mean(shares) >= 0.97, low
    assert min(shares.values()) >= 0.8, low  # headers and footers of a page of few words


def test_boxes_lie_inside_their_pages(chunks, raw):
    outside = []
    for name, pages in raw.items():
        for chunk in chunks.get(name, []):
            for box in chunk["boxes"]:
                width, height = pages[box["page"] - 1][0]
                assert box["page"] in chunk["pages"]
                is_inside = (
                    -1 <= box["left"] < box["right"] <= width + 1
                    and -1 <= box["top"] < box["bottom"] <= height + 1
                )
                if not is_inside:
                    outside.append((name, box, (width, height)))
    assert outside == []


def test_no_chunk_is_larger_than_the_model_reads_at_once(place):
    rows = place.table("doc_chunks").to_pylist()
    reader = TextReader.of(read_tokenizer(place.model), WINDOW)
    texts = ["\n".join([*row["heading_path"], row["text"]]) for row in rows]
    counted = [len(ids) for ids in reader.read(texts)]
    assert max(row["tokens"] for row in rows) <= WINDOW
    assert max(counted) <= WINDOW + 4


@pytest.mark.parametrize(
    ("query", "doc_id"),
    [
        ("LayoutParser document image", "pdf/layout-parser-paper-with-empty-pages.pdf"),
        ("Cupertino Union School District", "pdf/cupertino_usd_4-6-16.pdf"),
        ("Siege of Vicksburg", "pdf/Seige_of_Vicksburg_Sample_OCR.pdf"),
        ("misfits rebels troublemakers", "pdf/crazyones.pdf"),
    ],
)  # fmt: skip
def test_a_passage_is_found(place, query, doc_id):
    assert doc_id in found(place, query)
