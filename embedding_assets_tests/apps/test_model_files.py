import json

import numpy as np
import pytest

from embedding_assets.apps.model_files import read_files, write_files
from embedding_assets.errors import StoreDamagedError, StoreVersionError

ABOUT = {"format": "1", "names": ("a", "é"), "rate": 0.1, "nothing": None}


@pytest.fixture
def folder(tmp_path):
    write_files(tmp_path / "model", "m", ABOUT, {"numbers": np.arange(3), "none": np.empty((0, 2))})
    return tmp_path / "model"


def test_what_was_written_is_read(folder):
    about, arrays = read_files(folder, "m", "1")
    assert about == {**ABOUT, "names": ["a", "é"]}
    assert arrays["numbers"].tolist() == [0, 1, 2]
    assert arrays["none"].shape == (0, 2)


def test_another_format_is_named(folder):
    with pytest.raises(StoreVersionError, match="the format '1', not '2'"):
        read_files(folder, "m", "2")


@pytest.mark.parametrize("name", ["m.npz", "m.json"])
@pytest.mark.parametrize("damage", ["gone", "empty", "torn", "changed"])
def test_damaged_files_are_named(folder, name, damage):
    path = folder / name
    content = path.read_bytes()
    if damage == "gone":
        path.unlink()
    else:
        middle = len(content) // 2
        changed = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
        path.write_bytes({"empty": b"", "torn": content[:middle], "changed": changed}[damage])
    with pytest.raises(StoreDamagedError, match="cannot be read"):
        read_files(folder, "m", "1")


@pytest.mark.parametrize("text", ["[]", "null", "{}", '"text"', "[" * 100_000])
def test_a_description_of_another_shape_is_damage(folder, text):
    (folder / "m.json").write_text(text)
    with pytest.raises(StoreDamagedError):
        read_files(folder, "m", "1")


def test_arrays_of_another_model_are_damage(folder):
    write_files(folder, "other", ABOUT, {"numbers": np.arange(4)})
    (folder / "other.npz").replace(folder / "m.npz")
    with pytest.raises(StoreDamagedError, match="not what was written"):
        read_files(folder, "m", "1")


def test_a_pickle_among_the_arrays_is_not_opened(folder):
    np.savez(folder / "m.npz", numbers=np.array([{}], dtype=object))
    with pytest.raises(StoreDamagedError):
        read_files(folder, "m", "1")


def test_a_number_that_json_does_not_have_is_refused(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        write_files(tmp_path, "m", {"format": "1", "rate": float("nan")}, {})


def test_equal_models_are_equal_files(folder, tmp_path):
    write_files(tmp_path, "m", ABOUT, {"numbers": np.arange(3), "none": np.empty((0, 2))})
    assert (tmp_path / "m.npz").read_bytes() == (folder / "m.npz").read_bytes()
    assert json.loads((tmp_path / "m.json").read_text())["digest"]
    assert (tmp_path / "m.json").read_bytes() == (folder / "m.json").read_bytes()
