import io
import os
import sys
from types import SimpleNamespace

import pytest

from embedding_assets.errors import UnreadableInputError
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
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"from elsewhere")))
    assert texts(str(tmp_path / "a.txt")) == ["in a file"]
    assert texts("-") == ["from elsewhere"]


def test_bytes_that_are_no_text_stop_neither_a_file_nor_standard_input(tmp_path, monkeypatch):
    content = "Zürich".encode("latin-1") + b"\r\nOslo"
    strict = io.TextIOWrapper(io.BytesIO(content), encoding="utf-8", errors="strict")
    monkeypatch.setattr("sys.stdin", strict)
    (tmp_path / "a.txt").write_bytes(content)
    assert texts("-") == texts(str(tmp_path / "a.txt")) == ["Z\ufffdrich\nOslo"]


def test_standard_input_that_cannot_be_read_is_named(tmp_path, monkeypatch):
    folder = os.open(tmp_path, os.O_RDONLY)
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.FileIO(os.open("/dev/null", 0))))
    os.dup2(folder, sys.stdin.buffer.fileno())
    os.close(folder)
    with pytest.raises(UnreadableInputError, match="Standard input cannot be read: Is a dir"):
        texts("-")
    sys.stdin.buffer.close()
