import gzip
import io
import tarfile
import threading

import pytest

from embedding_assets.embedding import archive
from embedding_assets.embedding.archive import unpack
from embedding_assets.errors import ModelLoadError


def packed(path, members):
    """A .tar.gz of (TarInfo or name, content) pairs."""
    with tarfile.open(path, "w:gz") as tar:
        for member, content in members:
            info = member if isinstance(member, tarfile.TarInfo) else tarfile.TarInfo(member)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def special(name, kind, target=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def files_below(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("prefix", ["", "./", "my-model/"])
def test_a_model_is_unpacked_once_by_content(tmp_path, prefix):
    source = packed(tmp_path / "m.tar.gz", [(f"{prefix}modules.json", b"[]")])
    folder = unpack(source, tmp_path / "models")
    assert (folder / "modules.json").read_bytes() == b"[]"
    before = (folder / "modules.json").stat().st_mtime_ns
    assert unpack(source, tmp_path / "models") == folder
    assert (folder / "modules.json").stat().st_mtime_ns == before


@pytest.mark.parametrize(
    "member",
    [
        tarfile.TarInfo("../evil"),
        tarfile.TarInfo("a/../../evil"),
        tarfile.TarInfo("/tmp/evil"),
        special("link", tarfile.SYMTYPE, "/etc/passwd"),
        special("inside", tarfile.SYMTYPE, "modules.json"),
        special("hard", tarfile.LNKTYPE, "modules.json"),
        special("device", tarfile.CHRTYPE),
        special("pipe", tarfile.FIFOTYPE),
    ],
    ids=lambda member: f"{member.name}-{member.type.decode()}",
)
def test_members_that_could_leave_the_folder_are_refused(tmp_path, member):
    source = packed(tmp_path / "m.tar.gz", [("modules.json", b"[]"), (member, b"")])
    with pytest.raises(ModelLoadError, match="link or device or leaves the folder"):
        unpack(source, tmp_path / "models")
    assert files_below(tmp_path) == {"m.tar.gz"}


def test_a_bomb_is_stopped_by_its_declared_size(tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "MAX_BYTES", 1_000)
    source = packed(tmp_path / "m.tar.gz", [("modules.json", b"[]"), ("zeros", bytes(10_000))])
    with pytest.raises(ModelLoadError, match="more than"):
        unpack(source, tmp_path / "models")
    assert files_below(tmp_path) == {"m.tar.gz"}


def test_too_many_members_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "MAX_MEMBERS", 3)
    source = packed(tmp_path / "m.tar.gz", [(f"{n}.json", b"{}") for n in range(5)])
    with pytest.raises(ModelLoadError, match="more than 3 files"):
        unpack(source, tmp_path / "models")


@pytest.mark.parametrize("keep", [0, 5, 40, -20])
def test_a_truncated_archive_is_a_named_error(tmp_path, keep):
    source = packed(tmp_path / "m.tar.gz", [("modules.json", b"[]"), ("x", bytes(range(256)) * 90)])
    source.write_bytes(source.read_bytes()[:keep])
    with pytest.raises(ModelLoadError, match="truncated or no gzipped tar"):
        unpack(source, tmp_path / "models")
    assert files_below(tmp_path) == {"m.tar.gz"}


@pytest.mark.parametrize("content", [b"plain text", gzip.compress(b"no tar", mtime=0)])
def test_what_is_no_archive_is_a_named_error(tmp_path, content):
    (tmp_path / "m.tar.gz").write_bytes(content)
    with pytest.raises(ModelLoadError, match="truncated or no gzipped tar"):
        unpack(tmp_path / "m.tar.gz", tmp_path / "models")


def test_an_archive_without_a_model_is_a_named_error(tmp_path):
    source = packed(tmp_path / "m.tar.gz", [("readme.txt", b"hello")])
    with pytest.raises(ModelLoadError, match="holds no Sentence Transformers model"):
        unpack(source, tmp_path / "models")
    assert files_below(tmp_path) == {"m.tar.gz"}


def test_two_that_unpack_at_once_end_with_one_folder(tmp_path):
    source = packed(tmp_path / "m.tar.gz", [("modules.json", b"[]"), ("x", bytes(3_000_000))])
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(unpack(source, tmp_path / "models")))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4 and len(set(found)) == 1
    assert len(list((tmp_path / "models" / "unpacked").iterdir())) == 1
