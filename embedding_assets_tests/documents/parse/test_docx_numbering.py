import pytest

from embedding_assets.documents.document import Kind
from embedding_assets.documents.parse.docx import read_docx
from embedding_assets.documents.parse.docx_numbering import formatted
from embedding_assets_tests.documents.parse.docx_files import paragraph, write_docx


def level(place, number_format, text, more=""):
    return (
        f'<w:lvl w:ilvl="{place}"><w:start w:val="1"/><w:numFmt w:val="{number_format}"/>'
        f'{more}<w:lvlText w:val="{text}"/></w:lvl>'
    )


def definition(name, levels, more=""):
    return f'<w:abstractNum w:abstractNumId="{name}">{more}{levels}</w:abstractNum>'


def instance(name, of, more=""):
    return f'<w:num w:numId="{name}"><w:abstractNumId w:val="{of}"/>{more}</w:num>'


LEGAL = (
    level(0, "decimal", "%1.")
    + level(1, "decimal", "%1.%2")
    + level(2, "lowerLetter", "(%3)")
    + level(3, "upperRoman", "%1-%4")
)
RESTARTED = '<w:lvlOverride w:ilvl="0"><w:startOverride w:val="5"/></w:lvlOverride>'
NUMBERING = (
    definition("A", LEGAL)
    + definition("B", level(0, "bullet", "\uf0b7") + level(1, "bullet", "–"))
    + definition("N", level(0, "none", ""))
    + definition("S", level(0, "decimal", "§ %1"), '<w:styleLink w:val="OurList"/>')
    + definition("L", "", '<w:numStyleLink w:val="OurList"/>')
    + definition("R", level(0, "upperRoman", "%1") + level(1, "decimal", "%1.%2", "<w:isLgl/>"))
    + definition(
        "K", level(0, "decimal", "%1") + level(1, "decimal", "%2", '<w:lvlRestart w:val="0"/>')
    )
    + definition(
        "H", level(0, "decimal", "%1") + level(1, "decimal", "%1.%2", '<w:pStyle w:val="H2"/>')
    )
    + "".join(instance(name, name) for name in "ABNSLRKH")
    + instance("A2", "A")
    + instance("A5", "A", RESTARTED)
)


@pytest.fixture
def markers(tmp_path):
    def markers(*places, numbering=NUMBERING, styles=""):
        body = "".join(
            paragraph(
                f"{place}", f'<w:numPr><w:ilvl w:val="{depth}"/><w:numId w:val="{name}"/></w:numPr>'
            )
            for place, (name, depth) in enumerate(places)
        )
        others = {"numbering": numbering} if numbering else {}
        document = read_docx(write_docx(tmp_path / "a.docx", body, styles=styles, **others))
        return [(block.marker, block.level) for block in document.blocks]

    return markers


def test_items_count_by_level_and_deeper_levels_start_again(markers):
    places = [("A", 0), ("A", 1), ("A", 1), ("A", 2), ("A", 0), ("A", 1), ("A", 3)]
    assert [marker for marker, _ in markers(*places)] == [
        *("1.", "1.1", "1.2", "(a)", "2.", "2.1", "2-I"),
    ]


def test_the_level_of_an_item_is_its_nesting_from_1(markers):
    assert markers(("B", 0), ("B", 1)) == [("•", 1), ("–", 2)]


def test_a_skipped_level_counts_as_begun(markers):
    assert [it for it, _ in markers(("A", 1), ("A", 1), ("A", 0))] == ["1.1", "1.2", "2."]


def test_lists_of_one_definition_go_on_unless_told_where_to_start(markers):
    places = [("A", 0), ("A2", 0), ("A5", 0), ("A5", 0), ("A", 0)]
    assert [it for it, _ in markers(*places)] == ["1.", "2.", "5.", "6.", "7."]


def test_a_list_takes_its_levels_from_a_list_style(markers):
    assert [it for it, _ in markers(("L", 0), ("L", 0))] == ["§ 1", "§ 2"]


def test_legal_numbers_are_decimal_throughout(markers):
    assert [it for it, _ in markers(("R", 0), ("R", 1))] == ["I", "1.1"]


def test_a_level_that_never_restarts_counts_on(markers):
    places = [("K", 0), ("K", 1), ("K", 0), ("K", 1)]
    assert [it for it, _ in markers(*places)] == ["1", "1", "2", "2"]


def test_a_level_that_shows_nothing_is_a_paragraph(tmp_path):
    numbered = '<w:numPr><w:ilvl w:val="0"/><w:numId w:val="N"/></w:numPr>'
    path = write_docx(tmp_path / "a.docx", paragraph("text", numbered), numbering=NUMBERING)
    assert [block.kind for block in read_docx(path).blocks] == [Kind.PARAGRAPH]


@pytest.mark.parametrize("name", ["0", "unknown"])
def test_a_list_that_is_switched_off_or_unknown_is_none(markers, name):
    assert markers((name, 0)) == [("", 0)]


def test_items_stay_items_where_the_lists_are_missing(markers):
    assert markers(("A", 0), ("A", 2), numbering="") == [("", 1), ("", 3)]


def test_a_heading_is_numbered_through_its_style(tmp_path):
    styles = "".join(
        f'<w:style w:type="paragraph" w:styleId="H{it}"><w:name w:val="heading {it}"/>'
        f'<w:pPr><w:numPr>{depth}<w:numId w:val="H"/></w:numPr></w:pPr></w:style>'
        for it, depth in ((1, '<w:ilvl w:val="0"/>'), (2, ""))
    )
    body = "".join(
        paragraph(text, f'<w:pStyle w:val="{style}"/>')
        for text, style in (("A", "H1"), ("B", "H2"), ("", "H2"), ("C", "H2"), ("D", "H1"))
    )
    path = write_docx(tmp_path / "a.docx", body, numbering=NUMBERING, styles=styles)
    assert [(it.marker, it.text, it.level) for it in read_docx(path).blocks] == [
        ("1", "A", 1),
        ("1.1", "B", 2),
        ("1.3", "C", 2),
        ("2", "D", 1),
    ]


def test_a_heading_with_a_bullet_has_no_number(tmp_path):
    properties = '<w:outlineLvl w:val="0"/><w:numPr><w:numId w:val="B"/></w:numPr>'
    path = write_docx(tmp_path / "a.docx", paragraph("text", properties), numbering=NUMBERING)
    assert [(it.kind, it.marker) for it in read_docx(path).blocks] == [(Kind.HEADING, "")]


@pytest.mark.parametrize(
    ("count", "number_format", "text"),
    [
        (4, "decimal", "4"),
        (4, "decimalZero", "04"),
        (28, "lowerLetter", "bb"),
        (3, "upperLetter", "C"),
        (1994, "lowerRoman", "mcmxciv"),
        (49, "upperRoman", "XLIX"),
        (10**9, "lowerLetter", "1000000000"),
        (0, "lowerRoman", "0"),
        (7, "hebrew1", "7"),
        (7, "none", ""),
    ],
)
def test_counts_are_written_in_the_formats_of_word(count, number_format, text):
    assert formatted(count, number_format) == text
