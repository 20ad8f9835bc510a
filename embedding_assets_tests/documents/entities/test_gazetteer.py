import unicodedata
from dataclasses import replace

import pytest

from embedding_assets.documents.entities.gazetteer import Gazetteer
from embedding_assets.documents.entities.rules import Rules
from embedding_assets.errors import InputNotFoundError, SchemaError, UnreadableInputError


def found(path, text):
    return [(text[start:end], label) for start, end, label in Gazetteer.read(path).matches(text)]


def test_names_are_found_in_any_case_but_short_ones_as_they_are_written(tmp_path):
    (tmp_path / "names.csv").write_text("name,label\nBank of Oslo,ORG\nOslo,CITY\nIT,ORG\n")
    (tmp_path / "DISH.txt").write_text("# dishes\nPad Thai\n\n")
    text = "The BANK OF  OSLO in Oslo; it serves pad thai. IT!"
    assert found(tmp_path, text) == [
        ("BANK OF  OSLO", "ORG"), ("Oslo", "CITY"), ("pad thai", "DISH"), ("IT", "ORG"),
    ]  # fmt: skip


def test_a_gazetteer_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(InputNotFoundError, match="nothing.csv does not exist"):
        Gazetteer.read(tmp_path / "nothing.csv")
    (tmp_path / "names.csv").write_text("who,what\na,b\n")
    with pytest.raises(SchemaError, match="has the columns"):
        Gazetteer.read(tmp_path / "names.csv")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ('name,label\n"Acme Corp,ORG\nOslo,CITY\n', "lines 2 to 3: unexpected end"),
        ("name,label\nOslo,CITY\nAcme, Inc.,ORG\n", "Line 3 of .* has 3 fields, not 2.*quotes"),
        (b"name,label\n\xff\xfe,ORG\n", "utf-8"),
    ],
    ids=["open quote", "comma", "no text"],
)
def test_a_row_of_the_gazetteer_that_would_be_read_wrong_is_named(tmp_path, content, why):
    path = tmp_path / "names.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UnreadableInputError, match=why):
        Gazetteer.read(path)


def test_quotes_and_short_rows_of_a_gazetteer(tmp_path):
    path = tmp_path / "NAMES.CSV"
    path.write_text('label,name\nORG,"Acme, Inc."\nCITY\n\nPERSON,Pat "Red" Poe\n')
    assert found(path, 'Acme, Inc. met Pat "Red" Poe.') == [
        ("Acme, Inc.", "ORG"), ('Pat "Red" Poe', "PERSON"),
    ]  # fmt: skip


def test_a_gazetteer_folder_holds_what_editors_and_people_leave_there(tmp_path):
    (tmp_path / "CITY.TXT").write_text("Oslo\n")
    (tmp_path / "README.txt").write_text("Names\n")
    (tmp_path / "._CITY.txt").write_bytes(b"\0\xff")
    (tmp_path / ".#CITY.txt").symlink_to("user@host.1:2")
    (tmp_path / "gone.csv").symlink_to("nowhere")
    (tmp_path / "old.csv").mkdir()
    assert found(tmp_path, "Names of Oslo") == [("Oslo", "CITY")]


def test_a_gazetteer_that_may_not_be_read_is_named(tmp_path, monkeypatch):
    (tmp_path / "CITY.txt").write_text("Oslo\n")

    def refused(path):
        raise PermissionError(13, "Permission denied", str(path))

    for name, place in (("read_bytes", "CITY.txt"), ("iterdir", tmp_path.name)):
        monkeypatch.setattr(f"pathlib.Path.{name}", refused)
        with pytest.raises(UnreadableInputError, match=f"{place} cannot be read: Permission"):
            Rules(gazetteer=tmp_path).require_usable()


def test_a_gazetteer_file_whose_name_is_no_text_is_named(tmp_path):
    (tmp_path / "CIT\udcff.txt").write_text("Oslo\n")
    with pytest.raises(UnreadableInputError, match=r"CIT\\udcff.* is no UTF-8"):
        Gazetteer.read(tmp_path)


def test_names_are_found_however_their_accents_are_stored(tmp_path):
    (tmp_path / "ORG.txt").write_text(unicodedata.normalize("NFD", "Société Générale\nÉts\n"))
    for form in ("NFC", "NFD"):
        text = unicodedata.normalize(form, "La SOCIÉTÉ générale, Éts, éts")
        names = [unicodedata.normalize("NFC", name) for name, _ in found(tmp_path, text)]
        assert names == ["SOCIÉTÉ générale", "Éts"], form


def test_of_many_names_that_begin_alike_few_are_looked_at(tmp_path):
    path = tmp_path / "ORG.txt"
    path.write_text("".join(f"Hotel {number}\nHotel {number} Oslo\n" for number in range(500)))
    gazetteer = Gazetteer.read(path)
    looked = []

    class Names(dict):
        def get(self, words, default=None):
            looked.append(words)
            return super().get(words, default)

    counted = replace(gazetteer, names=Names(gazetteer.names))
    text = "hotel 7 oslo hotel 8 hotel"
    assert [text[start:end] for start, end, _ in counted.matches(text)] == [
        "hotel 7 oslo", "hotel 8",
    ]  # fmt: skip
    assert len(looked) <= 5
