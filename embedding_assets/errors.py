"""Every error a user can meet: what is wrong, and how to mend it; and which of them may pass."""

import errno
import socket
from typing import ClassVar


class EmbeddingAssetsError(Exception):
    """The root of all named errors: `problem` says what is wrong, `mend` what to do about it.

    is_transient: whether the same work may succeed a moment later, though nobody mends anything.
    """

    is_transient: ClassVar[bool] = False

    def __init__(self, problem: str, mend: str) -> None:
        super().__init__(f"{problem} {mend}")
        self.problem = problem
        self.mend = mend

    def __reduce__(self) -> tuple[type["EmbeddingAssetsError"], tuple[str, str]]:
        """Errors travel whole between processes."""
        return type(self), (self.problem, self.mend)


class SettingsError(EmbeddingAssetsError):
    """A setting is unknown, of the wrong type or out of range."""


class InputError(EmbeddingAssetsError):
    """The input cannot be used."""


class InputNotFoundError(InputError):
    """No file stands at the given path."""


class UnreadableInputError(InputError):
    """The file is not what its name says: truncated, damaged, of another format, a directory."""


class SchemaError(InputError):
    """A column is missing or has a type that cannot be read as the expected one."""


class EmptyInputError(InputError):
    """The input holds no row, or no row that can be used."""


class ModelError(EmbeddingAssetsError):
    """The embedding model cannot be used."""


class ModelLoadError(ModelError):
    """The model is absent, is not a Sentence Transformers model, or cannot be read."""


class ModelDamagedError(ModelError):
    """The weights are not those that were published or registered (fingerprint mismatch)."""


class ModelChangedError(ModelError):
    """The configured model is not the one that made the vectors which already exist."""


class ModelPrecisionError(ModelError):
    """The asked-for precision or device would not give this model's vectors."""


class StoreError(EmbeddingAssetsError):
    """What is stored in the data folder cannot be read or written."""


class StoreVersionError(StoreError):
    """The data folder was written under another schema version."""


class StoreDamagedError(StoreError):
    """A stored file is torn or was changed by hand."""


class StoreLockedError(StoreError):
    """Another process holds the lock of the store and did not release it in time."""

    is_transient = True


class OutputError(EmbeddingAssetsError):
    """The result cannot be written; nothing was left at the target path."""


class NotWritableError(OutputError):
    """The target folder is absent, read-only, or the target is itself a folder."""


class DiskFullError(OutputError):
    """No space was left on the device."""


class NotEnoughMemoryError(EmbeddingAssetsError):
    """The process ran into its memory limit."""


class RegistryError(EmbeddingAssetsError):
    """The model registry refuses the request."""


class RegistryUnreachableError(RegistryError):
    """The model registry does not answer, or is held by others for too long."""

    is_transient = True


class NotFoundError(EmbeddingAssetsError):
    """The asked-for account, item, partition or model version does not exist."""


_PASSING_CODES = {
    errno.EAGAIN, errno.EBUSY, errno.EINTR, errno.EMFILE, errno.ENFILE, errno.ENOBUFS,
    errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ENETDOWN, errno.ENETUNREACH, errno.ENETRESET,
    errno.ESTALE, errno.ETIMEDOUT,
}  # fmt: skip
"""Somebody else is at it, or the network is: a full disk and a denied right stay as they are."""
_PASSING_NAMES = {
    "aiohttp": ("ClientConnectionError", "ServerTimeoutError"),
    "botocore": (
        "ConnectionClosedError", "ConnectTimeoutError", "EndpointConnectionError",
        "HTTPClientError", "ReadTimeoutError",
    ),
    "google": ("ServiceUnavailable", "TooManyRequests", "GatewayTimeout"),
    "httpx": ("NetworkError", "TimeoutException"),
    "psycopg": ("OperationalError",),
    "requests": ("ConnectionError", "Timeout"),
    "sqlalchemy": ("TimeoutError", "DisconnectionError"),
    "urllib3": ("ProtocolError", "TimeoutError", "NewConnectionError"),
}  # fmt: skip
"""How libraries say that what they speak to is away; by name, since none is imported for it."""


def is_transient(error: BaseException) -> bool:
    """Whether the same work may succeed a moment later, though nobody mends anything: a lock that
    others hold, a database, a registry or a store that does not answer.

    The outermost named error decides; where there is none, the first cause that can be told.
    """
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        if isinstance(cause, EmbeddingAssetsError):
            return cause.is_transient
        if _passes(cause):
            return True
        cause = cause.__cause__
    return False


def _passes(error: BaseException) -> bool:
    if isinstance(error, ConnectionError | TimeoutError):
        return True
    if isinstance(error, socket.gaierror):
        return error.errno == socket.EAI_AGAIN
    if isinstance(error, OSError) and error.errno in _PASSING_CODES:
        return True
    if type(error).__module__ == "sqlite3":  # its OperationalError is a missing column, too
        return "locked" in str(error) or "busy" in str(error)
    return any(
        each.__name__ in _PASSING_NAMES.get(each.__module__.partition(".")[0], ())
        for each in type(error).__mro__
    )
