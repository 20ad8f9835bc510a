"""What a run would do, and why, before it does it: what is missing or stale, texts new or changed,
and what keeps days from being made."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date

from embedding_assets.embedding.store import VectorStore
from embedding_assets.records.cost import (
    TextChanges,
    TokenCounter,
    Unknown,
    item_changes,
    items_to_embed,
    text_changes,
    texts_to_embed,
)
from embedding_assets.records.days import DayTables, RecordDays
from embedding_assets.records.forgotten import forgotten_digest
from embedding_assets.records.inventory import Inventory
from embedding_assets.records.latest import item_digest, latest_digest
from embedding_assets.records.outlook import Forecast, Outlook, outlook
from embedding_assets.records.quarantine import quarantine_digest
from embedding_assets.storage.parquet import ParquetTable
from embedding_assets.storage.slices import Footer

_STALE = {
    "raw_records": "record files changed",
    "cleaned_records": "raw records or rules changed",
    "account_texts": "an account's history changed",
    "account_embeddings": "texts or model changed",
}


@dataclass(frozen=True)
class DayState:
    """Whether a day partition holds what it should: `fresh`, `missing`, `stale`, or `blocked`
    when a run could not make it so, because a record file cannot be read; and why."""

    asset: str
    day: date
    state: str
    why: str

    @property
    def is_fresh(self) -> bool:
        """Whether it holds what it should."""
        return self.state == "fresh"

    @property
    def is_due(self) -> bool:
        """Whether a run would write it."""
        return self.state in ("missing", "stale")


@dataclass(frozen=True)
class AssetPlan:
    """What a run would do to one asset, counted in partitions: each a `day`, a record `file`, or
    the whole `table`."""

    asset: str
    missing: int
    stale: int
    fresh: int
    why: Mapping[str, int]
    texts: TextChanges | None = None
    seconds: float | None = None
    blocked: int = 0
    partition: str = "day"

    @property
    def is_due(self) -> bool:
        """Whether a run would write any of it."""
        return self.missing + self.stale > 0


@dataclass(frozen=True)
class Plan:
    """What a run over the days with records would do."""

    assets: tuple[AssetPlan, ...]
    states: tuple[DayState, ...] = field(repr=False)

    @property
    def days_to_run(self) -> list[date]:
        """The days of which a run would write any asset, sorted."""
        return sorted({state.day for state in self.states if state.is_due})


@dataclass(frozen=True)
class Derived:
    """A stored table that depends on one other table alone; `digest` is its digest from that one's.

    stored: what is there now, None when it was never made.
    """

    asset: str
    source: str
    stored: Footer | None
    digest: Callable[[str], str]


@dataclass(frozen=True)
class StoredRecords:
    """Everything that is stored of records, as far as a plan asks."""

    days: DayTables
    files: ParquetTable
    quarantine: Mapping[str, Footer]
    latest: ParquetTable
    items: ParquetTable
    derived: tuple[Derived, ...] = ()


def day_states(
    days: RecordDays, tables: DayTables, inventory: Inventory, fingerprint: str | None
) -> list[DayState]:
    """For each day that has records or is stored, and each asset: missing, stale, blocked or
    fresh, and why.

    fingerprint: of the configured model; None when it was never used here.
    """
    with outlook(days, tables, inventory, fingerprint) as found:
        return list(_states(found))


def make_plan(
    days: RecordDays,
    stored: StoredRecords,
    inventory: Inventory,
    vectors: VectorStore | None,
    count_tokens: TokenCounter,
) -> Plan:
    """What a run over all days with records would do and cost.

    vectors: those of the configured model; None when it was never used here.
    """
    fingerprint = vectors.fingerprint if vectors is not None else ""
    speed = measured_speed(stored.days.embeddings)
    unknown = Unknown(vectors, count_tokens)
    with outlook(days, stored.days, inventory, fingerprint) as found:
        states = tuple(_states(found))
        by_day = {each.asset: _by_day(each.asset, states) for each in found.forecasts}
        texts = text_changes(days, found, stored.days.texts)
        embedded = unknown.cost(texts_to_embed(days, found, stored.days.texts), texts)
        by_day |= {
            "account_texts": replace(by_day["account_texts"], texts=texts),
            "account_embeddings": _with_cost(by_day["account_embeddings"], embedded, speed),
        }
        latest, latest_after = _latest(found, stored.latest, fingerprint)
        left_out = forgotten_digest(days.forgotten())
        items, items_after = _items(found, stored.items, fingerprint, left_out)
        if items.is_due:
            changes = unknown.cost(items_to_embed(found), item_changes(found, stored.items))
            items = _with_cost(items, changes, speed)
    after = {latest.asset: (latest, latest_after), items.asset: (items, items_after)}
    derived = [_derived(each, *after[each.source]) for each in stored.derived]
    files = _table("record_files", stored.files.footer(), inventory.digest, "record files changed")
    quarantine = _quarantine(days, inventory, stored.quarantine)
    return Plan((files, quarantine, *by_day.values(), latest, items, *derived), states)


def measured_speed(embeddings: ParquetTable) -> float | None:
    """Tokens per second of the encoder as last measured here; None before the first run."""
    newest = [footer.stats for footer in embeddings.footers(embeddings.keys()).values()]
    tokens = sum(stats.get("computed_tokens", 0) for stats in newest)
    seconds = sum(stats.get("seconds", 0.0) for stats in newest if stats.get("computed_tokens"))
    return tokens / seconds if seconds else None


def _states(found: Outlook) -> Iterator[DayState]:
    for forecast in found.forecasts:
        for day in found.days:
            yield DayState(forecast.asset, day, *_state(forecast, day))


def _state(forecast: Forecast, day: date) -> tuple[str, str]:
    if forecast.is_due(day):
        if day in forecast.stored:
            return "stale", _STALE[forecast.asset]
        return "missing", "never materialized"
    if day in forecast.blocked:
        return "blocked", forecast.blocked[day]
    return "fresh", ""


def _by_day(asset: str, states: Iterable[DayState]) -> AssetPlan:
    mine = [state for state in states if state.asset == asset]
    count = Counter(state.state for state in mine)
    why = dict(Counter(state.why for state in mine if state.why))
    return AssetPlan(
        asset, count["missing"], count["stale"], count["fresh"], why, blocked=count["blocked"]
    )


def _with_cost(asset: AssetPlan, texts: TextChanges, speed: float | None) -> AssetPlan:
    seconds = texts.tokens / speed if speed else (0.0 if not texts.tokens else None)
    return replace(asset, texts=texts, seconds=seconds)


def _latest(found: Outlook, table: ParquetTable, fingerprint: str) -> tuple[AssetPlan, str]:
    """The plan for the latest embeddings, and their digest after a run."""
    after = latest_digest(found.embeddings.after(found.filled), fingerprint)
    return _table(
        "latest_account_embeddings", table.footer(), after, _reason(found.embeddings)
    ), after


def _items(
    found: Outlook, table: ParquetTable, fingerprint: str, forgotten: str
) -> tuple[AssetPlan, str]:
    """The plan for the item embeddings, and their digest after a run."""
    footer = table.footer()
    after = item_digest(found.cleaned.after(found.filled), fingerprint, forgotten)
    plan = _table("item_embeddings", footer, after, _reason(found.cleaned))
    unchanged = TextChanges(unchanged=footer.rows if footer else 0)
    return _with_cost(plan, unchanged, None), after


def _reason(source: Forecast) -> str:
    return f"{source.asset} will change" if source.due() else f"{source.asset} or model changed"


def _derived(each: Derived, source: AssetPlan, source_digest: str) -> AssetPlan:
    reason = f"{each.source} will change" if source.is_due else f"{each.source} or top changed"
    return _table(each.asset, each.stored, each.digest(source_digest), reason)


def _table(asset: str, stored: Footer | None, after: str, reason: str) -> AssetPlan:
    if stored is None:
        return AssetPlan(asset, 1, 0, 0, {"never materialized": 1}, partition="table")
    if stored.digest != after:
        return AssetPlan(asset, 0, 1, 0, {reason: 1}, partition="table")
    return AssetPlan(asset, 0, 0, 1, {}, partition="table")


def _quarantine(days: RecordDays, inventory: Inventory, stored: Mapping[str, Footer]) -> AssetPlan:
    why = Counter[str]()
    files = inventory.files()
    for file, entries in files.items():
        if file not in stored:
            why["never looked at"] += 1
        elif stored[file].digest != quarantine_digest(days, entries):
            why["the file, the rules or the day changed"] += 1
    why["the file is gone"] = len(stored.keys() - files.keys())
    missing, due = why["never looked at"], sum(why.values())
    fresh = len(stored.keys() | files.keys()) - due
    return AssetPlan(
        "quarantined_records", missing, due - missing, fresh, dict(+why), partition="file"
    )
