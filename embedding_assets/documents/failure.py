"""Why a file gave no document, as data."""

import errno
import traceback
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from embedding_assets.documents.document import (
    DamagedDocumentError,
    EmptyDocumentError,
    LockedDocumentError,
    RefusedDocumentError,
    UnresolvedPageError,
)
from embedding_assets.documents.limits import Limits
from embedding_assets.documents.reader import MEGABYTE
from embedding_assets.errors import EmbeddingAssetsError, InputNotFoundError

_REASON_CHARACTERS = 2000


class FailureKind(StrEnum):
    """Why a file was not read."""

    EMPTY = "empty"
    DAMAGED = "damaged"
    LOCKED = "locked"
    REFUSED = "refused"
    UNRESOLVED_PAGE = "unresolved_page"
    UNREADABLE = "unreadable"
    FAULT = "fault"
    CRASH = "crash"
    MEMORY_LIMIT = "memory_limit"
    CPU_LIMIT = "cpu_limit"
    TIME_LIMIT = "time_limit"
    MISSING = "missing"
    NO_ACCESS = "no_access"
    KILLED = "killed"


_TRANSIENT = frozenset(
    {FailureKind.TIME_LIMIT, FailureKind.MISSING, FailureKind.NO_ACCESS, FailureKind.KILLED}
)
_KINDS: tuple[tuple[type[EmbeddingAssetsError], FailureKind], ...] = (
    (EmptyDocumentError, FailureKind.EMPTY),
    (DamagedDocumentError, FailureKind.DAMAGED),
    (LockedDocumentError, FailureKind.LOCKED),
    (RefusedDocumentError, FailureKind.REFUSED),
    (UnresolvedPageError, FailureKind.UNRESOLVED_PAGE),
    (InputNotFoundError, FailureKind.MISSING),
)


@dataclass(frozen=True)
class Failure:
    """Why a file gave no document, and how to mend it."""

    kind: FailureKind
    reason: str
    mend: str

    @property
    def is_transient(self) -> bool:
        """Whether the same bytes may well be read another time.

        So it is with what came from around the file: it was gone, access was denied, the device
        failed, the system killed the process, or the clock ran out before the CPU seconds did.
        Everything else would come again until the file, the passwords or the limits change.
        """
        return self.kind in _TRANSIENT


def failure_of(error: BaseException, limits: Limits) -> Failure:
    """What anything that was raised over a file means."""
    cause = error if isinstance(error, OSError) else error.__cause__
    system = cause.errno if isinstance(cause, OSError) else None
    if isinstance(error, MemoryError) or system == errno.ENOMEM:
        return Failure(
            FailureKind.MEMORY_LIMIT,
            f"Reading it needs more than the {limits.memory_mb} MB that a file may take.",
            "Split the file or raise the memory limit.",
        )
    if not isinstance(error, EmbeddingAssetsError):
        return Failure(
            FailureKind.FAULT,
            f"The parser failed: {_told(error)}.",
            "Report it with the file, when other programs open that.",
        )
    otherwise = FailureKind.NO_ACCESS if system else FailureKind.UNREADABLE
    kind = next((kind for known, kind in _KINDS if isinstance(error, known)), otherwise)
    return Failure(kind, error.problem[:_REASON_CHARACTERS], error.mend[:_REASON_CHARACTERS])


def too_large(size: int, limits: Limits) -> Failure:
    """Why a document of `size` bytes of text and boxes is not taken."""
    return Failure(
        FailureKind.REFUSED,
        f"It holds {size / MEGABYTE:.0f} MB of text and boxes, "
        f"{limits.document_mb} MB are allowed.",
        "Split the file or raise the limit.",
    )


def _told(error: BaseException) -> str:
    """Its kind, its words, and where it was raised."""
    try:
        words = f"{type(error).__name__}: {error}"
    except Exception:  # noqa: BLE001 - an exception's own text may fail too
        words = type(error).__name__
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""
    return words[:_REASON_CHARACTERS] + where
