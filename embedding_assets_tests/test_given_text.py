import io

import pytest

from embedding_assets.given_text import given_blocks
from embedding_assets.settings import Settings


def texts(argument):
    return [block.text for block in given_blocks(argument, Settings())]


@pytest.mark.parametrize(
    "text", ["a sentence of many words " * 20, "a/" * 5_000, "a\0b", "two\nlines", ""], ids=len
)
def test_what_is_no_name_of_a_file_is_the_text(text):
    assert texts(text) == [text]


def test_a_file_or_standard_input_is_read(tmp_path, monkeypatch):
    (tmp_path / "a.txt").write_text("in a file")
    monkeypatch.setattr("sys.stdin", io.StringIO("from elsewhere"))
    assert texts(str(tmp_path / "a.txt")) == ["in a file"]
    assert texts("-") == ["from elsewhere"]
