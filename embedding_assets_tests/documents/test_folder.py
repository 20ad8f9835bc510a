import os
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from embedding_assets.documents.folder import encoded_id, list_document_files
from embedding_assets.errors import InputNotFoundError, UnreadableInputError

SPOILS_A_RANGE = re.compile(r"\.\.\.|\.$|[\x00-\x1f\x7f\x85\u2028\u2029,\[\]\"\\]|^[- ]| $")
NAMES = st.text("ab./- ,[]~%é\u0301\n…\u2028\udc80漢😀", max_size=12) | st.text(max_size=200)


@pytest.fixture
def put(tmp_path):
    def write(*names):
        for name in names:
            path = tmp_path / "docs" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"of {name!r}")
        return tmp_path / "docs"

    return write


def ids(folder):
    return [file.doc_id for file in list_document_files(folder) if not file.error]


def errors(folder):
    return {file.doc_id: file.error for file in list_document_files(folder) if file.error}


@pytest.mark.parametrize(
    ("path", "doc_id"),
    [
        ("report.pdf", "report.pdf"),
        ("a/b c/Report (2) 'final'.PDF", "a/b c/Report (2) 'final'.PDF"),
        ("überblick 漢字.docx", "überblick 漢字.docx"),
        ("a,b[1].pdf", "a%2Cb%5B1%5D.pdf"),
        ('say "it".pdf', "say %22it%22.pdf"),
        ("100%.pdf", "100%25.pdf"),
        ("~old.pdf", "%7Eold.pdf"),
        ("wait...what.pdf", "wait%2E%2E%2Ewhat.pdf"),
        ("up..to.pdf", "up..to.pdf"),
        ("line\nend\u2028.pdf", "line%0Aend%E2%80%A8.pdf"),
        ("-force.pdf", "%2Dforce.pdf"),
        (" space.pdf", "%20space.pdf"),
        ("12345.", "12345%2E"),
        ("a\\b.pdf", "a%5Cb.pdf"),
    ],
)
def test_an_id_is_the_path_as_far_as_the_command_line_can_take_it(path, doc_id):
    assert encoded_id(path) == doc_id


def test_a_long_path_ends_in_a_hash_of_all_of_it():
    long = "a folder/" + "漢" * 80 + ".pdf"
    assert re.fullmatch("a folder/漢{30}~[0-9a-f]{32}", encoded_id(long))
    assert encoded_id(long) != encoded_id(long.replace(".pdf", ".docx"))
    assert encoded_id("a" * 150) == "a" * 150
    assert re.fullmatch("a{100}~[0-9a-f]{32}", encoded_id("a" * 151))


def test_an_escape_is_never_cut():
    assert re.fullmatch("a(%2C){33}~[0-9a-f]{32}", encoded_id("a" + "," * 60))


def test_a_name_in_another_normal_form_looks_the_same_and_is_another_id():
    assert encoded_id("e\u0301.pdf").startswith("\u00e9.pdf~")
    assert encoded_id("\u00e9.pdf") == "\u00e9.pdf"


@given(NAMES, NAMES)
@example("é", "e\u0301")
@example("a,", "a%2C")
@example("a" * 151, "a" * 152)
def test_two_paths_never_have_the_same_id(one, other):
    assert (encoded_id(one) == encoded_id(other)) == (one == other)


@given(NAMES)
def test_every_id_can_be_named_in_a_range_and_is_short(path):
    doc_id = encoded_id(path)
    assert not SPOILS_A_RANGE.search(doc_id)
    assert len(doc_id.encode()) <= 150
    assert f"{doc_id}...{doc_id}".split("...") == [doc_id, doc_id]


def test_files_are_found_in_depth_whatever_their_names_are(put):
    names = [
        "a.pdf",
        "a.docx",
        "A.PDF",
        "sub folder/deep/a.pdf",
        'it\'s "quoted".json',
        "überblick.pdf",
        "line\nend.pdf",
        "n" * 246 + ".pdf",
        "e\u0301.pdf",
        "\u00e9.pdf",
    ]
    found = list_document_files(put(*names))
    assert sorted(file.path for file in found) == sorted(names)
    assert [file.doc_id for file in found] == sorted(map(encoded_id, names))
    assert {file.format for file in found} == {"pdf", "docx", "json"}
    assert not any(file.error for file in found)


def test_size_and_times_are_those_of_the_file(put):
    folder = put("a.pdf")
    os.utime(folder / "a.pdf", ns=(5, 7))
    [file] = list_document_files(folder)
    status = (folder / "a.pdf").stat()
    assert (file.size, file.modified_ns, file.changed_ns) == (10, 7, status.st_ctime_ns)


def test_hidden_temporary_and_other_files_are_left_out(put):
    folder = put(
        ".hidden.pdf",
        ".git/a.pdf",
        "~$a.docx",
        "a.pdf.part",
        "a.pdf.crdownload",
        "a.pdf.tmp",
        "a.pdf.download/a.pdf",
        "notes.txt",
        "pages.csv",
        "pdf",
    )
    assert list_document_files(folder) == []


