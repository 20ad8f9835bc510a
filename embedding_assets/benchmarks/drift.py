"""How often the tests for drift call it one, on real texts with and without drift."""

import argparse
import csv
import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from functools import partial
from pathlib import Path

import numpy as np

from embedding_assets.embedding.encoder import Vectors
from embedding_assets.embedding.model import load_encoder, resolve_model
from embedding_assets.embedding.precision import pin
from embedding_assets.errors import InputNotFoundError
from embedding_assets.quality.collections import load_collection
from embedding_assets.quality.drift import Sample, measure_drift
from embedding_assets.quality.drift_blocks import Blocks, common_limit
from embedding_assets.quality.drift_scores import Scores, measure_score_drift
from embedding_assets.storage.slices import digest_of

_MODEL = "all-MiniLM-L6-v2"
_LEVEL = 0.05
_PERMUTATIONS = 199
"""Enough for a level of 0.05; the product's own number takes five times as long."""
_FIRST, _DAYS, _WINDOW, _MOST = date(2026, 1, 1), 97, 7, 5_000
_USUAL, _OTHER = ("cranfield", "cisi"), "med"


@dataclass(frozen=True)
class Row:
    """What was measured of one case.

    drift: whether there is any. units: on each side. found: the share of draws with a p-value of
    0.05 at most, and low, high: its 95 % interval (Wilson). effect: the mean of what was told.
    """

    case: str
    drift: bool
    units: int
    draws: int
    found: float
    low: float
    high: float
    effect: float
    seconds_per_test: float


@dataclass(frozen=True)
class Texts:
    """Vectors of real texts. usual, other: of documents of two topics. asked: of questions, and
    intent: int64 [q], what each is about."""

    usual: Vectors
    other: Vectors
    asked: Vectors
    intent: np.ndarray[tuple[int], np.dtype[np.int64]]


Judged = tuple[float, float]
"""A p-value and an effect."""


@dataclass(frozen=True)
class Case:
    """A way to draw. units: on each side. judge: the verdict of one draw."""

    name: str
    drift: bool
    units: int
    judge: Callable[[Texts, np.random.Generator], Judged]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Give `parser` the options of this benchmark."""
    parser.add_argument(
        "--data", type=Path, default=Path("../shared/data"),
        help="folder with retrieval/cranfield, cisi and med, and banking77/train.csv",
    )  # fmt: skip
    parser.add_argument("--draws", type=int, default=2_000, help="without drift (default 2000)")
    parser.add_argument("--shifts", type=int, default=200, help="draws with drift (default 200)")
    parser.add_argument("--cache", type=Path, help="folder in which vectors are kept")
    parser.add_argument("--case", nargs="*", help="only cases whose names contain one of these")
    parser.add_argument(
        "--json", nargs="?", const="-", metavar="FILE", help="rows as JSON, to FILE or alone"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Measure, then print the table for people, or JSON alone with a bare `--json`."""
    texts = _texts(options.data, options.cache)
    rows = []
    for case in CASES:
        if options.case and not any(each in case.name for each in options.case):
            continue
        rows.append(measure(case, texts, options.shifts if case.drift else options.draws))
        if options.json != "-":
            print(_line(rows[-1]), flush=True)
    content = json.dumps([asdict(row) for row in rows], indent=2)
    if options.json == "-":
        print(content)
    elif options.json:
        Path(options.json).write_text(content + "\n")


def measure(case: Case, texts: Texts, draws: int) -> Row:
    """How often a case is called a drift."""
    began = time.perf_counter()
    seed = int(digest_of(case.name)[:8], 16)
    judged = [case.judge(texts, np.random.default_rng([seed, draw])) for draw in range(draws)]
    seconds = (time.perf_counter() - began) / draws
    found = sum(p_value <= _LEVEL for p_value, _ in judged)
    low, high = _wilson(found, draws)
    effect = float(np.mean([effect for _, effect in judged]))
    return Row(case.name, case.drift, case.units, draws, found / draws, low, high, effect, seconds)


def _documents(texts: Texts, chance: np.random.Generator, size: int, moved: int) -> Judged:
    """Documents before and now; `moved` of those now are of another topic."""
    rows = chance.permutation(len(texts.usual))[: 2 * size - moved]
    other = texts.other[chance.permutation(len(texts.other))[:moved]]
    return _judged(texts.usual[rows[:size]], np.concatenate([texts.usual[rows[size:]], other]))


def _questions(texts: Texts, chance: np.random.Generator, size: int, moved: int) -> Judged:
    """The same with questions to a bank, where the other topic is one more intent of 77."""
    new = chance.integers(texts.intent.max() + 1)
    usual, other = (np.flatnonzero(each) for each in (texts.intent != new, texts.intent == new))
    rows = chance.permutation(usual)[: 2 * size - min(moved, len(other))]
    now = np.concatenate([rows[size:], chance.permutation(other)[:moved]])
    return _judged(texts.asked[rows[:size]], texts.asked[now])


