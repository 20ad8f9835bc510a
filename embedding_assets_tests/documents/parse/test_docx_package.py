import struct
from zipfile import ZIP_DEFLATED, ZipFile

import docx
import pytest

from embedding_assets.documents.document import (
    DamagedDocumentError,
    EmptyDocumentError,
    LockedDocumentError,
    RefusedDocumentError,
)
from embedding_assets.documents.parse import docx_package
from embedding_assets.documents.parse.docx import read_docx
from embedding_assets.errors import InputNotFoundError
from embedding_assets_tests.documents.parse.docx_files import (
    NAMESPACES,
    paragraph,
    parts_of,
    relationships,
    write_docx,
    write_parts,
)

COMPOUND_FILE = bytes.fromhex("d0cf11e0a1b11ae1")


def texts(document):
    return [block.text for block in document.blocks]


def test_a_file_of_0_bytes_is_empty(tmp_path):
    (path := tmp_path / "a.docx").touch()
    with pytest.raises(EmptyDocumentError, match="0 bytes"):
        read_docx(path)


def test_a_file_that_vanished_is_not_there(tmp_path):
    with pytest.raises(InputNotFoundError, match="not there"):
        read_docx(tmp_path / "a.docx")


@pytest.mark.parametrize("content", [b"plain text", b"%PDF-1.7 a PDF", b"{\\rtf1 text}"])
def test_a_file_of_another_format_is_damaged(tmp_path, content):
    (path := tmp_path / "a.docx").write_bytes(content)
    with pytest.raises(DamagedDocumentError, match="no ZIP archive"):
        read_docx(path)


@pytest.mark.parametrize("part", [0.02, 0.5, 0.99])
def test_a_truncated_file_is_damaged(tmp_path, part):
    whole = write_docx(tmp_path / "whole.docx", paragraph("text")).read_bytes()
    (path := tmp_path / "a.docx").write_bytes(whole[: int(part * len(whole))])
    with pytest.raises(DamagedDocumentError, match="truncated"):
        read_docx(path)


def test_a_file_with_flipped_bytes_is_damaged(tmp_path):
    path = write_docx(tmp_path / "a.docx", paragraph("text " * 2_000))
    with ZipFile(path) as archive:
        entry = archive.getinfo("word/document.xml")
    content = bytearray(path.read_bytes())
    start = entry.header_offset + 30 + len(entry.filename)
    content[start + 5 : start + 25] = bytes(20)
    path.write_bytes(content)
    with pytest.raises(DamagedDocumentError, match="word/document.xml"):
        read_docx(path)


def test_a_file_whose_parts_lie_before_its_start_is_damaged(tmp_path):
    content = bytearray(write_docx(tmp_path / "a.docx", paragraph("text")).read_bytes())
    end = content.rindex(b"PK\x05\x06")
    content[end + 16 : end + 20] = struct.pack("<I", len(content) - 100)
    (path := tmp_path / "a.docx").write_bytes(content)
    with pytest.raises(DamagedDocumentError):
        read_docx(path)


def test_a_failing_disk_is_not_taken_for_a_damaged_file(tmp_path):
    with pytest.raises(IsADirectoryError):
        read_docx(tmp_path)


def test_a_package_without_its_text_is_damaged(tmp_path):
    parts = parts_of("")
    del parts["word/document.xml"]
    with pytest.raises(DamagedDocumentError, match="no part word/document.xml"):
        read_docx(write_parts(tmp_path / "a.docx", parts))


def test_a_text_that_is_no_xml_is_damaged(tmp_path):
    parts = parts_of("") | {"word/document.xml": "<w:document"}
    with pytest.raises(DamagedDocumentError, match="no XML"):
        read_docx(write_parts(tmp_path / "a.docx", parts))


def test_a_workbook_under_the_name_of_a_docx_is_damaged(tmp_path):
    parts = {
        "_rels/.rels": relationships({"officeDocument": "xl/workbook.xml"}),
        "xl/workbook.xml": '<workbook xmlns="urn:sheets"/>',
    }
    with pytest.raises(DamagedDocumentError, match="<workbook>"):
        read_docx(write_parts(tmp_path / "a.docx", parts))


