import docx
import pytest

from embedding_assets.documents.document import Block, Kind
from embedding_assets.documents.parse.docx import read_docx
from embedding_assets_tests.documents.parse.docx_files import (
    paragraph,
    parts_of,
    relationships,
    write_docx,
    write_parts,
)

STYLES = """
<w:docDefaults><w:rPrDefault><w:rPr><w:rFonts w:ascii="Calibri"/><w:lang w:val="da-DK"/></w:rPr>
</w:rPrDefault></w:docDefaults>
<w:style w:type="paragraph" w:default="1" w:styleId="a"><w:name w:val="Normal"/></w:style>
<w:style w:type="paragraph" w:styleId="Overskrift2"><w:name w:val="heading 2"/>
  <w:basedOn w:val="a"/><w:pPr><w:outlineLvl w:val="1"/></w:pPr></w:style>
<w:style w:type="paragraph" w:styleId="Clause"><w:name w:val="Our clause"/>
  <w:basedOn w:val="Overskrift2"/></w:style>
<w:style w:type="paragraph" w:styleId="Contents"><w:name w:val="TOC Heading"/>
  <w:basedOn w:val="Overskrift2"/><w:pPr><w:outlineLvl w:val="9"/></w:pPr></w:style>
<w:style w:type="paragraph" w:styleId="U3"><w:name w:val="Überschrift 3"/></w:style>
<w:style w:type="paragraph" w:styleId="loop1"><w:name w:val="one"/>
  <w:basedOn w:val="loop2"/></w:style>
<w:style w:type="paragraph" w:styleId="loop2"><w:name w:val="two"/>
  <w:basedOn w:val="loop1"/></w:style>
<w:style w:type="paragraph" w:styleId="Titel"><w:name w:val="Title"/></w:style>
<w:style w:type="paragraph" w:styleId="Cap"><w:name w:val="caption"/></w:style>
<w:style w:type="paragraph" w:styleId="Src"><w:name w:val="Source Code"/></w:style>
<w:style w:type="paragraph" w:styleId="Gone"><w:name w:val="gone"/>
  <w:rPr><w:vanish/></w:rPr></w:style>
<w:style w:type="character" w:styleId="secret"><w:name w:val="secret"/><w:rPr><w:vanish/></w:rPr>
</w:style>
<w:style w:type="character" w:styleId="mono"><w:name w:val="mono"/>
  <w:rPr><w:rFonts w:ascii="Consolas"/></w:rPr></w:style>
"""


@pytest.fixture
def read(tmp_path):
    def read(body, **others):
        return read_docx(write_docx(tmp_path / "a.docx", body, **others))

    return read


def styled(text, style, run=""):
    return paragraph(text, f'<w:pStyle w:val="{style}"/>', run)


def texts(document):
    return [block.text for block in document.blocks]


def raised(text, place="superscript"):
    properties = f'<w:rPr><w:vertAlign w:val="{place}"/></w:rPr>'
    return f"<w:r>{properties}<w:t>{text}</w:t></w:r>"


RUBY = "<w:r><w:ruby><w:rt>{}</w:rt><w:rubyBase>{}</w:rubyBase></w:ruby></w:r>"
NOTED = '<w:commentRangeStart w:id="1"/>{}<w:r><w:commentReference w:id="1"/></w:r>'
CONTROL = "<w:sdt><w:sdtPr/><w:sdtContent>{}</w:sdtContent></w:sdt>"
BREAKS = "<w:r><w:t>a</w:t><w:tab/><w:t>b</w:t><w:br/><w:t>c</w:t><w:cr/><w:t>d</w:t></w:r>"
HYPHENS = "<w:r><w:t>a</w:t><w:noBreakHyphen/><w:t>b</w:t><w:softHyphen/><w:t>c</w:t></w:r>"


def inside(xml):
    """The text of a paragraph with that inside."""
    return f"<w:p>{xml}</w:p>"


def run(text):
    return f'<w:r><w:t xml:space="preserve">{text}</w:t></w:r>'