def _accounts(
    texts: Texts, chance: np.random.Generator, sides: int, *, by_unit: bool = True
) -> Judged:
    """Accounts that each ask of one thing only, three questions before, or now, or both. by_unit:
    False takes each question for independent of the others."""
    units: tuple[list[str], list[str]] = ([], [])
    rows: tuple[list[int], list[int]] = ([], [])
    for number in range(120 if sides == 2 else 240):
        intent = chance.integers(texts.intent.max() + 1)
        some = chance.permutation(np.flatnonzero(texts.intent == intent)).tolist()
        for side in (0, 1) if sides == 2 else (number % 2,):
            units[side].extend([f"account {number}"] * 3)
            rows[side].extend(some[3 * side : 3 * side + 3])
    if not by_unit:
        return _judged(texts.asked[rows[0]], texts.asked[rows[1]])
    samples = (Sample(units[side], texts.asked[rows[side]]) for side in (0, 1))
    drift = measure_drift(*samples, permutations=_PERMUTATIONS)
    return drift.p_value or 0.0, drift.effect or 0.0


def _recurring(
    texts: Texts, chance: np.random.Generator, *, by_topic: bool = False, by_query: bool = True
) -> Judged:
    """Searches of 90 days and of 7 more. On each day 8 questions come up that are asked each day
    from then on, most for a few days and some for two months. by_topic: how long depends on the
    intent alone. by_query: False takes a question for another one each day."""
    began = np.repeat(np.arange(-60, 97), 8)
    bank = chance.permutation(len(texts.asked))[: len(began)]
    drawn = chance.random(texts.intent.max() + 1)[texts.intent[bank]]
    lasts = np.ceil(60 * (drawn if by_topic else chance.random(len(began))) ** 4)
    day = np.arange(_DAYS)[:, None]
    seen = (began <= day) & (day < began + lasts)
    return _searched(texts.asked, chance, bank, seen, by_query=by_query)


def _steady(texts: Texts, chance: np.random.Generator, *, whole: bool = False) -> Judged:
    """Searches of 90 days and of 7 more by 6,000 queries, each of which comes at a rate of its own,
    from daily to once in years: questions more often than titles and abstracts, of which a third
    are. whole: compare all 90 days with the 7."""
    known = np.concatenate([texts.asked, texts.usual])
    is_rare = chance.random(6_000) < 1 / 3
    asked = chance.integers(len(texts.asked), size=len(is_rare))
    rare = len(texts.asked) + chance.integers(len(texts.usual), size=len(is_rare))
    rate = 10 ** (-2.0 - is_rare + chance.normal(0, 0.5, len(is_rare)))
    seen = chance.poisson(rate, (_DAYS, len(is_rare))) > 0
    return _searched(known, chance, np.where(is_rare, rare, asked), seen, whole=whole)


def _searched(
    vectors: Vectors,
    chance: np.random.Generator,
    bank: np.ndarray[tuple[int], np.dtype[np.int64]],
    asked: np.ndarray[tuple[int, int], np.dtype[np.bool_]],
    *,
    by_query: bool = True,
    whole: bool = False,
) -> Judged:
    """As searches are looked at: asked says on which days each query was, bank which of the vectors
    it has."""
    days = [_FIRST + timedelta(days=number) for number in range(_DAYS)]
    before, window = days[:-_WINDOW], days[-_WINDOW:]
    earlier = Blocks.window(before) if whole else Blocks.before(before, window)
    hashes = chance.integers(2**63, size=len(bank)).astype(np.uint64)
    samples = []
    for blocks in (earlier, Blocks.window(window)):
        seen = np.array([blocks.seen(hashes, day) for day in days]) & asked
        number, rows = np.nonzero(seen)
        names = rows if by_query else rows + number * len(bank)
        _, once = np.unique(names, return_index=True)
        some = once[np.argsort(hashes[rows[once]], kind="stable")[:_MOST]]
        samples.append((names[some], rows[some]))
    limit = common_limit(_MOST, *(hashes[rows] for _, rows in samples))
    kept = [(names[hashes[rows] <= limit], rows[hashes[rows] <= limit]) for names, rows in samples]
    drift = measure_drift(
        *(Sample([*map(str, names)], vectors[bank[rows]]) for names, rows in kept),
        permutations=_PERMUTATIONS,
    )
    return drift.p_value or 0.0, drift.effect or 0.0


