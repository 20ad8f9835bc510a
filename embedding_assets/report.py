"""What the command line shows of a workspace, as data and as text."""

import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from embedding_assets.asset_tables import PARQUET_ASSETS
from embedding_assets.catalogue import Catalogue
from embedding_assets.documents.inventory import DocumentInventory
from embedding_assets.documents.plan import DocumentState
from embedding_assets.errors import EmbeddingAssetsError
from embedding_assets.records.inventory import Inventory
from embedding_assets.records.plan import AssetPlan, DayState, Plan
from embedding_assets.search.similar import Neighbour
from embedding_assets.settings import PREFIX, Group, Settings
from embedding_assets.storage.lock import holder
from embedding_assets.storage.version import stored_version
from embedding_assets.workspace import Workspace


@dataclass(frozen=True)
class Status:
    """The state of a data folder."""

    data_dir: str
    schema_version: int | None
    live_model: Mapping[str, Any] | None
    files: int
    unreadable_files: Mapping[str, str]
    rows: Mapping[str, int]
    missing: Mapping[str, int]
    stale: Mapping[str, int]
    blocked: Mapping[str, int]
    quarantined: Mapping[str, int]
    documents: int
    quarantined_documents: Mapping[str, str]
    index: str | None
    app_files: str
    app_index: str | None
    vectors: Mapping[str, int]
    locks: Mapping[str, str]


@dataclass(frozen=True)
class Redriven:
    """What trying quarantined rows again has brought."""

    before: int
    after: int
    days: tuple[str, ...]


def status_of(workspace: Workspace) -> Status:
    """What is stored, stale, locked and quarantined; changes nothing."""
    has_records = workspace.accounts.has_records
    inventory = workspace.accounts.inventory() if has_records else Inventory()
    library = workspace.library
    documents = library.inventory() if library.folder.is_dir() else DocumentInventory()
    states: list[DayState | DocumentState] = [*library.states(documents)]
    states += workspace.accounts.states(inventory) if has_records else []
    return Status(
        data_dir=str(workspace.data_dir),
        schema_version=stored_version(workspace.data_dir),
        live_model=workspace.live_model(),
        files=len(inventory.files()),
        unreadable_files=inventory.errors,
        rows={asset: workspace.rows(asset) for asset in PARQUET_ASSETS},
        missing=_count(state.asset for state in states if state.state == "missing"),
        stale=_count(state.asset for state in states if state.state == "stale"),
        blocked=_count(state.asset for state in states if state.state == "blocked"),
        quarantined=_count(row["reason"] for row in _quarantined(workspace)),
        documents=len(documents.entries),
        quarantined_documents={row["doc_id"]: row["reason"] for row in library.quarantined()},
        index=library.served_version(),
        app_files=_app_files(workspace.catalogue),
        app_index=served.version if (served := workspace.catalogue.served()) else None,
        vectors=_stored_vectors(workspace),
        locks={
            lock.stem: found
            for lock in sorted((workspace.data_dir / "locks").glob("*.lock"))
            if (found := holder(lock))
        },
    )


def redrive(workspace: Workspace) -> Redriven:
    """Judge every quarantined row and unreadable file anew, then refresh the days that changed.

    Raises EmbeddingAssetsError when the run that refreshes them fails.
    """
    before = _quarantined(workspace)
    files = {row["source_file"] for row in before}
    workspace.tables.forget_digests("quarantined_records", files)
    days = _due(workspace.accounts.states(workspace.accounts.inventory(retry=files)))
    _materialize("record_files,quarantined_records", None)
    if days:
        try:
            _materialize("group:records", f"{days[0]}...{days[-1]}")
        except EmbeddingAssetsError:
            # A blocked day between them fails the run after all the others are made.
            if _due(workspace.accounts.states()):
                raise
    return Redriven(len(before), len(_quarantined(workspace)), tuple(days))


def _due(states: Iterable[DayState]) -> list[str]:
    return sorted({state.day.isoformat() for state in states if state.is_due})


def plan_text(plan: Plan) -> str:
    """A plan as a table for people."""
    rows = [_plan_row(asset) for asset in plan.assets]
    head = ("asset", "by", "missing", "stale", "blocked", "fresh", "texts: new", "changed",
            "unchanged", "deleted", "to embed", "tokens", "seconds")  # fmt: skip
    blocked = sorted({state.why for state in plan.states if state.state == "blocked"})
    reasons = [
        f"  {asset.asset}: {why}{_how_many(count, asset.partition)}"
        for asset in plan.assets
        for why, count in asset.why.items()
        if why not in blocked
    ]
    lines = ["Why:", *reasons] if reasons else ["Nothing to do."]
    if blocked:
        lines += ["Blocked until the file is restored or deleted:", *(f"  {w}" for w in blocked)]
    return "\n".join([table(head, rows), "", *lines])


def status_text(status: Status) -> str:
    """A status as lines for people."""
    live = status.live_model
    model = (
        f"{live['name']} ({live['precision']}, {live['fingerprint'][:12]})" if live else "none yet"
    )
    lines = [
        f"data folder   {status.data_dir} (schema version {status.schema_version})",
        f"live model    {model}",
        f"record files  {status.files}, {len(status.unreadable_files)} unreadable",
        *(f"              {file}: {error}" for file, error in status.unreadable_files.items()),
        "",
        table(
            ("asset", "rows", "missing", "stale", "blocked"),
            [(a, f"{n:,}", *(count.get(a, 0) for count in
              (status.missing, status.stale, status.blocked)))
             for a, n in status.rows.items()],
        ),
        "",
        f"vectors       {', '.join(f'{n:,} of {k[:12]}' for k, n in status.vectors.items()) or 0}",
        f"quarantined   {sum(status.quarantined.values()):,} rows",
        *(f"              {count:,} × {reason}" for reason, count in status.quarantined.items()),
        f"documents     {status.documents:,}, {len(status.quarantined_documents):,} in quarantine",
        *(f"              {why}" for why in status.quarantined_documents.values()),
        f"index         {status.index or 'none yet'}",
        f"app files     {status.app_files}",
        f"app index     {status.app_index or 'none yet'}",
        f"locks held    {'; '.join(f'{k} by {v}' for k, v in status.locks.items()) or 'none'}",
    ]  # fmt: skip
    return "\n".join(lines)