def test_a_pair_is_one_document_under_its_own_id(put):
    folder = put("in/pages_12345.csv", "in/texts_12345.json", "texts.json")
    os.utime(folder / "in/pages_12345.csv", ns=(0, 2 * 10**18))
    single, pair = sorted(list_document_files(folder), key=lambda file: file.format)
    assert (single.doc_id, single.format, single.parts) == ("texts.json", "json", ("texts.json",))
    assert (pair.doc_id, pair.path, pair.format) == ("12345", "in/texts_12345.json", "pair")
    assert pair.parts == ("in/texts_12345.json", "in/pages_12345.csv")
    assert pair.size == len("of 'in/pages_12345.csv'") + len("of 'in/texts_12345.json'")
    assert pair.modified_ns == 2 * 10**18


@pytest.mark.parametrize(
    ("there", "missing"),
    [("pages_1.csv", "texts_1.json"), ("texts_1.json", "pages_1.csv")],
)
def test_a_pair_of_which_a_half_is_missing_is_listed_as_such(put, there, missing):
    [file] = list_document_files(put(there))
    assert (file.doc_id, file.path, file.format) == ("1", "texts_1.json", "pair")
    assert file.error == f"Its other half {missing} is missing."


def test_a_second_pair_of_the_same_id_is_an_error_beside_the_first(put):
    folder = put(*(f"{where}/{half}_1.{end}" for where in "ab" for half, end in HALVES))
    assert ids(folder) == ["1"]
    assert errors(folder) == {
        "./b/texts_1.json": "Its id 1 is that of a/texts_1.json already; rename the pair."
    }


def test_a_pair_with_the_id_of_a_file_is_an_error_beside_it(put):
    folder = put("a.pdf", "pages_a.pdf.csv", "texts_a.pdf.json")
    assert ids(folder) == ["a.pdf"]
    assert list(errors(folder)) == ["./texts_a.pdf.json"]


def test_links_inside_are_read_and_links_to_the_outside_are_refused(put, tmp_path):
    folder = put("a.pdf", "sub/b.pdf")
    outside = tmp_path / "secret.pdf"
    outside.write_text("secret")
    (folder / "same.pdf").symlink_to("a.pdf")
    (folder / "again").symlink_to("sub")
    (folder / "loop.pdf").symlink_to("loop.pdf")
    (folder / "out.pdf").symlink_to(outside)
    (folder / "outside").symlink_to(tmp_path)
    (folder / "nowhere.pdf").symlink_to("gone.pdf")
    (folder / "note.txt").symlink_to(outside)
    assert ids(folder) == ["a.pdf", "same.pdf", "sub/b.pdf"]
    assert errors(folder) == {
        "loop.pdf": "It cannot be examined: Too many levels of symbolic links.",
        "nowhere.pdf": "It is a link that leads nowhere.",
        "out.pdf": "It is a link that leads out of the folder.",
        "outside/": "It is a link that leads out of the folder.",
    }


def test_a_link_to_a_folder_beside_with_the_same_beginning_leads_out(put, tmp_path):
    folder = put("a.pdf")
    (tmp_path / "docs2").mkdir()
    (tmp_path / "docs2" / "b.pdf").write_text("b")
    (folder / "b.pdf").symlink_to(tmp_path / "docs2" / "b.pdf")
    assert list(errors(folder)) == ["b.pdf"]


def test_what_is_no_regular_file_is_an_error(put):
    folder = put("a.pdf")
    os.mkfifo(folder / "pipe.pdf")
    assert errors(folder) == {"pipe.pdf": "It is not a regular file."}


def test_a_name_that_is_not_utf_8_is_an_error(put):
    folder = put("a.pdf")
    open(os.fsencode(folder) + b"/caf\xe9.pdf", "wb").close()
    [bad] = [file for file in list_document_files(folder) if file.error]
    assert (bad.doc_id, bad.path) == ("caf%ED%B3%A9.pdf", "caf\\xe9.pdf")
    assert bad.error == "Its name is not UTF-8; rename it."


def test_a_folder_that_cannot_be_listed_is_an_error_and_the_others_are_listed(put, monkeypatch):
    folder = put("a.pdf", "locked/b.pdf", "open/c.pdf")
    refuse_to_list(monkeypatch, "locked")
    assert ids(folder) == ["a.pdf", "open/c.pdf"]
    assert errors(folder) == {"locked/": "The folder cannot be listed: Permission denied."}


def test_the_folder_itself_must_be_there_and_be_readable(tmp_path, monkeypatch):
    with pytest.raises(InputNotFoundError, match="nowhere, does not exist"):
        list_document_files(tmp_path / "nowhere")
    refuse_to_list(monkeypatch, tmp_path.name)
    with pytest.raises(UnreadableInputError, match="cannot be listed: Permission denied"):
        list_document_files(tmp_path)


def test_a_folder_with_a_pattern_in_its_name_is_just_a_folder(put):
    assert ids(put("a [1]*?.pdf", "[x]/b.pdf")) == ["%5Bx%5D/b.pdf", "a %5B1%5D%2A?.pdf"]


HALVES = (("pages", "csv"), ("texts", "json"))


def refuse_to_list(monkeypatch, name):
    """As the system does when permissions lack; root has them all."""
    scandir = os.scandir

    def refuse(path):
        if os.path.basename(os.path.normpath(path)) == name:
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
