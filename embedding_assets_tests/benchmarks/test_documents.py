import json

import pytest

from embedding_assets.benchmarks.__main__ import main
from embedding_assets_tests.documents.parse.pdfs import lines, pdf

KEYS = {"name", "pages_per_s", "ratio", "pages", "failed"}


@pytest.fixture
def folder(tmp_path):
    page = lines(50, 100, ["The river rises in the hills and runs for ninety miles."] * 20)
    (tmp_path / "one.pdf").write_bytes(pdf(page))
    (tmp_path / "three.pdf").write_bytes(pdf(page, page, page))
    (tmp_path / "broken.pdf").write_bytes(b"%PDF-1.7 broken")
    return tmp_path


def test_rows_of_raw_text_and_of_us_in_one_process_and_two(folder, capsys):
    assert main(["documents", str(folder), "--rounds", "1", "--peers", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    names = ["pypdfium2 text", "embedding_assets", "embedding_assets, 2 processes"]
    assert [row["name"] for row in rows] == names
    assert all(set(row) == KEYS and row["pages_per_s"] > 0 for row in rows)
    assert [row["pages"] for row in rows] == [4, 4, 4]
    assert rows[0]["ratio"] == 1


def test_a_folder_without_a_readable_file_is_a_named_failure(tmp_path, capsys):
    assert main(["documents", str(tmp_path)]) == 1
    assert "Name a folder of PDF files" in capsys.readouterr().err
