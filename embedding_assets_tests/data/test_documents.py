import csv
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import docx
import pypdfium2
import pytest

from generate_data import main
from samples.pdf import PdfWriter, can_show, wrapped

SCRIPT = Path(__file__).parents[2] / "data" / "generate_data.py"


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def pdf_pages(path):
    with pypdfium2.PdfDocument(path) as pdf:
        return [page.get_textpage().get_text_range().replace("\r\n", "\n") for page in pdf]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("documents")
    assert main(["--documents", str(folder)]) == 0
    return folder


@pytest.fixture(scope="module")
def pair(folder):
    with (folder / "pages_12345.csv").open() as file:
        numbers = {row["id"]: int(row["pg_num"]) for row in csv.DictReader(file)}
    return numbers, json.loads((folder / "texts_12345.json").read_text())


def test_script_writes_twelve_documents_and_says_so(tmp_path):
    command = [sys.executable, str(SCRIPT), "--documents", str(tmp_path / "new")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"{tmp_path / 'new'}: 12 documents in ")


def test_default_is_twelve_documents_of_all_formats(folder):
    suffixes = Counter(path.suffix for path in folder.iterdir())
    assert suffixes == {".pdf": 4, ".docx": 3, ".json": 5, ".csv": 1}


def test_pdf_answers_how_long_a_refund_takes_on_a_page_and_has_numbered_pages(folder):
    first, second = pdf_pages(folder / "refund-policy.pdf")
    assert first.startswith("Refund policy of Plate and Pedal\nWhat this policy covers\n")
    assert "How long a refund takes\nHow long a refund takes depends on how you paid." in first
    assert "Plate and Pedal - page 1 of 2" in first
    assert "Plate and Pedal - page 2 of 2" in second


def test_docx_has_headings_lists_and_tables(folder):
    document = docx.Document(folder / "courier-handbook.docx")
    styles = [paragraph.style.name for paragraph in document.paragraphs]
    assert {"Title", "Heading 1", "Heading 2", "List Bullet", "Normal"} == set(styles)
    assert document.tables[0].rows[0].cells[1].text == "Weekday"


def test_pair_has_pages_out_of_order_and_some_without_text(pair):
    numbers, texts = pair
    assert sorted(numbers.values()) == [*range(48)] != [*numbers.values()]
    assert {page for text in texts for page in text["pages"]} < set(numbers)


def test_pair_has_texts_on_up_to_five_pages_in_no_order(pair):
    numbers, texts = pair
    pages = [[numbers[page] for page in text["pages"]] for text in texts]
    assert {len(some) for some in pages} == {1, 2, 3, 4, 5}
    assert any(some != sorted(some) for some in pages)
    assert pages != sorted(pages)


def test_pair_has_repeated_empty_and_huge_texts(pair):
    texts = [text["text"] for text in pair[1]]
    repeated = 1 - len(set(texts)) / len(texts)
    assert 0.09 < repeated < 0.13
    assert sum(not text.strip() for text in texts) == 3
    assert max(map(len, texts)) == 20_000


def test_placeholders_are_all_filled(folder):
    for path in folder.glob("*.json"):
        assert "{" not in str(json.loads(path.read_text())).replace("{'", "")


def test_same_seed_gives_the_same_bytes_and_another_one_others(folder, tmp_path):
    for name, seed in (("same", "7"), ("other", "8")):
        assert main(["--documents", str(tmp_path / name), "--seed", seed]) == 0
    assert contents(tmp_path / "same") == contents(folder)
    other = contents(tmp_path / "other")
    assert other["refund-policy.pdf"] != contents(folder)["refund-policy.pdf"]


@pytest.mark.parametrize(("count", "files"), [(1, 1), (3, 4), (60, 61)])
def test_count_says_how_many_documents(tmp_path, count, files):
    assert main(["--documents", str(tmp_path), "--count", str(count)]) == 0
    assert len(contents(tmp_path)) == len(set(contents(tmp_path).values())) == files


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--count", "5"], "--count 5: needs --documents FOLDER"),
        (["--documents", "new", "--count", "0"], "--count 0: must be 1 to"),
        (["--documents", __file__], "is a file"),
    ],
)
def test_impossible_arguments_are_refused_in_one_line(arguments, reason, capsys):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    problem = capsys.readouterr().err
    assert reason in problem
    assert problem.count("\n") == 1


def test_folder_that_cannot_be_written_is_named(tmp_path, capsys):
    (tmp_path / "file").touch()
    assert main(["--documents", str(tmp_path / "file" / "below")]) == 2
    assert f"cannot write {tmp_path / 'file' / 'below'}" in capsys.readouterr().err


def test_pdf_text_flows_over_pages_and_keeps_signs_of_its_own_syntax(tmp_path):
    writer = PdfWriter("Title", "Footer")
    for number in range(80):
        writer.paragraph(f"({number}) back\\slash, 4 °C, crème brûlée, • 5 € Żurek")
    (tmp_path / "long.pdf").write_bytes(writer.to_bytes())
    pages = pdf_pages(tmp_path / "long.pdf")
    assert len(pages) == 3
    assert "(0) back\\slash, 4 °C, crème brûlée, • 5 € Zurek" in pages[0]
    assert "(79)" in pages[-1]


def test_lines_fit_their_width_but_for_words_that_are_longer():
    assert wrapped("iiii iiii WWWW", 10, 21) == ["iiii iiii", "WWWW"]


@pytest.mark.parametrize(("text", "shown"), [("Żurek? 4 °C", True), ("寿司", False)])
def test_letters_of_other_scripts_are_known_to_be_missing(text, shown):
    assert can_show(text) is shown
