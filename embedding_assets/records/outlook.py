"""What the day partitions of records will hold after a run, known before it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import TypeAlias

from embedding_assets.records.blocked import Blocked, blocked_days
from embedding_assets.records.days import DayTables, RecordDays, Records, clean_digest, history
from embedding_assets.records.embed import embedding_digest
from embedding_assets.records.inventory import Inventory, raw_digest
from embedding_assets.records.text import history_digests, text_digest
from embedding_assets.storage.parquet import ParquetTable
from embedding_assets.storage.slices import Footer

Digests: TypeAlias = Mapping[date, str | None]


@dataclass(frozen=True)
class Forecast:
    """One asset's day partitions.

    stored: what is there now. digests: what a run would leave there, None for nothing.
    blocked: why a run could not make days as they should be.
    """

    asset: str
    stored: Mapping[date, Footer]
    digests: Digests
    blocked: Mapping[date, str]

    def is_due(self, day: date) -> bool:
        """Whether a run would write the day."""
        stored = self.stored.get(day)
        return self.digests[day] != (stored.digest if stored else None)

    def due(self) -> list[date]:
        """The days that a run would write, sorted."""
        return [day for day in self.digests if self.is_due(day)]

    def after(self, filled: frozenset[date]) -> dict[str, Footer]:
        """The footers of all partitions after a run; `filled` are the days with clean records."""
        footers = {str(day): footer for day, footer in self.stored.items()}
        for day in self.due():
            footers[str(day)] = Footer(str(day), self.digests[day] or "", int(day in filled), {})
        return footers


@dataclass(frozen=True)
class Outlook:
    """The days that have records or are stored, as a run over all of them would leave them.

    filled: the days with clean records then. records: opens those.
    """

    raw: Forecast
    cleaned: Forecast
    texts: Forecast
    embeddings: Forecast
    filled: frozenset[date]
    records: Records

    @property
    def days(self) -> list[date]:
        """The days in question, sorted."""
        return list(self.raw.digests)

    @property
    def forecasts(self) -> tuple[Forecast, ...]:
        """All assets in the order in which they are made."""
        return self.raw, self.cleaned, self.texts, self.embeddings


@contextmanager
def outlook(
    days: RecordDays, tables: DayTables, inventory: Inventory, fingerprint: str | None
) -> Iterator[Outlook]:
    """The outlook on the partitions; its records can be read inside the block.

    fingerprint: of the configured model; None when it was never used here.
    """
    stored = {name: _stored(table) for name, table in vars(tables).items()}
    wanted = sorted(day for day in {*inventory.days(), *stored["raw"]} if day in days.range)
    blocked = blocked_days(days, tables, inventory, wanted)
    raw = _raw(inventory, stored["raw"], wanted, blocked)
    cleaned = {
        day: clean_digest(raw[day]) if raw[day] else _digest(stored["cleaned"], day)
        for day in wanted
    }

    def is_stale(day: date) -> bool:
        return _digest(stored["cleaned"], day) != cleaned[day]

    with history(days, tables, inventory, wanted, is_stale) as records:
        filled, drawn = _drawn(days, records, wanted)
        texts = {
            day: _digest(stored["texts"], day) if day in blocked.histories else drawn[day]
            for day in wanted
        }
        embeddings = {
            day: _digest(stored["embeddings"], day)
            if (digest := texts[day]) is None
            else embedding_digest(digest, fingerprint or "")
            for day in wanted
        }
        yield Outlook(
            Forecast("raw_records", stored["raw"], raw, blocked.days),
            Forecast("cleaned_records", stored["cleaned"], cleaned, blocked.days),
            Forecast("account_texts", stored["texts"], texts, blocked.texts),
            Forecast("account_embeddings", stored["embeddings"], embeddings, blocked.texts),
            filled,
            records,
        )


def _stored(table: ParquetTable) -> dict[date, Footer]:
    return {date.fromisoformat(key): footer for key, footer in table.footers(table.keys()).items()}


def _digest(stored: Mapping[date, Footer], day: date) -> str | None:
    footer = stored.get(day)
    return footer.digest if footer else None


def _raw(
    inventory: Inventory, stored: Mapping[date, Footer], wanted: list[date], blocked: Blocked
) -> Digests:
    return {
        day: _digest(stored, day) if day in blocked.days else raw_digest(inventory, day)
        for day in wanted
    }


def _drawn(
    days: RecordDays, records: Records, wanted: list[date]
) -> tuple[frozenset[date], dict[date, str]]:
    """The days with clean records, and for each wanted day the digest of its account texts."""
    if not wanted:
        return frozenset(), {}
    with records(wanted[0], wanted[-1]) as connection:
        found = history_digests(connection, wanted[0], wanted[-1], days.history_days)
    empty = text_digest(days.history_days)
    return frozenset(found), {day: found.get(day, empty) for day in wanted}
