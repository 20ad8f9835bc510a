import csv
import json
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from embedding_assets.documents.classify.label_files import LabelFiles, read_categories
from embedding_assets.documents.classify.label_tables import read_table
from embedding_assets.documents.classify.labels import Category, LabelledRow, LabelledTexts
from embedding_assets.errors import InputNotFoundError, SchemaError, UnreadableInputError

ROWS = [LabelledRow("late, again", "fees"), LabelledRow("soup\nrecipe", "food")]


def unread(paths):
    assert not paths
    return {}


def write_csv(path):
    path.write_text('id,text,label\n1,"late, again",fees\n2,"soup\nrecipe",food\n')


def write_semicolons(path):
    path.write_text('\ufeffText;Category\nlate, again;fees\n"soup\nrecipe";food\n')


def write_json_lines(path):
    entries = [{"text": each.text, "category": each.label} for each in ROWS]
    path.write_text("\n".join(map(json.dumps, entries)) + "\n\n")


def write_parquet(path):
    columns = {"text": [each.text for each in ROWS], "label": [each.label for each in ROWS]}
    pq.write_table(pa.table(columns), path)


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("a.csv", write_csv),
        ("b.CSV", write_semicolons),
        ("c.jsonl", write_json_lines),
        ("d.parquet", write_parquet),
    ],
)
def test_a_table_gives_its_rows(tmp_path, name, write):
    write(tmp_path / name)
    assert list(read_table(tmp_path / name)) == ROWS


@pytest.mark.parametrize(
    ("name", "content", "error", "says"),
    [
        ("a.csv", "text,topic\na,b\n", SchemaError, 'no column "label"'),
        ("a.csv", "", SchemaError, 'no column "text"'),
        ("a.csv", "text,label\nHello, world,hi\n", UnreadableInputError, "Line 2 .* has 3 fields"),
        ("a.csv", 'text;label\n"a\nb";x\na;b;x\n', UnreadableInputError, "Line 4 .*with ';'"),
        ("a.csv", b"text,label\n\xff\xfe,x\n", UnreadableInputError, "cannot be read"),
        ("a.jsonl", '{"text": "a", "label": "b"}\n{"text"', UnreadableInputError, "line 2"),
        ("a.jsonl", '{"label": "b"}', SchemaError, 'no column "text" in line 1'),
        ("a.csv", 'text,label\na,x\n"b,y\nc,x\n', UnreadableInputError, "lines 3 to 4: unexpected"),
        ("a.csv", 'text,label\n"b,y\n"c" d,x\n', UnreadableInputError, "lines 2 to 3: .* expected"),
        (
            "a.jsonl",
            '{"text": "a", "label": "\\ud800"}',
            UnreadableInputError,
            "1: .*half a letter",
        ),
        ("a.jsonl", "[" * 100_000, UnreadableInputError, "line 1: .*recursion"),
        ("a.jsonl", "[1]", UnreadableInputError, "line 1: it is no object"),
        ("a.parquet", "PAR1 no more", UnreadableInputError, "cannot be read"),
        ("a.xlsx", "", UnreadableInputError, "no table of labelled texts"),
    ],
)
def test_what_is_no_table_of_labelled_texts_is_named(tmp_path, name, content, error, says):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(error, match=says):
        list(read_table(path))


def test_quotes_within_a_field_that_has_none_around_it_are_letters(tmp_path):
    (tmp_path / "a.csv").write_text('text,label\nHe said "hi" twice,x\n5" pipe,y\n"a ""b""",x\n')
    texts = [row.text for row in read_table(tmp_path / "a.csv")]
    assert texts == ['He said "hi" twice', '5" pipe', 'a "b"']


def test_a_line_of_csv_that_cannot_be_read_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("embedding_assets.documents.classify.label_tables._LONGEST_FIELD", 9)
    (tmp_path / "a.csv").write_text("text,label\na,x\n" + "b" * 10)
    try:
        with pytest.raises(UnreadableInputError, match="line 3: field larger"):
            list(read_table(tmp_path / "a.csv"))
    finally:
        csv.field_size_limit(2**24)


