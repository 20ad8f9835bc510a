"""Milliseconds and recall of document search beside NumPy, FAISS, LanceDB and others."""

import argparse
import json
import statistics
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from embedding_assets.benchmarks.passages import Passages, make_passages
from embedding_assets.benchmarks.searchers import (
    CATEGORY,
    EXACT,
    OURS,
    SEARCHERS,
    TOP,
    Search,
    Searcher,
    left_out,
)
from embedding_assets.embedding.workers import usable_cores
from embedding_assets.search.exact import nearest

_QUERIES = 200
_QUERIES_AT_ONCE = 20


@dataclass(frozen=True)
class Row:
    """What was measured of one searcher; None where it does not apply.

    cpu_ms: processor time of one query in all threads, which a busy machine does not lengthen.
    ratio: of the time of one exact NumPy product to its own, median over rounds.
    recall: of the ten nearest by cosine. filtered_*: the same under a filter that leaves about a
    hundredth of the passages.
    """

    name: str
    ranks_by: str
    p50_ms: float
    p95_ms: float
    cpu_ms: float
    ratio: float
    recall: float | None
    filtered_p50_ms: float | None
    filtered_recall: float | None
    build_s: float


@dataclass(frozen=True)
class _Truth:
    """The true rows of each query, among all passages and under the filter."""

    every: list[set[int]]
    filtered: list[set[int]]


@dataclass(frozen=True)
class _Contest:
    """A built searcher with the milliseconds of each query, round by round."""

    name: str
    searcher: Searcher
    build_s: float
    plain: list[list[float]] = field(default_factory=list)
    filtered: list[list[float]] = field(default_factory=list)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Give `parser` the options of this benchmark."""
    parser.add_argument("--rows", type=_positive, default=100_000, help="default 100000")
    parser.add_argument("--rounds", type=_positive, default=10, help="of each (default 10)")
    parser.add_argument("--seed", type=int, default=0, help="of the generated passages")
    parser.add_argument(
        "--peers", nargs="*", choices=list(SEARCHERS), help="only these (default: all installed)"
    )
    parser.add_argument(
        "--json", nargs="?", const="-", metavar="FILE", help="rows as JSON, to FILE or alone"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Measure, then print the table for people, or JSON alone with a bare `--json`."""
    passages = make_passages(options.rows, _QUERIES, options.seed)
    absent = left_out()
    always = [name for name in SEARCHERS if name == EXACT or name.startswith(OURS)]
    wanted = list(SEARCHERS) if options.peers is None else [*always, *options.peers]
    names = [name for name in dict.fromkeys(wanted) if name not in absent]
    with tempfile.TemporaryDirectory(prefix="embedding_assets-") as scratch:
        rows = measure(names, passages, Path(scratch), options.rounds)
    content = json.dumps([asdict(row) for row in rows], indent=2)
    if options.json == "-":
        print(content)
        return
    if options.json:
        Path(options.json).write_text(content + "\n")
    print(_table(rows, absent, options.rows))


def measure(names: list[str], passages: Passages, scratch: Path, rounds: int) -> list[Row]:
    """A row for each name.

    Rounds are interleaved, so that a busy minute of the machine meets all alike; each round asks
    other queries.
    """
    contests = []
    for number, name in enumerate(names):
        print(f"building {name}", file=sys.stderr)
        start = time.perf_counter()
        searcher = SEARCHERS[name][2](passages, scratch / f"searcher-{number}")
        contests.append(_Contest(name, searcher, time.perf_counter() - start))
        searcher.search(0)
    for number in range(rounds):
        print(f"round {number + 1} of {rounds}", file=sys.stderr)
        for each in contests:
            each.plain.append(_times(each.searcher.search, number))
            if each.searcher.filtered is not None:
                each.filtered.append(_times(each.searcher.filtered, number))
    exact = next(each for each in contests if each.name == EXACT)
    truth = _truth(passages)
    return [_row(each, exact, truth) for each in contests]


def _row(own: _Contest, exact: _Contest, truth: _Truth) -> Row:
    ranks_by = SEARCHERS[own.name][1]
    every = [ms for times in own.plain for ms in times]
    filtered = [ms for times in own.filtered for ms in times]
    ratios = [
        statistics.median(base) / statistics.median(times)
        for base, times in zip(exact.plain, own.plain, strict=True)
    ]
    by_meaning = ranks_by == "semantic"
    within = own.searcher.filtered if by_meaning else None
    return Row(
        name=own.name,
        ranks_by=ranks_by,
        p50_ms=round(statistics.median(every), 3),
        p95_ms=round(float(np.quantile(every, 0.95)), 3),
        cpu_ms=round(_cpu_ms(own.searcher.search), 3),
        ratio=round(statistics.median(ratios), 2),
        recall=_recall(own.searcher.search, truth.every) if by_meaning else None,
        filtered_p50_ms=round(statistics.median(filtered), 3) if filtered else None,
        filtered_recall=_recall(within, truth.filtered) if within else None,
        build_s=round(own.build_s, 1),
    )


def _cpu_ms(search: Search) -> float:
    start = time.process_time()
    for query in range(_QUERIES):
        search(query)
    return (time.process_time() - start) / _QUERIES * 1000


def _times(search: Search, number: int) -> list[float]:
    """Milliseconds of each query of a round."""
    times = []
    for query in range(number * _QUERIES_AT_ONCE, (number + 1) * _QUERIES_AT_ONCE):
        start = time.perf_counter()
        search(query % _QUERIES)
        times.append((time.perf_counter() - start) * 1000)
    return times


def _truth(passages: Passages) -> _Truth:
    rows = np.flatnonzero(passages.categories == CATEGORY)
    every = nearest(passages.query_vectors, passages.vectors, TOP).rows
    within = nearest(passages.query_vectors, passages.vectors[rows], TOP).rows
    return _Truth([set(row.tolist()) for row in every], [set(rows[row].tolist()) for row in within])


def _recall(search: Search, truth: list[set[int]]) -> float | None:
    held = sum(map(len, truth))
    if not held:
        return None
    hits = sum(len(rows & set(search(number))) for number, rows in enumerate(truth))
    return round(hits / held, 4)


def _table(rows: list[Row], absent: dict[str, str], count: int) -> str:
    lines = [
        f"{usable_cores()} cores, {count} passages x 384",
        "",
        f"{'':28} {'p50':>9} {'p95':>9} {'CPU':>9} {'NumPy':>7} {'recall':>7} "
        f"{'1 % p50':>9} {'recall':>7} {'build':>8}",
    ]
    lines += [
        f"{row.name:28} {row.p50_ms:6.2f} ms {row.p95_ms:6.2f} ms {row.cpu_ms:6.2f} ms "
        f"{row.ratio:6.1f}x {_number(row.recall, 4):>7} {_number(row.filtered_p50_ms, 2):>6} ms "
        f"{_number(row.filtered_recall, 4):>7} {row.build_s:6.1f} s"
        for row in sorted(rows, key=lambda row: (row.ranks_by, row.p50_ms))
    ]
    lines += [
        "",
        "CPU: processor time of one query, all threads; the others are as a watch shows them.",
        "NumPy: time of one exact product over all vectors / own time, median over interleaved",
        "rounds. recall: of the ten nearest by cosine; the second one within a filter that leaves",
        "a hundredth. embedding_assets gives whole hits (text, pages, document), its keyword and",
        "hybrid modes use the index that the semantic one built; the others give row numbers.",
        "",
        *(f"left out: {name}: {reason}" for name, reason in absent.items()),
    ]
    return "\n".join(lines)


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not positive")
    return number
