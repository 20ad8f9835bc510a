"""A model that comes as a `.tar.gz` archive, unpacked so that nothing can leave its folder."""

import gzip
import hashlib
import os
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from embedding_assets.errors import ModelLoadError
from embedding_assets.storage.files import named_errors

MAX_MEMBERS = 1_000
MAX_BYTES = 8 * 1024**3
_MEND = "Pack the model folder again with `tar czf model.tar.gz -C <folder> .`."


def unpack(archive: Path, models_dir: Path) -> Path:
    """The model folder in `archive`, unpacked once under `models_dir` by the archive's SHA-256.

    It appears there whole or not at all, also when two processes unpack at once. Raises
    ModelLoadError for what is no gzipped tar, is truncated, holds links, devices or paths that
    leave the folder, or outgrows the limits; DiskFullError and NotWritableError for `models_dir`.
    """
    with archive.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    target = models_dir.absolute() / "unpacked" / digest
    if not target.exists():
        with named_errors(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            _publish(archive, target)
    return _model_root(target, archive)


def _publish(archive: Path, target: Path) -> None:
    staged = Path(tempfile.mkdtemp(prefix=".unpacking-", dir=target.parent))
    try:
        _extract(archive, staged)
        _model_root(staged, archive)
        os.rename(staged, target)
    except OSError:
        if not target.exists():  # else another process was first, with the same bytes
            raise
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def _extract(archive: Path, folder: Path) -> None:
    try:
        with gzip.open(archive) as stream:
            with tarfile.open(fileobj=stream, mode="r|") as tar:
                for member in _checked(tar, archive):
                    _write(tar, member, folder / member.name)
            _read_to_end(stream)
    except (tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ModelLoadError(
            f"{archive} is truncated or no gzipped tar archive: {error}.", _MEND
        ) from error


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
    """Content alone: neither owner nor rights come from an archive."""
    content = tar.extractfile(member)
    if content is None:
        path.mkdir(parents=True, exist_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with content, path.open("wb") as file:
        shutil.copyfileobj(content, file, 1 << 20)


def _read_to_end(stream: gzip.GzipFile) -> None:
    """Read what follows the last member (zeros), so that gzip compares its checksum."""
    left = MAX_BYTES
    while left > 0 and (block := stream.read(1 << 20)):
        left -= len(block)


def _checked(tar: tarfile.TarFile, archive: Path) -> Iterator[tarfile.TarInfo]:
    total = 0
    for count, member in enumerate(tar, start=1):
        total += member.size
        if count > MAX_MEMBERS or total > MAX_BYTES:
            raise ModelLoadError(
                f"{archive} holds more than {MAX_MEMBERS} files or {MAX_BYTES} bytes.",
                "Unpack it by hand after a look inside, and set model.name to the folder.",
            )
        path = PurePosixPath(member.name)
        if path.is_absolute() or ".." in path.parts or not (member.isreg() or member.isdir()):
            raise ModelLoadError(
                f"{archive} holds {member.name!r}, which is a link or device or leaves the folder.",
                _MEND,
            )
        yield member


def _model_root(folder: Path, archive: Path) -> Path:
    roots = sorted(path.parent for path in folder.glob("modules.json"))
    roots += sorted(path.parent for path in folder.glob("*/modules.json"))
    if not roots:
        raise ModelLoadError(f"{archive} holds no Sentence Transformers model.", _MEND)
    return roots[0]