def test_a_missing_table_is_named(tmp_path):
    with pytest.raises(InputNotFoundError, match="does not exist"):
        list(read_table(tmp_path / "none.csv"))
    for files, setting in (
        (LabelFiles(tmp_path / "none"), "classification.labels"),
        (LabelFiles(None, tmp_path / "none.yaml"), "classification.categories"),
    ):
        with pytest.raises(InputNotFoundError, match=f"does not exist.*{setting}"):
            [*files.rows(unread), *files.described()]


def test_documents_are_read_some_at_a_time_and_those_that_cannot_be_are_counted(tmp_path):
    for category, count in (("food", 300), ("law", 2)):
        (tmp_path / category).mkdir()
        for number in range(count):
            (tmp_path / category / f"{number:03}.pdf").write_text("")
    asked = []

    def read(paths):
        asked.append(len(paths))
        return {path: f"text {path.stem}" for path in paths if path.stem != "001"}

    rows = list(LabelFiles(tmp_path).rows(read))
    assert asked == [256, 44, 2]
    assert rows[:3] == [
        LabelledRow("text 000", "food"), LabelledRow(None, "food"), LabelledRow("text 002", "food"),
    ]  # fmt: skip
    found = LabelledTexts.from_rows(rows)
    assert (len(found.texts), found.notes.without_text) == (300, 2)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.yaml", "fees: what is due\nfood:\n"),
        ("a.yaml", "- name: fees\n  description: what is due\n- food\n"),
        ("a.json", '{"fees": "what is due", "food": ""}'),
        ("a.json", '[{"name": "fees", "description": "what is due"}, "food"]'),
    ],
)
def test_categories_by_name_and_description(tmp_path, name, content):
    (tmp_path / name).write_text(content)
    assert read_categories(tmp_path / name) == [Category("fees", "what is due"), Category("food")]


def test_names_of_categories_stay_as_they_are_written(tmp_path):
    (tmp_path / "a.yaml").write_text("[Yes, No, on, 007, 1_000, 2024-01-05, 1:30, null]")
    found = [each.name for each in read_categories(tmp_path / "a.yaml")]
    assert found == ["Yes", "No", "on", "007", "1_000", "2024-01-05", "1:30", "null"]
    (tmp_path / "b.yaml").write_text("No: ~\nYes: null\n")
    expected = [Category("No"), Category("Yes")]
    assert read_categories(tmp_path / "b.yaml") == expected


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("a.yaml", "[" * 100_000, "recursion"),
        ("a.json", "[" * 100_000, "recursion"),
        ("a.json", '["\\ud800", "b"]', "half a letter"),
        ("a.yaml", '["\\ud800", "b"]', "half a letter"),
    ],
)
def test_categories_that_cannot_be_read_are_named(tmp_path, name, content, why):
    (tmp_path / name).write_text(content)
    with pytest.raises(UnreadableInputError, match=why):
        read_categories(tmp_path / name)


@pytest.mark.parametrize("content", ["just words", "[[1]]", "[{description: a}]", "- ''", "{a"])
def test_what_is_no_list_of_categories_is_named(tmp_path, content):
    (tmp_path / "a.yaml").write_text(content)
    with pytest.raises((SchemaError, UnreadableInputError)):
        read_categories(tmp_path / "a.yaml")


def test_a_folder_with_a_folder_for_each_category(tmp_path):
    for category in ("fees", "food", ".git"):
        (tmp_path / category).mkdir()
        (tmp_path / category / "one.txt").write_text(f"about {category}")
    (tmp_path / "food" / "two.pdf").write_text("not read here")
    (tmp_path / "law.txt").write_text("first\n\nsecond\n")
    write_csv(tmp_path / "more.csv")
    (tmp_path / "categories.yaml").write_text("law: courts")
    files = LabelFiles(tmp_path)
    seen = []

    def read(paths):
        seen.extend(path.name for path in paths)
        return {path: "read elsewhere" for path in paths}

    found = [(row.text.strip(), row.label) for row in files.rows(read)]
    assert found == [
        ("about fees", "fees"), ("about food", "food"), ("read elsewhere", "food"),
        ("first", "law"), ("second", "law"), ("late, again", "fees"), ("soup\nrecipe", "food"),
    ]  # fmt: skip
    assert seen == ["two.pdf"]
    assert files.described() == [Category("law", "courts")]


