"""Real files against the Markdown that Docling's tests expect of them, from ../shared/data."""

import re
from difflib import SequenceMatcher
from pathlib import Path

import pytest

from embedding_assets.documents.document import Kind
from embedding_assets.documents.parse.docx import read_docx

FOLDER = Path(__file__).parents[4] / "shared" / "data" / "docx"
NAMES = sorted(path.name for path in FOLDER.glob("*.docx"))
JUDGED = [name for name in NAMES if (FOLDER / f"{name}.md").exists()]

pytestmark = pytest.mark.skipif(
    not FOLDER.exists(), reason="needs ../shared/data beside the checkout"
)


def words(markdown):
    """The words of Markdown without its syntax: images, addresses, escapes, list marks."""
    text = re.sub(r"<!--.*?-->", " ", markdown)
    text = re.sub(r"\[([^\]]*)\]\(https?:[^)]*\)", r"\1", text)
    text = text.replace("\\_", "_")
    return re.findall(r"[^\W_]+", text)


def letters(markdown):
    """Words run together: Docling parts them where the formatting changes, as in H 2 O."""
    return "".join(words(markdown))


def expected(name):
    return (FOLDER / f"{name}.md").read_text()


def expected_headings(name):
    outside_code = re.sub(r"(?ms)^```.*?^```", "", expected(name))
    found = re.findall(r"(?m)^(#+) (.*)$", outside_code)
    return [(len(marks) - 1, letters(text)) for marks, text in found]


def cells(table):
    """The cells of the rows of a Markdown table, without the rule below its header."""
    rows = [re.split(r"(?<!\\)\|", line.strip())[1:-1] for line in table.strip().split("\n")]
    return [[letters(cell) for cell in row] for row in rows[:1] + rows[2:]]


def expected_tables(name):
    return [cells(table) for table in re.findall(r"(?m)(?:^\|.*\|$\n?)+", expected(name))]


@pytest.mark.parametrize("name", JUDGED)
def test_98_of_100_words_are_read_in_order(name):
    truth, read = words(expected(name)), words(read_docx(FOLDER / name).markdown)
    matcher = SequenceMatcher(None, truth, read, autojunk=False)
    matched = sum(block.size for block in matcher.get_matching_blocks())
    assert matched >= 0.98 * len(truth)
    assert matched >= 0.98 * len(read)


@pytest.mark.parametrize("name", JUDGED)
def test_headings_are_found_with_their_levels_and_numbers(name):
    assert [
        (block.level, letters(f"{block.marker} {block.text}"))
        for block in read_docx(FOLDER / name).blocks
        if block.kind in (Kind.TITLE, Kind.HEADING)
    ] == expected_headings(name)


@pytest.mark.parametrize("name", JUDGED)
def test_the_cells_of_tables_are_not_torn(name):
    blocks = read_docx(FOLDER / name).blocks
    read = [cells(block.text) for block in blocks if block.kind is Kind.TABLE]
    assert read == expected_tables(name)


@pytest.mark.parametrize("name", NAMES)
def test_pages_count_up_and_carry_the_text_of_their_blocks(name):
    document = read_docx(FOLDER / name)
    numbers = [page.number for page in document.pages]
    assert numbers == list(range(1, len(numbers) + 1))
    assert all(set(block.pages) <= set(numbers) for block in document.blocks)
    assert all(block.text.strip() for block in document.blocks)
    assert all(bool(block.pages) == bool(numbers) for block in document.blocks)


@pytest.mark.parametrize(
    ("name", "pages"),
    [
        ("par-rendered-page-breaks.docx", 6),
        ("unit_test_formatting.docx", 3),
        ("docx_page_header_footer_first_page.docx", 2),
        ("lorem_ipsum.docx", 0),
    ],
)
def test_the_pages_of_known_files_are_counted(name, pages):
    assert len(read_docx(FOLDER / name).pages) == pages


def test_lists_have_their_nesting_and_markers():
    items = [
        (block.level, block.marker, block.text)
        for block in read_docx(FOLDER / "docx_lists.docx").blocks
        if block.kind is Kind.LIST_ITEM
    ]
    assert items[:3] == [(1, "•", f"List item {place}") for place in (1, 2, 3)]
    assert items[3:6] == [(1, f"{n}.", f"List item {c}") for n, c in ((1, "a"), (2, "b"), (3, "c"))]
    assert [level for level, _, _ in items[6:12]] == [1, 1, 2, 2, 2, 1]
    assert items[-4:] == [
        (3, "·", "Return the borrowed library novels"),
        (2, "2.2", "Kitchen Tasks"),
        (1, "3.", "WORKSHOP AND TOOL SHED"),
        (2, "3.1", "Bench Setup"),
    ]


def test_code_is_told_from_prose_in_a_monospaced_font():
    blocks = read_docx(FOLDER / "docx_code_blocks.docx").blocks
    assert [block.text.split("\n")[0] for block in blocks if block.kind is Kind.CODE] == [
        "import sys",
        "SELECT * FROM users WHERE active = 1;",
        "def fib(n):",
    ]
    assert "def fib(n):\n    a, b = 0, 1\n    for _ in range(n):" in "".join(b.text for b in blocks)