def _scores(texts: Texts, chance: np.random.Generator, size: int, moved: int) -> Judged:
    """The cosine of each question to the nearest of the documents; `moved` are of another kind."""
    rows = chance.permutation(len(texts.asked))[: 2 * size - moved]
    asked = np.concatenate(
        [texts.asked[rows], texts.usual[chance.permutation(len(texts.usual))[:moved]]]
    )
    known = texts.asked[np.setdiff1d(np.arange(len(texts.asked)), rows)[:2_000]]
    best = (asked @ known.T).max(axis=1).astype(np.float64)
    names = [f"question {number}" for number in range(len(best))]
    drift = measure_score_drift(
        Scores(names[:size], best[:size]), Scores(names[size:], best[size:]),
        permutations=_PERMUTATIONS,
    )  # fmt: skip
    return drift.p_value or 0.0, drift.effect or 0.0


def _judged(before: Vectors, now: Vectors) -> Judged:
    names = [f"document {number}" for number in range(len(before) + len(now))]
    drift = measure_drift(
        Sample(names[: len(before)], before), Sample(names[len(before) :], now),
        permutations=_PERMUTATIONS,
    )  # fmt: skip
    return drift.p_value or 0.0, drift.effect or 0.0


CASES = (
    Case("documents, 10 % of another topic", True, 1000, partial(_documents, size=1000, moved=100)),
    Case("the same, half as many", True, 500, partial(_documents, size=500, moved=50)),
    Case("questions, 10 % a new intent", True, 1000, partial(_questions, size=1000, moved=100)),
    Case("questions, 5 % a new intent", True, 1000, partial(_questions, size=1000, moved=50)),
    Case("scores, 10 % of another kind", True, 1000, partial(_scores, size=1000, moved=100)),
    Case("documents", False, 500, partial(_documents, size=500, moved=0)),
    Case("questions, few", False, 100, partial(_questions, size=100, moved=0)),
    Case("accounts on both sides", False, 120, partial(_accounts, sides=2)),
    Case("accounts on one side", False, 120, partial(_accounts, sides=1)),
    Case("the same, texts taken alone", False, 120, partial(_accounts, sides=1, by_unit=False)),
    Case("questions that come again", False, 150, _recurring),
    Case("the same, some intents for longer", False, 200, partial(_recurring, by_topic=True)),
    Case("the same, each day taken alone", False, 700, partial(_recurring, by_query=False)),
    Case("searches at steady rates", False, 480, _steady),
    Case("the same, 90 days against 7", False, 2600, partial(_steady, whole=True)),
    Case("scores", False, 500, partial(_scores, size=500, moved=0)),
)
"""Draws with drift first."""


def _texts(data: Path, cache: Path | None) -> Texts:
    documents = {
        name: [
            text
            for text in load_collection(data / "retrieval" / name).documents.values()
            if text.strip()
        ]
        for name in (*_USUAL, _OTHER)
    }
    questions, intents = _labelled(data / "banking77" / "train.csv")
    usual = [text for name in _USUAL for text in documents[name]]
    vectors = _vectors([*usual, *documents[_OTHER], *questions], cache)
    first, second = len(usual), len(usual) + len(documents[_OTHER])
    _, intent = np.unique(intents, return_inverse=True)
    return Texts(vectors[:first], vectors[first:second], vectors[second:], intent)


def _labelled(path: Path) -> tuple[list[str], list[str]]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    except FileNotFoundError as error:
        raise InputNotFoundError(
            f"{path} does not exist.", "Name another folder by --data."
        ) from error
    return [row["text"] for row in rows], [row["category"] for row in rows]


def _vectors(texts: list[str], cache: Path | None) -> Vectors:
    """float32 [n, d], by the default model; kept in `cache`, where one is named."""
    kept = cache / f"{digest_of(_MODEL, texts)[:16]}.npy" if cache else None
    if kept and kept.exists():
        found: Vectors = np.load(kept, allow_pickle=False)
        return found
    with tempfile.TemporaryDirectory(prefix="embedding_assets-") as folder:
        model = resolve_model(_MODEL, Path(folder))
        encoder = load_encoder(model, pin(model, Path(folder), "auto"), device="auto", threads=None)
        found = encoder.encode(texts).vectors
    if kept:
        kept.parent.mkdir(parents=True, exist_ok=True)
        np.save(kept, found)
    return found


def _wilson(found: int, of: int, z: float = 1.96) -> tuple[float, float]:
    share, square = found / of, z * z / of
    middle = (share + square / 2) / (1 + square)
    half = z * float(np.sqrt(share * (1 - share) / of + square / (4 * of))) / (1 + square)
    return middle - half, middle + half


def _line(row: Row) -> str:
    kind = "drift   " if row.drift else "no drift"
    return (
        f"{kind}  {row.case:<34} {row.units:>5} units {row.draws:>5} draws  "
        f"called drift {row.found:6.1%} ({row.low:.1%} to {row.high:.1%})  "
        f"effect {row.effect:5.1%}  {row.seconds_per_test * 1000:6.0f} ms"
    )