def test_an_encrypted_file_is_locked(tmp_path):
    directory = "EncryptedPackage".encode("utf-16-le")
    (path := tmp_path / "a.docx").write_bytes(COMPOUND_FILE + bytes(1_000) + directory)
    with pytest.raises(LockedDocumentError, match="without a password"):
        read_docx(path)


def test_an_archive_with_a_password_is_locked(tmp_path):
    path = write_docx(tmp_path / "a.docx", paragraph("text"))
    content = bytearray(path.read_bytes())
    for place in range(len(content) - 4):
        if content[place : place + 4] == b"PK\x01\x02":
            content[place + 8] |= 1
    path.write_bytes(content)
    with pytest.raises(LockedDocumentError):
        read_docx(path)


def test_a_binary_word_file_is_damaged_and_named(tmp_path):
    (path := tmp_path / "a.docx").write_bytes(COMPOUND_FILE + bytes(1_000))
    with pytest.raises(DamagedDocumentError, match="Word 97"):
        read_docx(path)


@pytest.mark.parametrize(
    ("name", "megabytes"), [("word/document.xml", 9), ("word/media/image1.bmp", 65)]
)
def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path, name, megabytes):
    path = tmp_path / "a.docx"
    with ZipFile(path, "w", ZIP_DEFLATED) as archive:
        with archive.open(name, "w") as entry:
            for _ in range(megabytes):
                entry.write(b" " * (1 << 20))
    with pytest.raises(RefusedDocumentError, match="more than 200 times"):
        read_docx(path)


def test_a_package_that_declares_too_much_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(docx_package, "_MAX_DECLARED_BYTES", 1_000)
    path = write_docx(tmp_path / "a.docx", paragraph("text " * 500))
    with pytest.raises(RefusedDocumentError, match="more than 1,000"):
        read_docx(path)


def test_text_that_unpacks_to_too_much_is_refused_while_it_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(docx_package, "_MAX_XML_BYTES", 2_000)
    path = write_docx(tmp_path / "a.docx", paragraph("text " * 500))
    with pytest.raises(RefusedDocumentError, match="more than 2,000 bytes"):
        read_docx(path)


def test_an_entry_that_lies_about_its_size_is_damaged(tmp_path):
    path = write_docx(tmp_path / "a.docx", paragraph("text " * 2_000))
    with ZipFile(path) as archive:
        size = archive.getinfo("word/document.xml").file_size
    content = path.read_bytes().replace(struct.pack("<I", size), struct.pack("<I", 100))
    path.write_bytes(content)
    with pytest.raises(DamagedDocumentError):
        read_docx(path)


def test_a_package_of_too_many_parts_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(docx_package, "_MAX_ENTRIES", 2)
    with pytest.raises(RefusedDocumentError, match="3 parts"):
        read_docx(write_docx(tmp_path / "a.docx", paragraph("text")))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize(
    "entity", ['<!ENTITY e SYSTEM "file:///etc/hostname">', '<!ENTITY e "inner">', ""]
)
def test_a_part_with_a_document_type_is_refused(tmp_path, entity, encoding):
    text = "&e;" if entity else "text"
    xml = f'<?xml version="1.0" encoding="{encoding}"?><!DOCTYPE d [{entity}]>'
    root = f"<w:document {NAMESPACES}><w:body>{paragraph(text)}</w:body></w:document>"
    parts = parts_of("") | {"word/document.xml": (xml + root).encode(encoding)}
    with pytest.raises(RefusedDocumentError, match="entities"):
        read_docx(write_parts(tmp_path / "a.docx", parts))


def test_a_document_type_in_the_styles_is_refused_too(tmp_path):
    parts = parts_of(paragraph("text"), styles="")
    parts["word/styles.xml"] = "<!DOCTYPE d>" + parts["word/styles.xml"]
    with pytest.raises(RefusedDocumentError, match="styles"):
        read_docx(write_parts(tmp_path / "a.docx", parts))