@pytest.mark.parametrize(
    ("style", "kind", "level"),
    [
        ("Overskrift2", Kind.HEADING, 2),
        ("Clause", Kind.HEADING, 2),
        ("Contents", Kind.HEADING, 2),
        ("U3", Kind.HEADING, 3),
        ("Heading4", Kind.HEADING, 4),
        ("Titel", Kind.TITLE, 0),
        ("Cap", Kind.CAPTION, 0),
        ("Src", Kind.CODE, 0),
        ("a", Kind.PARAGRAPH, 0),
        ("loop1", Kind.PARAGRAPH, 0),
        ("unknown", Kind.PARAGRAPH, 0),
    ],
)
def test_a_style_tells_what_a_paragraph_is(read, style, kind, level):
    assert read(styled("text", style), styles=STYLES).blocks == (Block(kind, "text", level),)


def test_a_paragraph_with_an_outline_level_is_a_heading(read):
    body = paragraph("yes", '<w:outlineLvl w:val="4"/>') + paragraph(
        "no", '<w:outlineLvl w:val="9"/>'
    )
    assert [(it.kind, it.level) for it in read(body).blocks] == [
        (Kind.HEADING, 5),
        (Kind.PARAGRAPH, 0),
    ]


def test_headings_of_python_docx_have_their_levels(tmp_path):
    document = docx.Document()
    for level in range(10):
        document.add_heading(f"level {level}", level)
    document.save(tmp_path / "a.docx")
    assert [(it.kind, it.level) for it in read_docx(tmp_path / "a.docx").blocks] == [
        (Kind.TITLE, 0),
        *((Kind.HEADING, level) for level in range(1, 10)),
    ]


def test_the_title_and_language_come_from_the_metadata_first(tmp_path):
    parts = parts_of(styled("In the text", "Title"), styles=STYLES)
    document = read_docx(write_parts(tmp_path / "a.docx", parts))
    assert (document.title, document.language) == ("In the text", "da-DK")
    parts["_rels/.rels"] = relationships(
        {"officeDocument": "word/document.xml", "core-properties": "docProps/core.xml"}
    )
    parts["docProps/core.xml"] = (
        '<c:p xmlns:c="urn:c" xmlns:dc="http://purl.org/dc/elements/1.1/">'
        "<dc:title> In the metadata </dc:title><dc:language>fr</dc:language></c:p>"
    )
    document = read_docx(write_parts(tmp_path / "b.docx", parts))
    assert (document.title, document.language) == ("In the metadata", "fr")


@pytest.mark.parametrize(
    ("xml", "text"),
    [
        (run("a") + "<w:del><w:r><w:delText>gone</w:delText></w:r></w:del>" + run("b"), "ab"),
        (run("a") + "<w:ins>" + run("in") + "</w:ins>" + run("b"), "ainb"),
        ("<w:moveFrom>" + run("x") + "</w:moveFrom><w:moveTo>" + run("x") + "</w:moveTo>", "x"),
        ('<w:hyperlink r:id="r9">' + run("link") + "</w:hyperlink>" + run("!"), "link!"),
        ("<w:smartTag>" + run("Rome") + "</w:smartTag>", "Rome"),
        (CONTROL.format(run("filled in")), "filled in"),
        ("<w:bdo><w:dir>" + run("שלום") + "</w:dir></w:bdo>", "שלום"),
        (BREAKS, "a\tb\nc\nd"),
        (HYPHENS, "a-bc"),
        ('<w:r><w:sym w:font="Symbol" w:char="F061"/></w:r>', "α"),
        ('<w:r><w:sym w:font="Wingdings" w:char="F0FC"/></w:r>' + run("done"), "✓done"),
        ('<w:r><w:sym w:font="Arial" w:char="D800"/><w:sym w:char="zz"/></w:r>' + run("x"), "x"),
        ("<w:r><w:rPr><w:vanish/></w:rPr><w:t>hidden</w:t></w:r>" + run("shown"), "shown"),
        ('<w:r><w:rPr><w:vanish w:val="0"/></w:rPr><w:t>shown</w:t></w:r>', "shown"),
        ('<w:r><w:rPr><w:rStyle w:val="secret"/></w:rPr><w:t>hidden</w:t></w:r>' + run("x"), "x"),
        (run("10") + raised("6"), "10^6"),
        (run("1") + raised("st"), "1st"),
        (run("H") + raised("2", "subscript") + run("O"), "H2O"),
        (RUBY.format(run("かんじ"), run("漢字")), "漢字(かんじ)"),
        (run("a") + NOTED.format(run("b")), "ab"),
    ],
)  # fmt: skip
def test_the_text_of_a_paragraph_is_what_a_reader_sees(read, xml, text):
    assert texts(read(inside(xml), styles=STYLES)) == [text]