def neighbours_text(found: Sequence[Neighbour]) -> str:
    """Neighbours as lines for people."""
    rows = [(each.rank, f"{each.score:.3f}", each.id, each.text[:100]) for each in found]
    return table(("rank", "cosine", "id", "text"), rows)


def quarantine_text(found: tuple[Sequence[Mapping[str, Any]], int]) -> str:
    """Quarantined rows as lines for people."""
    rows, total = found
    if not total:
        return "Nothing is quarantined."
    cells = [
        (r["source_file"], r["source_row"], r["class"], r["attempts"], r["reason"]) for r in rows
    ]
    more = f"\n… and {total - len(rows):,} more" if total > len(rows) else ""
    return table(("file", "row", "class", "attempts", "reason"), cells) + more


def redrive_text(done: Redriven) -> str:
    """The outcome of a redrive in one sentence."""
    days = f"{len(done.days)} days made fresh" if done.days else "no day was stale"
    return f"{done.before - done.after:,} of {done.before:,} quarantined rows are good now; {days}."


def settings_rows(settings: Settings) -> list[dict[str, str]]:
    """Every setting with its value, environment variable and meaning."""
    rows = []
    for name, field in Settings.model_fields.items():
        group = getattr(settings, name)
        inner = type(group).model_fields if isinstance(group, Group) else {"": field}
        for key, each in inner.items():
            rows.append(
                {
                    "setting": f"{name}.{key}" if key else name,
                    "value": str(getattr(group, key) if key else group),
                    "variable": f"{PREFIX}{name}__{key}".upper()
                    if key
                    else f"{PREFIX}{name}".upper(),
                    "meaning": each.description or "",
                }
            )
    return rows


def settings_text(rows: Sequence[Mapping[str, str]]) -> str:
    """Settings as a table for people."""
    return table(("setting", "value", "variable"), [tuple(r.values())[:3] for r in rows])


def table(head: Sequence[object], rows: Iterable[Sequence[object]]) -> str:
    """Rows aligned under their head, numbers to the right."""
    cells = [[str(cell) for cell in row] for row in (head, *rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    columns = list(zip(*cells[1:], strict=True)) or [()] * len(head)
    align = [str.rjust if all(map(_is_number, column)) else str.ljust for column in columns]
    lines = [
        "  ".join(put(cell, width) for put, cell, width in zip(align, row, widths, strict=True))
        for row in cells
    ]
    return "\n".join(line.rstrip() for line in lines)


def _is_number(text: str) -> bool:
    return text[:1] in "0123456789~-"


def _how_many(count: int, partition: str) -> str:
    return "" if partition == "table" else f" ({count} {partition}{'' if count == 1 else 's'})"


def _plan_row(asset: AssetPlan) -> tuple[object, ...]:
    counts = (asset.missing, asset.stale, asset.blocked, asset.fresh)
    days = (asset.asset, asset.partition, *counts)
    texts = asset.texts
    if texts is None:
        return (*days, *[""] * 7)
    changes = (f"{n:,}" for n in (texts.new, texts.changed, texts.unchanged, texts.deleted))
    if asset.asset == "account_texts":
        return (*days, *changes, "", "", "")
    seconds = "not measured yet" if asset.seconds is None else f"{asset.seconds:,.0f}"
    tokens = f"{'~' if texts.tokens_estimated else ''}{texts.tokens:,}"
    return (*days, *changes, f"{texts.to_embed:,}", tokens, seconds)


def _materialize(select: str, partition_range: str | None) -> None:
    command = [
        sys.executable, "-m", "dagster", "asset", "materialize", "--select", select,
        "-m", "embedding_assets.definitions",
    ]  # fmt: skip
    if partition_range:
        command += ["--partition-range", partition_range]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise EmbeddingAssetsError(
            f"The run over {select} failed: {done.stderr.strip().splitlines()[-1]}",
            "Look at the run in the Dagster UI, or run `dagster asset materialize` yourself.",
        )


def _app_files(catalogue: Catalogue) -> str:
    """Whether a run over the app files would change anything, in words."""
    missing = catalogue.missing()
    if catalogue.files.catalogue in missing:
        return "none"
    if missing:
        return f"missing: {', '.join(map(str, missing))}"
    return "changed since the last run" if catalogue.is_stale() else "as stored"


def _quarantined(workspace: Workspace) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = workspace.table_rows("quarantined_records").to_pylist()
    return rows


def _stored_vectors(workspace: Workspace) -> dict[str, int]:
    from embedding_assets.embedding.store import VectorStore

    root = workspace.data_dir / "vectors"
    folders = sorted(path.name for path in root.glob("*") if path.is_dir())
    return {name: len(VectorStore(root, name, 0)) for name in folders}


def _count(names: Iterable[str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for name in names:
        counts[name] = counts.get(name, 0) + 1
    return counts
