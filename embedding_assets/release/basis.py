"""What a judgement of the gates stands on, and why it no longer stands."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import file_digest, sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from embedding_assets.quality.gates import GATES_CODE
from embedding_assets.release.gate_table import Judgement
from embedding_assets.release.sketch import Hashes, Sketch, hashed, mixed, numbered
from embedding_assets.release.stage import required

if TYPE_CHECKING:
    from embedding_assets.storage.parquet import ParquetTable
    from embedding_assets.workspace import Workspace

JUDGED_TABLES = ("doc_vectors", "account_embeddings", "item_embeddings")
_BATCH_ROWS = 65_536
_FOOTERS = 1_000
_CHANGED = 0.1


def basis_of(champion: "Workspace", challenger: "Workspace") -> dict[str, Any]:
    """By what it is known whether a judgement would still be the same."""
    limits = challenger.settings.release
    folder = challenger.settings.search.evaluation
    tried = required(champion.seats)
    return {
        "code": GATES_CODE,
        "limits": limits.model_dump(mode="json", exclude={"keep_days", "valid_hours"}),
        "queries": _content(Path(folder).expanduser()) if folder else None,
        "experiment": tried.experiment,
        "rows": {name: champion.rows(name) for name in JUDGED_TABLES},
        "content": {name: sketch.to_json() for name, sketch in _contents(champion)},
    }


def why_stale(found: Judgement, champion: "Workspace", challenger: "Workspace") -> str | None:
    """Why a judgement says nothing any more; None when it holds."""
    hours = challenger.settings.release.valid_hours
    if (found.challenger, found.champion) != (challenger.fingerprint, champion.fingerprint):
        return "it was another pair of models that was judged"
    since = champion.seats.since
    if since and found.at < datetime.fromisoformat(since):
        return f"another model has begun to serve since, on {since[:16]} UTC"
    if datetime.now(UTC) - found.at > timedelta(hours=hours):
        return f"it was judged more than {hours:g} hours ago, on {found.at:%Y-%m-%d %H:%M} UTC"
    return _difference(found.basis, basis_of(champion, challenger))


def _difference(before: dict[str, Any], now: dict[str, Any]) -> str | None:
    for name in ("code", "limits", "queries", "experiment"):
        if before.get(name) != now[name]:
            return f"what is judged by has changed ({name})"
    for name, rows in now["rows"].items():
        judged = before["rows"].get(name, 0)
        if abs(rows - judged) > _CHANGED * max(rows, judged):
            return f"{name} had {judged:,} rows then and has {rows:,} now"
    if "content" not in before:
        return "an earlier release judged it and kept no note of what was stored"
    for name, sketch in now["content"].items():
        changed = Sketch.from_json(before["content"][name]).changed(Sketch.from_json(sketch))
        if changed > _CHANGED:
            return f"about {changed:.0%} of {name} have other content than then"
    return None


def _contents(champion: "Workspace") -> Iterator[tuple[str, Sketch]]:
    """What the texts behind each table are known by, no text or vector being read for it but the
    descriptions of items, which are few: passages by their document's digest, texts of accounts by
    the hash of their history."""
    yield "doc_vectors", Sketch.of(_passages(champion.table("doc_vectors")))
    yield "account_embeddings", Sketch.of(_histories(champion.table("account_texts")))
    yield "item_embeddings", Sketch.of(_items(champion.table("item_embeddings")))


def _passages(vectors: "ParquetTable") -> Iterator[Hashes]:
    known = [*vectors.footers(vectors.keys()).items()]
    for start in range(0, len(known), _FOOTERS):
        part = known[start : start + _FOOTERS]
        texts = (f"{key}\0{footer.digest}" for key, footer in part)
        yield numbered(texts, [footer.rows for _, footer in part])


def _histories(texts: "ParquetTable") -> Iterator[Hashes]:
    for batch in _rows(texts, ["day", "history_hash"]):
        day, history = batch["day"].cast(pa.int32()), batch["history_hash"]
        yield mixed(mixed(_numbers(history)) + _numbers(day))


def _numbers(column: pa.Array) -> Hashes:
    return column.to_numpy().astype(np.uint64)  # type: ignore[no-any-return]


def _items(items: "ParquetTable") -> Iterator[Hashes]:
    for batch in _rows(items, ["item_description"]):
        yield hashed(batch["item_description"].to_pylist())


def _rows(table: "ParquetTable", columns: list[str]) -> Iterator[pa.RecordBatch]:
    keys = table.keys()
    if keys or table.footer() is not None:
        yield from table.batches(keys or None, _BATCH_ROWS, columns)


def _content(folder: Path) -> str:
    """A digest of the files in a folder; another one when any of them changes."""
    digest = sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        with path.open("rb") as file:
            content = file_digest(file, "sha256").hexdigest()
        digest.update(f"{path.relative_to(folder)}\0{content}\n".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()
