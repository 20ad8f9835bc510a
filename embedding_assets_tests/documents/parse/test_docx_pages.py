import pytest

from embedding_assets.documents.document import Page
from embedding_assets.documents.parse.docx import read_docx
from embedding_assets_tests.documents.parse.docx_files import SIZE, paragraph, write_docx

RENDERED = "<w:lastRenderedPageBreak/>"
EXPLICIT = '<w:br w:type="page"/>'


def section(width, height, kind=""):
    named = f'<w:type w:val="{kind}"/>' if kind else ""
    return f'<w:sectPr>{named}<w:pgSz w:w="{width}" w:h="{height}"/></w:sectPr>'


def split(before, mark, after):
    return f"<w:p><w:r><w:t>{before}</w:t>{mark}<w:t>{after}</w:t></w:r></w:p>"


@pytest.fixture
def read(tmp_path):
    return lambda body, **others: read_docx(write_docx(tmp_path / "a.docx", body, **others))


def places(document):
    return [(block.text, block.pages) for block in document.blocks]


def test_rendered_breaks_tell_the_pages_and_explicit_ones_then_do_not(read):
    body = (
        paragraph("one")
        + split("", EXPLICIT, "")
        + split("", RENDERED, "two")
        + split("th", RENDERED, "ree")
        + paragraph("four", "<w:pageBreakBefore/>")
    )
    document = read(body + SIZE)
    assert places(document) == [("one", (1,)), ("two", (2,)), ("three", (2, 3)), ("four", (3,))]
    assert document.pages == (
        Page(1, 612, 792, 3),
        Page(2, 612, 792, 5),
        Page(3, 612, 792, 7),
    )


def test_explicit_breaks_tell_the_pages_where_no_other_do(read):
    body = (
        paragraph("one", "<w:pageBreakBefore/>")
        + split("two", EXPLICIT, "three")
        + paragraph("four", "<w:pageBreakBefore/>")
    )
    assert places(read(body)) == [("one", (1,)), ("two\nthree", (1, 2)), ("four", (3,))]


def test_a_style_may_start_a_page(read):
    styles = (
        '<w:style w:type="paragraph" w:styleId="C"><w:name w:val="Chapter"/>'
        "<w:pPr><w:pageBreakBefore/></w:pPr></w:style>"
    )
    chapter = '<w:pStyle w:val="C"/>'
    body = (
        paragraph("one")
        + paragraph("two", chapter)
        + paragraph("three", chapter + '<w:pageBreakBefore w:val="0"/>')
    )
    assert places(read(body, styles=styles)) == [("one", (1,)), ("two", (2,)), ("three", (2,))]


def test_without_breaks_the_pages_are_unknown(read):
    document = read(paragraph("one") + split("a", '<w:br w:type="column"/>', "b") + SIZE)
    assert document.pages == ()
    assert places(document) == [("one", ()), ("a\nb", ())]


def test_a_section_starts_a_page_unless_it_goes_on_and_has_its_own_size(read):
    body = (
        paragraph("one", section(12240, 15840))
        + paragraph("two", section(15840, 12240))
        + paragraph("three")
        + section(2000, 2000, "continuous")
    )
    document = read(body)
    assert places(document) == [("one", (1,)), ("two", (2,)), ("three", (2,))]
    assert [(page.width, page.height) for page in document.pages] == [(612, 792), (100, 100)]


def test_sizes_follow_the_sections_on_rendered_pages(read):
    body = (
        paragraph("one", section(12240, 15840))
        + split("", RENDERED, "two")
        + split("", RENDERED, "three")
        + section(15840, 12240)
    )
    widths = [page.width for page in read(body).pages]
    assert widths == [612, 792, 792]


def test_cells_side_by_side_break_the_page_once(read):
    def cell(content):
        return f"<w:tc>{content}</w:tc>"

    rows = (
        f"<w:tr>{cell(split('a', RENDERED, 'b'))}{cell(split('c', RENDERED, 'd'))}</w:tr>"
        f"<w:tr>{cell(paragraph('e'))}{cell(paragraph('f'))}</w:tr>"
    )
    document = read(f"<w:tbl>{rows}</w:tbl>" + paragraph("after"))
    assert [block.pages for block in document.blocks] == [(1, 2), (2,)]


def test_a_page_break_in_a_text_box_ends_no_page(read):
    box = f"<w:txbxContent>{split('in', RENDERED, 'side')}</w:txbxContent>"
    body = f"<w:p><w:r><w:pict>{box}</w:pict></w:r></w:p>" + split("a", RENDERED, "b")
    assert places(read(body)) == [("inside", (1,)), ("ab", (1, 2))]


def test_a_page_with_only_a_large_picture_is_a_scan(read):
    def picture(side):
        extent = f'<wp:extent cx="{side * 12_700}" cy="{side * 12_700}"/>'
        return f"<w:p><w:r><w:drawing>{extent}<a:blip/></w:drawing></w:r></w:p>"

    document = read(picture(600) + split("", RENDERED, "icon") + picture(20) + SIZE)
    assert [page.has_image for page in document.pages] == [True, False]
    assert document.scanned_pages == (1,)
