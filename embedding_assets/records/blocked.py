"""Days that cannot be made as they should be, because one of their files cannot be read now.

Such a day keeps its stored rows, and days that look back on it are made from those. Only where
nothing of it is stored, the days that look back on it are blocked too: a text drawn from a
history with a gap would be wrong without a word. The restored, rewritten or deleted file frees
them all.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from embedding_assets.records.inventory import Inventory, raw_digest
from embedding_assets.records.text import window_start
from embedding_assets.storage.parquet import ParquetTable

if TYPE_CHECKING:
    from embedding_assets.records.days import DayTables, RecordDays


@dataclass(frozen=True)
class Blocked:
    """Blocked days with the reason, which names the file.

    days: their records cannot be read, and other ones than they should be, or none, are stored.
    histories: their account texts need records of a day of which nothing is stored.
    """

    days: Mapping[date, str]
    histories: Mapping[date, str]

    @property
    def texts(self) -> dict[date, str]:
        """The days whose account texts cannot be made as they should be."""
        return {**self.days, **self.histories}


def blocked_days(
    days: "RecordDays", tables: "DayTables", inventory: Inventory, wanted: Iterable[date]
) -> Blocked:
    """Which of the `wanted` days a run could not make as they should be."""
    unreadable = inventory.unreadable_days
    stored = tables.raw.footers(map(str, unreadable))
    spoilt = {
        day: why
        for day, why in unreadable.items()
        if str(day) not in stored or stored[str(day)].digest != raw_digest(inventory, day)
    }
    cleaned = tables.cleaned.footers(map(str, spoilt))
    gaps = [day for day in sorted(spoilt) if str(day) not in stored and str(day) not in cleaned]
    asked = sorted(wanted)
    histories: dict[date, str] = {}
    for gap in gaps:
        for day in asked:
            if _looks_back(days, day, gap):
                histories.setdefault(day, spoilt[gap])
    return Blocked({day: spoilt[day] for day in asked if day in spoilt}, histories)


def unblocked(
    keys: Iterable[str], blocked: Mapping[date, str], source: ParquetTable | None = None
) -> list[str]:
    """The days that can be made, sorted: those not blocked, and blocked ones of which `source`,
    the table that they are made from, still holds rows."""
    held = source.footers(map(str, blocked)) if source else {}
    return [key for key in sorted(keys) if date.fromisoformat(key) not in blocked or key in held]


def _looks_back(days: "RecordDays", day: date, gap: date) -> bool:
    return max(days.start, window_start(day, days.history_days)) <= gap <= day
