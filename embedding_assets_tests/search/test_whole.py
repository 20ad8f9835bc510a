from dataclasses import dataclass
from typing import ClassVar

import pytest
from pydantic import ConfigDict, TypeAdapter

from embedding_assets.errors import StoreDamagedError
from embedding_assets.search.whole import EXACT, file_hashes, read_typed, require_whole
from embedding_assets_tests.search.damage import SHAPES, flip_byte


@dataclass(frozen=True)
class Told:
    __pydantic_config__: ClassVar[ConfigDict] = EXACT

    name: str
    counts: dict[str, int]


READER = TypeAdapter(Told)


def damaged(folder, why):
    return StoreDamagedError(f"{folder.name}: {why}", "")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "a").write_bytes(b"abc")
    (tmp_path / "sub" / "b").write_bytes(b"")
    (tmp_path / "manifest.json").write_text('{"name": "x", "counts": {"a": 1}}')
    return tmp_path


def test_each_file_but_the_manifest_has_its_hash(folder):
    assert file_hashes(folder) == {
        "a": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        "sub/b": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    }


def test_what_is_as_it_was_written_is_whole(folder):
    require_whole(folder, file_hashes(folder), damaged)


@pytest.mark.parametrize(
    "spoil",
    [flip_byte, lambda path: path.unlink(), lambda path: path.write_bytes(b"abcd"),
     lambda path: (path.unlink(), path.mkdir())],
)  # fmt: skip
def test_the_file_that_has_changed_is_named_unless_it_is_not_looked_at(folder, spoil):
    files = file_hashes(folder)
    spoil(folder / "a")
    with pytest.raises(StoreDamagedError, match=": a"):
        require_whole(folder, files, damaged)
    require_whole(folder, files, damaged, only=["sub/b", "unknown"])


def test_a_manifest_is_read_by_its_types(folder):
    assert read_typed(folder, READER, damaged) == Told("x", {"a": 1})


@pytest.mark.parametrize(
    ("text", "where"),
    [('{"name": 1, "counts": {}}', "name"), ('{"name": "x", "counts": null}', "counts"),
     ('{"name": "x", "counts": ["a"]}', "counts"), ('{"name": "x", "counts": {"a": "1"}}', "a"),
     ('{"name": "x"}', "counts"), ('{"name": "x", "counts": {}, "filez": {}}', "filez"),
     *((shape, "manifest") for shape in SHAPES)],
)  # fmt: skip
def test_a_manifest_of_another_shape_is_refused_by_name(folder, text, where):
    (folder / "manifest.json").write_text(text)
    with pytest.raises(StoreDamagedError, match=where):
        read_typed(folder, READER, damaged)


def test_a_manifest_that_is_no_text_is_refused_and_a_missing_one_is_missing(folder):
    (folder / "manifest.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(StoreDamagedError):
        read_typed(folder, READER, damaged)
    with pytest.raises(StoreDamagedError, match="null byte"):
        read_typed(folder / "\0", READER, damaged)
    with pytest.raises(FileNotFoundError):
        read_typed(folder / "gone", READER, damaged)