def test_tables_nested_without_end_are_refused(tmp_path):
    nested = "<w:tbl><w:tr><w:tc>" * 2_000 + "</w:tc></w:tr></w:tbl>" * 2_000
    with pytest.raises(RefusedDocumentError, match="nested too deep"):
        read_docx(write_docx(tmp_path / "a.docx", nested))


@pytest.mark.parametrize(
    ("opening", "closing", "levels"),
    [
        ("<w:tbl><w:tr><w:tc>", "</w:tc></w:tr></w:tbl>", 75),
        ("<w:ins>", "</w:ins>", 240),
        ("<w:sdt><w:sdtContent>", "</w:sdtContent></w:sdt>", 120),
    ],
)
def test_text_in_as_many_levels_as_the_xml_reader_allows_is_read(
    tmp_path, opening, closing, levels
):
    body = opening * levels + paragraph("deep") + closing * levels
    assert texts(read_docx(write_docx(tmp_path / "a.docx", body))) == ["deep"]


def test_a_strict_file_reads_as_a_transitional_one(tmp_path):
    body = paragraph("Start", '<w:pStyle w:val="Heading1"/>') + paragraph(
        "See http://purl.oclc.org/ooxml/x"
    )
    size = '<w:sectPr><w:pgSz w:w="595.3pt" w:h="29.7cm"/></w:sectPr>'
    broken = paragraph("", "<w:pageBreakBefore/>")
    parts = parts_of(body + broken + size, styles="")
    strict = {
        name: text.replace(
            "http://schemas.openxmlformats.org/officeDocument/2006/",
            "http://purl.oclc.org/ooxml/officeDocument/",
        ).replace(
            "http://schemas.openxmlformats.org/wordprocessingml/2006/",
            "http://purl.oclc.org/ooxml/wordprocessingml/",
        )
        for name, text in parts.items()
    }
    document = read_docx(write_parts(tmp_path / "a.docx", strict))
    assert texts(document) == ["Start", "See http://purl.oclc.org/ooxml/x"]
    assert document.blocks[0].level == 1
    assert document.pages[0].width == 595.3
    assert document.pages[0].height == pytest.approx(841.9, abs=0.1)


def test_the_text_may_have_another_name_than_usual(tmp_path):
    parts = parts_of(paragraph("text"))
    parts["word/document2.xml"] = parts.pop("word/document.xml")
    parts["_rels/.rels"] = relationships({"officeDocument": "/word/document2.xml"})
    assert texts(read_docx(write_parts(tmp_path / "a.docx", parts))) == ["text"]


def test_a_file_without_relationships_styles_and_lists_is_read(tmp_path):
    parts = {"word/document.xml": parts_of(paragraph("text"))["word/document.xml"]}
    assert texts(read_docx(write_parts(tmp_path / "a.docx", parts))) == ["text"]


def test_templates_and_files_with_macros_are_read(tmp_path):
    document = docx.Document()
    document.add_paragraph("text")
    document.save(tmp_path / "a.docx")
    for kind, name in (("template.main", "a.dotx"), ("document.macroEnabled.main", "a.docm")):
        with ZipFile(tmp_path / "a.docx") as archive:
            parts = {it: archive.read(it) for it in archive.namelist()}
        types = parts["[Content_Types].xml"].replace(b"document.main", kind.encode())
        path = write_parts(tmp_path / name, parts | {"[Content_Types].xml": types})
        assert texts(read_docx(path)) == ["text"]


def test_relationships_to_addresses_outside_are_not_followed(tmp_path):
    parts = parts_of(paragraph("text"), styles="")
    parts["word/_rels/document.xml.rels"] = parts["word/_rels/document.xml.rels"].replace(
        'Target="styles.xml"', 'Target="http://localhost:9/styles.xml" TargetMode="External"'
    )
    assert texts(read_docx(write_parts(tmp_path / "a.docx", parts))) == ["text"]
