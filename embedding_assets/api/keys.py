"""API keys: only a hash of each is kept; what one may do, how often and until when."""

import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Column, Engine, Float, Integer, Row, String, Table, select

from embedding_assets.api.lazy import Lazy
from embedding_assets.api.problems import RequestError
from embedding_assets.api.recent import Recent, RunInThread
from embedding_assets.database import create_tables, own_tables, reading, writing
from embedding_assets.errors import InputError, NotFoundError

SCOPES = (
    "search",
    "similar",
    "embed",
    "documents",
    "accounts",
    "experiments:read",
    "experiments:write",
    "outcomes",
    "metrics",
    "admin",
)
PREFIX = "ea_"
_FORM = re.compile(rf"{PREFIX}[\w-]{{43}}", re.ASCII)
_NAME = re.compile(r"[^\x00-\x1f\x7f]{1,100}")
_HOW = "Send a valid one in the header `Authorization: Bearer KEY` or `X-API-Key: KEY`."
_MOST = 1_000_000_000
_TABLES = own_tables("keys", version=1)
_keys = Table(
    "api_keys",
    _TABLES,
    Column("id", String(16), primary_key=True),
    Column("name", String(100), nullable=False),
    Column("hash", String(64), nullable=False, unique=True),
    Column("scopes", String(400), nullable=False),
    Column("per_minute", Integer),
    Column("per_day", Integer),
    Column("created", Float, nullable=False),
    Column("expires", Float),
    Column("revoked", Float),
)


class KeyRequestError(InputError):
    """A key cannot be made as it was asked for."""


@dataclass(frozen=True)
class NewKey:
    """What a key shall be able to do. per_minute, per_day: None is what the settings say."""

    name: str
    scopes: frozenset[str]
    expires: datetime | None = None
    per_minute: int | None = None
    per_day: int | None = None


@dataclass(frozen=True)
class Key:
    """A key as it is kept: without its secret."""

    id: str
    name: str
    scopes: frozenset[str]
    per_minute: int | None
    per_day: int | None
    created: datetime
    expires: datetime | None
    revoked: datetime | None

    @property
    def state(self) -> str:
        """`valid`, `expired` or `revoked`."""
        if self.revoked:
            return "revoked"
        return "expired" if self.expires and self.expires <= datetime.now(UTC) else "valid"

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "scopes": sorted(self.scopes), "state": self.state}


class KeyStore:
    """The keys in the database; every call blocks.

    All raise DatabaseUnavailableError while the database is gone.
    """

    def __init__(self, engine: Callable[[], Engine]) -> None:
        self._engine = Lazy(lambda: _with_tables(engine()))

    def open(self) -> None:
        """Create the tables, where they are not there yet."""
        self._engine()

    def create(self, wanted: NewKey) -> tuple[str, Key]:
        """A new key: its secret, which nobody can show again, and what is kept of it.

        Raises KeyRequestError for an unknown scope, a past expiry, an odd name or limit.
        """
        _require_sound(wanted)
        secret = PREFIX + secrets.token_urlsafe(32)
        row = {
            "id": secrets.token_hex(6),
            "name": wanted.name,
            "hash": _hash(secret),
            "scopes": " ".join(sorted(wanted.scopes)),
            "per_minute": wanted.per_minute,
            "per_day": wanted.per_day,
            "created": time.time(),
            "expires": wanted.expires.timestamp() if wanted.expires else None,
        }
        with writing(self._engine()) as connection:
            connection.execute(_keys.insert().values(**row))
            made = connection.execute(select(_keys).where(_keys.c.id == row["id"])).one()
        return secret, _key(made)

    def all(self) -> list[Key]:
        """Every key that was ever made, oldest first."""
        with reading(self._engine()) as connection:
            return [_key(row) for row in connection.execute(select(_keys).order_by("created"))]

    def revoke(self, name: str) -> list[Key]:
        """End the key with that id, or all valid keys of that name, for good.

        Raises NotFoundError when there is none.
        """
        named = (_keys.c.id == name) | (_keys.c.name == name)
        valid = _keys.c.revoked.is_(None)
        with writing(self._engine()) as connection:
            ids = list(connection.scalars(select(_keys.c.id).where(named, valid)))
            if not ids:
                raise NotFoundError(
                    f"No key has the id or the name {name!r}, or it is revoked already.",
                    "`embedding-assets keys list` shows all.",
                )
            these = _keys.c.id.in_(ids)
            connection.execute(_keys.update().where(these).values(revoked=time.time()))
            return [_key(row) for row in connection.execute(select(_keys).where(these))]

    def by_hash(self, digest: str) -> Key | None:
        """The key with that hash, valid or not."""
        with reading(self._engine()) as connection:
            row = connection.execute(select(_keys).where(_keys.c.hash == digest)).first()
        return _key(row) if row and hmac.compare_digest(row.hash, digest) else None

    def any_exist(self) -> bool:
        """Whether a key was ever made."""
        with reading(self._engine()) as connection:
            return connection.scalar(select(_keys.c.id).limit(1)) is not None