def test_the_result_of_a_field_is_text_and_its_instruction_is_not(read):
    def mark(kind):
        return f'<w:r><w:fldChar w:fldCharType="{kind}"/></w:r>'

    nested = mark("begin") + run("no") + mark("separate") + run("no") + mark("end")
    field = mark("begin") + nested + mark("separate") + run("yes") + mark("end")
    assert texts(read(inside(run("a ") + field + run(" b")))) == ["a yes b"]
    simple = '<w:fldSimple w:instr="PAGE">' + run("3") + "</w:fldSimple>"
    assert texts(read(inside(simple))) == ["3"]


def test_a_field_left_open_swallows_no_other_paragraph(read):
    body = inside('<w:r><w:fldChar w:fldCharType="begin"/></w:r>') + paragraph("text")
    assert texts(read(body)) == ["text"]


def test_a_hidden_style_hides_its_paragraphs(read):
    assert texts(read(styled("hidden", "Gone") + paragraph("shown"), styles=STYLES)) == ["shown"]


@pytest.mark.parametrize(
    ("checkbox", "text"),
    [
        ('<w14:checked w14:val="1"/>', "[x] milk"),
        ('<w14:checked w14:val="0"/>', "[ ] milk"),
        ("", "[ ] milk"),
    ],
)
def test_a_check_box_is_a_mark_and_its_paragraph_a_list_item(read, checkbox, text):
    control = (
        f"<w:sdt><w:sdtPr><w14:checkbox>{checkbox}</w14:checkbox></w:sdtPr>"
        f"<w:sdtContent>{run('☒')}</w:sdtContent></w:sdt>"
    )
    assert read(inside(control + run(" milk"))).blocks == (Block(Kind.LIST_ITEM, text, 1),)


def test_a_check_box_of_old_forms_is_a_mark(read):
    def box(state):
        field = f"<w:ffData><w:checkBox>{state}</w:checkBox></w:ffData>"
        begin = f'<w:r><w:fldChar w:fldCharType="begin">{field}</w:fldChar></w:r>'
        return inside(begin + '<w:r><w:fldChar w:fldCharType="end"/></w:r>' + run(" tea"))

    document = read(
        box('<w:default w:val="1"/>') + box('<w:default w:val="1"/><w:checked w:val="0"/>')
    )
    assert texts(document) == ["[x] tea", "[ ] tea"]


def test_a_paragraph_whose_mark_was_deleted_goes_on_in_the_next(read):
    deleted = "<w:rPr><w:del/></w:rPr>"
    body = paragraph("one ", deleted) + styled("two", "Overskrift2") + paragraph("three")
    assert read(body, styles=STYLES).blocks == (
        Block(Kind.HEADING, "one two", 2),
        Block(Kind.PARAGRAPH, "three"),
    )
    assert texts(read(paragraph("last", deleted))) == ["last"]


def test_a_drop_cap_is_the_first_letter_of_its_paragraph(read):
    body = paragraph("O", '<w:framePr w:dropCap="drop" w:lines="3"/>') + paragraph("nce")
    assert texts(read(body)) == ["Once"]


def test_lists_of_python_docx_have_their_markers(tmp_path):
    document = docx.Document()
    for text, style in (("a", "List Bullet"), ("b", "List Bullet 2"), ("c", "List Number")):
        document.add_paragraph(text, style)
    document.save(tmp_path / "a.docx")
    items = read_docx(tmp_path / "a.docx").blocks
    assert [(it.kind, it.marker) for it in items] == [
        (Kind.LIST_ITEM, "•"),
        (Kind.LIST_ITEM, "•"),
        (Kind.LIST_ITEM, "1."),
    ]