def leave_behind(folder):
    """What editors, systems and people leave in folders."""
    (folder / ".#a.txt").symlink_to("user@host.1:2")
    (folder / "._a.txt").write_bytes(b"\0\xff")
    (folder / "gone.txt").symlink_to("nowhere")
    (folder / "gone.csv").symlink_to("nowhere")


def test_what_editors_and_systems_leave_in_a_folder_is_no_label(tmp_path):
    (tmp_path / "law.txt").write_text("first\n")
    (tmp_path / "old.txt").mkdir()
    (tmp_path / "old.txt" / "a.txt").write_text("about old ones")
    files = LabelFiles(tmp_path)
    before = files.digest()
    for folder in (tmp_path, tmp_path / "old.txt"):
        leave_behind(folder)
    (tmp_path / "README.md").write_text("Where they come from\n")
    assert files.digest() == before
    assert files.signature()
    assert [(row.text.strip(), row.label) for row in files.rows(unread)] == [
        ("first", "law"), ("about old ones", "old.txt"),
    ]  # fmt: skip


def test_labels_that_may_not_be_read_are_named_and_documents_counted(tmp_path, monkeypatch):
    (tmp_path / "law").mkdir()
    (tmp_path / "law" / "a.txt").write_text("a")
    (tmp_path / "more.txt").write_text("a")

    def refused(path, *given, **named):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("pathlib.Path.open", refused)
    files = LabelFiles(tmp_path)
    rows = files.rows(unread)
    assert next(rows) == LabelledRow(None, "law")
    with pytest.raises(UnreadableInputError, match=r"more\.txt cannot be read: Permission"):
        next(rows)
    assert files.digest() and files.signature()
    monkeypatch.setattr("pathlib.Path.iterdir", refused)
    with pytest.raises(UnreadableInputError, match="cannot be read: Permission"):
        next(files.rows(unread))
    monkeypatch.setattr("pathlib.Path.stat", refused)
    assert LabelFiles(tmp_path / "law" / "a.txt").signature()


@pytest.mark.parametrize("name", ["foo\udcff.txt", "foo\udcff"])
def test_a_category_whose_name_is_no_text_is_named(tmp_path, name):
    if name.endswith("txt"):
        (tmp_path / name).write_text("first\n")
    else:
        (tmp_path / name).mkdir()
    with pytest.raises(UnreadableInputError, match=r"foo\\udcff.* is no UTF-8"):
        list(LabelFiles(tmp_path).rows(unread))


def test_the_digest_changes_with_content_alone(tmp_path):
    write_csv(tmp_path / "a.csv")
    files = LabelFiles(tmp_path / "a.csv")
    before, stamp = files.digest(), files.signature()
    write_csv(tmp_path / "a.csv")
    assert files.digest() == before
    (tmp_path / "a.csv").write_text("text,label\na,b\n")
    assert files.digest() != before
    assert files.signature() != stamp


def test_descriptions_alone_have_no_rows(tmp_path):
    (tmp_path / "c.yaml").write_text("[a, b]")
    files = LabelFiles(None, tmp_path / "c.yaml")
    assert list(files.rows(unread)) == []
    assert [each.name for each in files.described()] == ["a", "b"]
    assert files.digest() != LabelFiles().digest()


_READ_ALL = """
import resource, sys
from pathlib import Path
from embedding_assets.documents.classify.label_tables import read_table
from embedding_assets.documents.classify.labels import LabelledTexts
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
found = LabelledTexts.from_rows(read_table(Path(sys.argv[1])))
grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
print(len(found.texts), found.notes.left_out, grown // 1024)
"""


def test_a_file_of_100_mb_is_read_in_bounded_memory(tmp_path):
    path = tmp_path / "large.csv"
    line = "a text with some words that goes on for a while " * 40
    with path.open("w") as file:
        file.write("text,label\n")
        for number in range(55_000):
            file.write(f"{number} {line},{number % 7}\n")
    assert path.stat().st_size > 100_000_000
    command = [sys.executable, "-c", _READ_ALL, str(path)]
    texts, left_out, grown = map(int, subprocess.check_output(command, text=True).split())
    assert texts + left_out == 55_000
    assert 2_000 < texts < 6_000
    assert grown < 60
