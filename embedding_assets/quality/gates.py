"""Whether a model may take over from another one: each gate is one thing that must hold."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa

from embedding_assets.embedding.encoder import Vectors
from embedding_assets.quality.retrieval import Comparison, Values, compare
from embedding_assets.search.exact import nearest

GATES_CODE = "2"
"""Changes whenever the same models would be judged otherwise."""
Verdict = Literal["passed", "failed", "missing", "not applicable"]
_UNIT_TOLERANCE = 1e-4
_ALIKE = 0.9999
_ROWS_AT_ONCE = 1_024


@dataclass(frozen=True)
class Limits:
    """What the gates allow.

    margin: how much lower the challenger's mean may be, however sure that is. recall: of an
    approximate index, at the least. overlap: of the ten nearest, at the least. duplicates: more
    texts without a vector of their own than the champion has, at the most.
    """

    margin: float = 0.02
    recall: float = 0.98
    overlap: float = 0.2
    duplicates: float = 0.01


@dataclass(frozen=True)
class Gate:
    """One judgement.

    value: the challenger's; champion: the same of the champion; limit: what value must reach, or
    must not pass. words: what was found, for people.
    verdict: `missing` where it could not be judged, which is no pass; `not applicable` where there
    is nothing of the kind, as in a store without accounts.
    """

    name: str
    verdict: Verdict
    words: str
    value: float | None = None
    champion: float | None = None
    limit: float | None = None

    @property
    def is_open(self) -> bool:
        """Whether it lets the challenger pass."""
        return self.verdict in ("passed", "not applicable")


@dataclass
class Soundness:
    """What is wrong with stored vectors; `add` takes tables of `embedding`, `tokens`, `windows`.

    cut: texts that were read in fewer windows than their tokens need.
    """

    window: int
    rows: int = 0
    nan: int = 0
    cut: int = 0
    deviation: float = 0.0

    def add(self, batch: pa.RecordBatch) -> None:
        """Look at some rows."""
        if not len(batch):
            return
        vectors = batch["embedding"].flatten().to_numpy(zero_copy_only=False)
        lengths = np.linalg.norm(vectors.reshape(len(batch), -1).astype(np.float64), axis=1)
        finite = np.isfinite(lengths)
        needed = np.maximum(1, -(-batch["tokens"].to_numpy() // self.window))
        self.rows += len(batch)
        self.nan += int((~finite).sum())
        self.cut += int((batch["windows"].to_numpy() < needed).sum())
        self.deviation = max(self.deviation, float(np.abs(lengths[finite] - 1).max(initial=0.0)))

    def norms(self) -> Gate:
        """Every vector has length 1 and no NaN."""
        is_sound = self.nan == 0 and self.deviation <= _UNIT_TOLERANCE
        words = f"{self.rows:,} vectors, {self.nan:,} with NaN, lengths off by {self.deviation:.1e}"
        return Gate("norms", _verdict(is_sound), words, self.deviation, limit=_UNIT_TOLERANCE)

    def truncation(self) -> Gate:
        """No text was cut."""
        words = f"{self.cut:,} of {self.rows:,} texts were cut"
        return Gate("truncation", _verdict(self.cut == 0), words, float(self.cut), limit=0.0)


def not_worse(name: str, values: Values, champion: Values, what: str, margin: float) -> Gate:
    """The challenger's mean over the same queries is not below the champion's beyond chance (paired
    bootstrap, one-sided, 95 %), nor by more than `margin` however sure that is.

    values, champion: float64 [n], one per query. what: the metric, for people.
    """
    found = compare("challenger", values, "champion", champion)
    is_open = not found.is_worse and found.difference >= -margin
    words = (
        f"{what} {values.mean():.3f} against {champion.mean():.3f} over {len(values):,}: "
        f"{_difference(found)}"
    )
    return Gate(
        name, _verdict(is_open), words, float(values.mean()), float(champion.mean()), -margin
    )


def index_recall(recall: dict[str, float], method: str, least: float) -> Gate:
    """The index finds what exact search finds. recall: of the ten nearest, by filter."""
    value = min(recall.values(), default=1.0)
    words = f"{method}; the ten nearest are found to {value:.1%}"
    return Gate("ann_recall", _verdict(value >= least), words, value, limit=least)


def duplicates(vectors: Vectors, champion: Vectors, most: float) -> Gate:
    """Hardly more texts than before share their vector with another text (cosine above 0.9999).

    vectors, champion: float32 [n, d], the same distinct texts.
    """
    value, before = _shared(vectors), _shared(champion)
    words = (
        f"{value:.1%} of {len(vectors):,} texts have no vector of their own, before {before:.1%}"
    )
    is_open = value <= before + most
    return Gate("duplicates", _verdict(is_open), words, value, before, before + most)


def overlap(value: float, texts: int, least: float) -> Gate:
    """The models agree on enough of the ten nearest that both can be about the same texts."""
    words = f"{value:.0%} of the ten nearest of {texts:,} texts are the same in both models"
    return Gate("neighbour_overlap", _verdict(value >= least), words, value, limit=least)


def complete(lacking: dict[str, int], slices: int) -> Gate:
    """The challenger has all that the champion has. lacking: slices that it has not, by table."""
    missing = sum(lacking.values())
    which = ", ".join(f"{count:,} of {name}" for name, count in lacking.items() if count)
    words = f"{slices:,} slices, none lacks" if not missing else f"these lack: {which}"
    return Gate("completeness", _verdict(not missing), words, float(missing), limit=0.0)


def missing(name: str, why: str) -> Gate:
    """A gate that could not be judged."""
    return Gate(name, "missing", why)


def not_applicable(name: str, why: str) -> Gate:
    """A gate of something that there is not."""
    return Gate(name, "not applicable", why)


def closed(gates: Iterable[Gate]) -> list[Gate]:
    """Those that do not let the challenger pass."""
    return [gate for gate in gates if not gate.is_open]


def _shared(vectors: Vectors) -> float:
    if len(vectors) < 2:
        return 0.0
    shared = 0
    for start in range(0, len(vectors), _ROWS_AT_ONCE):
        found = nearest(np.asarray(vectors[start : start + _ROWS_AT_ONCE]), vectors, 2)
        shared += int((found.scores[:, 1] > _ALIKE).sum())
    return shared / len(vectors)


def _difference(found: Comparison) -> str:
    return (
        f"{found.difference:+.3f} ({found.low:+.3f} to {found.high:+.3f}), "
        f"worse with a chance of {found.chance_worse:.1%}"
    )


def _verdict(is_open: bool) -> Verdict:
    return "passed" if is_open else "failed"
