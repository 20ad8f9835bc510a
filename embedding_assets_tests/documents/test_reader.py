import json
import os
import zipfile
from pathlib import Path

import pytest

from embedding_assets.documents import reader
from embedding_assets.documents.document import (
    DamagedDocumentError,
    DocumentError,
    EmptyDocumentError,
    LockedDocumentError,
    RefusedDocumentError,
)
from embedding_assets.documents.reader import (
    Options,
    pair_id,
    pair_names,
    read_document,
    supported_suffixes,
)
from embedding_assets.errors import InputNotFoundError, UnreadableInputError
from embedding_assets_tests.documents import odd_format

OLE = bytes.fromhex("d0cf11e0a1b11ae1")
SHARED = Path(__file__).parents[3] / "shared" / "data"
PAGE = "5d2b0a5e-0000-4000-8000-000000000001"


@pytest.fixture
def put(tmp_path):
    def write(name, content):
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


@pytest.fixture
def odd(monkeypatch, tmp_path):
    odd_format.plug_in(monkeypatch, tmp_path)
    yield
    reader._readers.cache_clear()
    reader.plugged_release.cache_clear()


def zip_of(path, *names):
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, "<xml/>")
    return path


def pair(put, text="A text."):
    put("pages_12.csv", f"id,pg_num\n{PAGE},0\n")
    return put("texts_12.json", json.dumps([{"text": text, "pages": [PAGE]}]))


@pytest.mark.parametrize(
    ("name", "content", "really"),
    [
        ("a.pdf", b"\x89PNG\r\n\x1a\n", "a PNG picture"),
        ("a.pdf", b"<!DOCTYPE html><p>Sign in", "a web page"),
        ("a.pdf", b"\n<html><body>", "a web page"),
        ("a.pdf", b"A plain letter.", "text"),
        ("a.pdf", b"\x01\x02\x00\x03", "of an unknown format"),
        ("a.pdf", b"{\\rtf1\\ansi", "a rich text (RTF) file"),
        ("a.docx", b"%PDF-1.7\n", "a PDF"),
        ("a.DOCX", OLE + b"\0" * 600, "an old or encrypted Office file"),
        ("a.json", b"%PDF-1.7\n", "a PDF"),
        ("a.json", b"\x1f\x8b\x08\x00", "a gzip archive"),
    ],
)
def test_a_wrong_ending_is_told_with_what_the_file_really_is(put, name, content, really):
    with pytest.raises(DamagedDocumentError) as error:
        read_document(put(name, content))
    assert error.value.problem == (
        f"{name} is {really}, not what its ending {Path(name).suffix.lower()} says."
    )


@pytest.mark.parametrize(
    ("members", "really"),
    [
        (["xl/workbook.xml"], "an Excel workbook"),
        (["ppt/presentation.xml"], "a PowerPoint presentation"),
        (["letter.txt"], "a zip archive"),
    ],
)
def test_other_archives_are_no_docx(tmp_path, members, really):
    path = zip_of(tmp_path / "a.docx", "[Content_Types].xml", *members)
    with pytest.raises(DamagedDocumentError, match=f"a.docx is {really}, not"):
        read_document(path)


@pytest.mark.parametrize("before", [b"", b"\r\n", b"junk of a mail program" * 40])
def test_a_pdf_may_begin_within_the_first_1024_bytes(put, before):
    reader._require_content(put("a.pdf", before + b"%PDF-1.4\n"), ".pdf")


def test_a_pdf_that_begins_later_is_none(put):
    with pytest.raises(DamagedDocumentError, match="a.pdf is text"):
        read_document(put("a.pdf", b" " * 1024 + b"%PDF-1.4\n"))


@pytest.mark.parametrize("name", ["word/document.xml", "word/document2.xml"])
def test_a_docx_is_told_by_its_word_part_whatever_that_is_called(tmp_path, name):
    reader._require_content(zip_of(tmp_path / "a.docx", name, "xl/embedded.xml"), ".docx")


def test_a_truncated_docx_is_left_to_its_reader(put, tmp_path):
    whole = zip_of(tmp_path / "whole.docx", "word/document.xml").read_bytes()
    reader._require_content(put("a.docx", whole[:-30]), ".docx")