def test_a_text_box_is_read_once_after_the_paragraph_that_holds_it(read):
    content = f"<w:txbxContent>{paragraph('in the box')}{styled('More', 'U3')}</w:txbxContent>"
    box = (
        "<w:r><mc:AlternateContent>"
        '<mc:Choice Requires="wps"><w:drawing>'
        f"<wps:txbx>{content}</wps:txbx></w:drawing></mc:Choice>"
        f"<mc:Fallback><w:pict><v:textbox>{content}</v:textbox></w:pict></mc:Fallback>"
        "</mc:AlternateContent></w:r>"
    )
    body = inside(run("before ") + box + run("and after")) + paragraph("end")
    expected = ["before and after", "in the box", "More", "end"]
    assert texts(read(body, styles=STYLES)) == expected


def test_a_text_box_of_old_files_and_boxes_in_boxes_are_read(read):
    def box(content):
        shape = f"<v:textbox><w:txbxContent>{content}</w:txbxContent></v:textbox>"
        return f"<w:r><w:pict>{shape}</w:pict></w:r>"

    body = inside(box(inside(run("outer") + box(paragraph("inner")))))
    assert texts(read(body)) == ["outer", "inner"]


def test_text_stands_in_controls_and_insertions_around_paragraphs(read):
    body = (
        f"<w:sdt><w:sdtContent>{paragraph('one')}</w:sdtContent></w:sdt>"
        f"<w:ins>{paragraph('two')}</w:ins><w:customXml>{paragraph('three')}</w:customXml>"
        '<w:altChunk r:id="r7"/>' + paragraph("four")
    )
    assert texts(read(body)) == ["one", "two", "three", "four"]


def test_notes_are_marked_footnotes_follow_their_block_and_endnotes_the_text(read):
    def note(kind, number):
        return f'<w:r><w:{kind}Reference w:id="{number}"/></w:r>'

    def content(kind, number, text, of_type="normal"):
        return f'<w:{kind} w:id="{number}" w:type="{of_type}">{paragraph(text)}</w:{kind}>'

    body = (
        inside(run("one") + note("endnote", 5) + run(" two") + note("footnote", 7))
        + inside(run("three") + note("footnote", 3))
        + inside(run("four") + note("footnote", 99))
    )
    document = read(
        body,
        footnotes=content("footnote", 0, "line", "separator")
        + content("footnote", 3, "second")
        + content("footnote", 7, "first"),
        endnotes=content("endnote", 5, "at the end"),
    )
    assert texts(document) == [
        "one[^i] two[^1]",
        "[^1]: first",
        "three[^2]",
        "[^2]: second",
        "four",
        "[^i]: at the end",
    ]


def test_lines_of_code_that_follow_one_another_are_one_block(read):
    body = styled("def f():", "Src") + styled("", "Src") + styled("    return 1", "Src")
    assert read(body + paragraph("prose"), styles=STYLES).blocks == (
        Block(Kind.CODE, "def f():\n\n    return 1"),
        Block(Kind.PARAGRAPH, "prose"),
    )


@pytest.mark.parametrize(
    ("text", "kind"),
    [("SELECT name FROM users;", Kind.CODE), ("A memo in a typewriter face.", Kind.PARAGRAPH)],
)
def test_a_monospaced_paragraph_is_code_where_it_looks_like_it(read, text, kind):
    body = styled(text, "a", '<w:rStyle w:val="mono"/>')
    assert [block.kind for block in read(body, styles=STYLES).blocks] == [kind]


def test_no_paragraph_is_code_for_its_font_in_a_typewritten_document(read):
    typed = STYLES.replace("Calibri", "Courier New")
    body = paragraph("Pay 5; then go {home};", run='<w:rFonts w:ascii="Courier New"/>')
    assert [block.kind for block in read(body, styles=typed).blocks] == [Kind.PARAGRAPH]


def test_headers_footers_and_comments_are_left_out(tmp_path):
    document = docx.Document()
    document.sections[0].header.paragraphs[0].text = "header"
    document.sections[0].footer.paragraphs[0].text = "footer"
    added = document.add_paragraph("text")
    document.add_comment(added.runs, text="comment", author="someone")
    document.save(tmp_path / "a.docx")
    assert texts(read_docx(tmp_path / "a.docx")) == ["text"]


def test_a_document_without_text_has_no_block(read):
    document = read(paragraph("  ") + "<w:p/>")
    assert (document.blocks, document.pages, document.title) == ((), (), None)
