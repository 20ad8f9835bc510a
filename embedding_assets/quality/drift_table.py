"""What was found of drift as rows of a table, and what it calls for."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from math import ceil
from typing import Any, Literal, TypeAlias

import pyarrow as pa

from embedding_assets.quality.drift import PERMUTATIONS, Drift, MovedGroup
from embedding_assets.quality.drift_scores import ScoreDrift
from embedding_assets.storage.parquet import ParquetTable
from embedding_assets.storage.slices import Slice, digest_of

Verdict: TypeAlias = Literal["drift", "watch", "stable", "not judged"]
DRIFT_CODE = "3"
"""Changes whenever the same data would be judged otherwise."""
_MOST_ROWS = 3_000

_GROUP = pa.struct(
    [
        pa.field("before", pa.float64()),
        pa.field("now", pa.float64()),
        pa.field("p_value", pa.float64()),
        pa.field("units", pa.list_(pa.string())),
        pa.field("texts", pa.list_(pa.string())),
    ]
)
DRIFT_SCHEMA = pa.schema(
    [
        pa.field("domain", pa.string(), nullable=False),
        pa.field("measure", pa.string(), nullable=False),
        pa.field("window_start", pa.date32(), nullable=False),
        pa.field("window_end", pa.date32(), nullable=False),
        pa.field("reference_start", pa.date32(), nullable=False),
        pa.field("reference_end", pa.date32(), nullable=False),
        pa.field("reference", pa.int64(), nullable=False),
        pa.field("window", pa.int64(), nullable=False),
        pa.field("left_out", pa.int64(), nullable=False),
        pa.field("p_value", pa.float64()),
        pa.field("effect", pa.float64()),
        pa.field("before", pa.float64()),
        pa.field("now", pa.float64()),
        pa.field("verdict", pa.string(), nullable=False),
        pa.field("reason", pa.string()),
        pa.field("groups", pa.list_(_GROUP), nullable=False),
        pa.field("fingerprint", pa.string()),
        pa.field("proposal", pa.string()),
    ]
)
"""One row per domain, measure and window; reference, window: how many units were compared; before,
now: medians of scores. See `Drift`, `ScoreDrift` and docs/monitoring.md."""


@dataclass(frozen=True)
class Span:
    """The days that are compared, all included."""

    reference_start: date
    reference_end: date
    window_start: date
    window_end: date

    @classmethod
    def until(cls, last: date, days: int, reference_days: int) -> "Span":
        """The window that ends with `last`, and the time before it."""
        start = last - timedelta(days=days - 1)
        before = start - timedelta(days=1)
        return cls(before - timedelta(days=reference_days - 1), before, start, last)

    @property
    def sides(self) -> tuple[tuple[date, date], tuple[date, date]]:
        """The first and last day before, and now."""
        return (self.reference_start, self.reference_end), (self.window_start, self.window_end)

    @property
    def open_sides(self) -> tuple[tuple[date, date], tuple[date, date]]:
        """The same, where everything older counts as before."""
        return (date.min, self.reference_end), (self.window_start, self.window_end)

    @property
    def days(self) -> int:
        """Of the window."""
        return (self.window_end - self.window_start).days + 1


@dataclass(frozen=True)
class Proposals:
    """Commands for people. drifted: when it has. foreign: when two models made the vectors."""

    drifted: str | None = None
    foreign: str | None = None


NO_PROPOSALS = Proposals()


@dataclass(frozen=True)
class Look:
    """One measure of a domain, not yet taken.

    digest: of all that decides its result. take: gives the result by so many exchanges.
    fingerprint: of the model whose vectors are compared, None where none is.
    """

    domain: str
    measure: str
    digest: str
    take: Callable[[int], Drift | ScoreDrift]
    fingerprint: str | None = None
    proposals: Proposals = NO_PROPOSALS


def verdict(p_value: float | None, level: float, days: int) -> Verdict:
    """What a p-value says when there is a look each day at a window of `days`: `drift` where all
    looks at a window together are wrong with the probability `level` at most (Bonferroni), `watch`
    where one look alone would be."""
    if p_value is None:
        return "not judged"
    if p_value <= level / days:
        return "drift"
    return "watch" if p_value <= level else "stable"


def exchanges(level: float, days: int) -> int:
    """How many exchanges it takes for a p-value that can be called a drift."""
    return max(PERMUTATIONS, ceil(2 * days / level) - 1)


def taken(look: Look, span: Span, level: float) -> dict[str, Any]:
    """A row (DRIFT_SCHEMA): the result of a measure."""
    found = look.take(exchanges(level, span.days))
    judged = verdict(found.p_value, level, span.days)
    is_foreign = (found.reason or "").startswith(OTHER_MODEL)
    proposal = look.proposals.drifted if judged == "drift" else None
    row = {
        **asdict(span),
        **asdict(found),
        "domain": look.domain,
        "measure": look.measure,
        "verdict": judged,
        "fingerprint": look.fingerprint,
        "proposal": look.proposals.foreign if is_foreign else proposal,
    }
    return {name: row.get(name, [] if name == "groups" else None) for name in DRIFT_SCHEMA.names}


OTHER_MODEL = "another model"
"""How the reason begins where vectors cannot be compared as two models made them."""


def drift_slice(table: ParquetTable, looks: list[Look], span: Span, level: float) -> Slice:
    """The rows of a domain: those of this window, and what was found of earlier ones."""
    [domain] = {look.domain for look in looks}
    digests = [(look.measure, look.digest, look.fingerprint) for look in looks]
    digest = digest_of("embedding_drift", DRIFT_CODE, asdict(span), level, digests)
    stats: dict[str, Any] = {}

    def batches() -> Iterator[pa.RecordBatch]:
        rows = [taken(look, span, level) for look in looks]
        before = [row for row in history(table, domain) if row["window_end"] != span.window_end]
        stats.update({row["measure"]: row["verdict"] for row in rows})
        together = sorted([*before, *rows], key=lambda row: row["window_end"])
        yield from pa.Table.from_pylist(together[-_MOST_ROWS:], DRIFT_SCHEMA).to_batches()

    return Slice(domain, digest, DRIFT_SCHEMA, batches, stats)


def history(table: ParquetTable, domain: str) -> list[dict[str, Any]]:
    """The rows of a domain that are stored, the oldest window first."""
    rows: list[dict[str, Any]] = table.read(domain).to_pylist() if table.footer(domain) else []
    return rows


def newest(table: ParquetTable) -> list[dict[str, Any]]:
    """The rows of the newest window of each domain."""
    found = []
    for domain in table.keys():
        rows = history(table, domain)
        last = max((row["window_end"] for row in rows), default=None)
        found += [row for row in rows if row["window_end"] == last]
    return found


def without_unit(table: ParquetTable, domain: str, unit: str) -> int:
    """Take the groups out of all rows that name a unit; how many rows did."""
    rows = history(table, domain)
    naming = [row for row in rows if any(unit in each["units"] for each in row["groups"])]
    for row in naming:
        row["groups"] = []
    footer = table.footer(domain)
    if naming and footer:
        left = pa.Table.from_pylist(rows, DRIFT_SCHEMA)
        part = Slice(domain, footer.digest, DRIFT_SCHEMA, left.to_batches, footer.stats)
        table.replace(part)
    return len(naming)


def group_text(group: MovedGroup | dict[str, Any]) -> str:
    """A group in a line, for people."""
    each = group if isinstance(group, dict) else asdict(group)
    shown = [text for text in each["texts"] if text] or each["units"]
    return f"{each['before']:.1%} → {each['now']:.1%}  {'; '.join(_short(text) for text in shown)}"


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 60 else f"{line[:59]}…"