@pytest.mark.parametrize("start", ["\ufeff[", " \n{", '"%PDF-1.4"', "not JSON at all"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_any_text_is_left_to_the_reader_of_json(put, start, encoding):
    reader._require_content(put("a.json", start.encode(encoding)), ".json")


def test_an_encrypted_docx_is_locked(put):
    content = OLE + b"\0" * 1000 + "EncryptedPackage".encode("utf-16-le")
    with pytest.raises(LockedDocumentError, match="a.docx is encrypted"):
        read_document(put("a.docx", content))


@pytest.mark.parametrize("name", ["a.pdf", "a.docx", "a.json", "texts_12.json"])
def test_a_file_without_a_byte_is_empty(put, name):
    with pytest.raises(EmptyDocumentError, match=f"{name} has no byte"):
        read_document(put(name, b""))


@pytest.mark.parametrize("name", ["a.pdf", "texts_12.json"])
def test_a_file_above_the_limit_is_refused_unread(put, name):
    path = put(name, b"")
    os.truncate(path, 2 * 2**20 + 1)
    with pytest.raises(RefusedDocumentError, match=f"{name} has 2 MB, 1 MB are allowed"):
        read_document(path, max_mb=1)


def test_a_page_table_above_the_limit_is_refused_too(put):
    path = pair(put)
    os.truncate(path.with_name("pages_12.csv"), 2 * 2**20)
    with pytest.raises(RefusedDocumentError, match="pages_12.csv"):
        read_document(path, max_mb=1)


def test_what_does_not_exist_is_named(tmp_path):
    with pytest.raises(InputNotFoundError, match="gone.pdf does not exist"):
        read_document(tmp_path / "gone.pdf")


def test_what_is_no_file_is_not_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe.pdf")
    (tmp_path / "folder.pdf").mkdir()
    for name in ("pipe.pdf", "folder.pdf"):
        with pytest.raises(UnreadableInputError, match=f"{name} is not a file"):
            read_document(tmp_path / name)


def test_an_unsupported_format_is_refused_with_those_that_are_supported(put):
    with pytest.raises(UnreadableInputError, match=r"a\.odt has no .* \.docx, \.json, \.pdf and"):
        read_document(put("a.odt", "text"))


def test_what_the_system_refuses_is_named(put, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    path = put("a.pdf", b"%PDF")
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(UnreadableInputError, match="a.pdf cannot be read: Permission denied"):
        read_document(path)


@pytest.mark.parametrize("half", ["texts_12.json", "pages_12.csv"])
def test_a_pair_is_read_by_either_half(put, half):
    document = read_document(pair(put).with_name(half))
    assert (document.format, [block.text for block in document.blocks]) == ("pair", ["A text."])


@pytest.mark.parametrize(
    ("name", "pair"),
    [
        ("texts_12.json", "12"),
        ("pages_a b.csv.csv", "a b.csv"),
        ("texts_a\nb.json", "a\nb"),
        ("texts_.json", None),
        ("texts_12.csv", None),
        ("my_texts_12.json", None),
        ("Texts_12.json", None),
    ],
)
def test_the_halves_of_a_pair_are_told_by_their_names(name, pair):
    assert pair_id(name) == pair
    assert pair is None or name in pair_names(pair)


def test_an_own_format_is_plugged_in_by_an_entry_point(put, odd):
    assert supported_suffixes() == {".pdf", ".docx", ".json", ".odd"}
    read = read_document(put("a.ODD", "passwords"), Options(("secret",), ocr=True))
    assert read == odd_format.document("secret", "True")


def test_an_own_format_that_gives_no_document_is_named(put, odd):
    with pytest.raises(DocumentError, match="odd_format:read, gave a str for a.odd"):
        read_document(put("a.odd", "no-document"))


@pytest.mark.skipif(not SHARED.exists(), reason="needs ../shared/data beside the checkout")
@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("pdf/crazyones.pdf", "pdf"),
        ("docx/lorem_ipsum.docx", "docx"),
        ("json/word_sample.docx.json", "json"),
        ("paged-texts/texts_irm-2-3.json", "pair"),
    ],
)
def test_real_files_are_read_by_their_format(name, kind):
    document = read_document(SHARED / name)
    assert document.format == kind
    assert document.blocks