class KeyRing:
    """The keys as requests need them: remembered for seconds, and on while the database is gone."""

    def __init__(self, store: KeyStore, run: RunInThread) -> None:
        """run: how to read the database beside the event loop."""
        self._store = store
        self._keys: Recent[Key | None] = Recent(run)
        self._exists: Recent[bool] = Recent(run)

    async def find(self, secret: str) -> Key:
        """The valid key with that secret.

        Raises RequestError (401) with the reason why it is not valid, DatabaseUnavailableError
        for a key that was not seen lately while the database is gone.
        """
        if not _FORM.fullmatch(secret):
            raise refused("What was sent is no API key.")
        digest = _hash(secret)
        key = await self._keys.get(digest, lambda: self._store.by_hash(digest))
        if key is None:
            raise refused("This API key is not known.")
        if key.state != "valid":
            raise refused(f"The API key {key.id} is {key.state}.")
        return key

    def knows(self, secret: str) -> bool:
        """Whether that secret was a valid key when it was last looked up; never waits."""
        key = self._keys.known(_hash(secret)) if _FORM.fullmatch(secret) else None
        return key is not None and key.state == "valid"

    async def any_exist(self) -> bool:
        """Whether a key was ever made."""
        return await self._exists.get("", self._store.any_exist)

    @property
    def are_known_to_exist(self) -> bool:
        """Whether a key was seen already, of which none is ever removed; never waits."""
        return bool(self._exists.known(""))


def refused(problem: str, mend: str = _HOW) -> RequestError:
    """The answer to a request without a valid key."""
    return RequestError(problem, mend, 401, {"WWW-Authenticate": 'Bearer realm="api"'})


def _with_tables(engine: Engine) -> Engine:
    create_tables(engine, _TABLES)
    return engine


def _hash(secret: str) -> str:
    # 256 random bits need neither salt nor a slow hash.
    return hashlib.sha256(secret.encode()).hexdigest()


def _key(row: Row[Any]) -> Key:
    return Key(
        id=row.id,
        name=row.name,
        scopes=frozenset(row.scopes.split()),
        per_minute=row.per_minute,
        per_day=row.per_day,
        created=datetime.fromtimestamp(row.created, UTC),
        expires=_moment(row.expires),
        revoked=_moment(row.revoked),
    )


def _moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _require_sound(wanted: NewKey) -> None:
    if not _NAME.fullmatch(wanted.name) or not wanted.name.strip():
        raise KeyRequestError(
            "The name of a key has 1 to 100 printable characters.", "Choose another."
        )
    if unknown := sorted(wanted.scopes - {*SCOPES}):
        raise KeyRequestError(
            f"There is no scope {_listed(unknown)}.", f"The scopes are {_listed(SCOPES)}."
        )
    if not wanted.scopes:
        raise KeyRequestError("A key without scope is of no use.", f"Scopes: {_listed(SCOPES)}.")
    if wanted.expires and wanted.expires <= datetime.now(UTC):
        raise KeyRequestError("The key would have expired already.", "Give a time to come.")
    for limit in (wanted.per_minute, wanted.per_day):
        if limit is not None and not 1 <= limit <= _MOST:
            raise KeyRequestError(f"{limit} is no limit.", f"Give a number from 1 to {_MOST:,}.")


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)
