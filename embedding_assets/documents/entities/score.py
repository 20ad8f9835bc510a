"""How right found entities are, by the strict measure: both ends and the label, or nothing."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from embedding_assets.documents.entities.labelled import Span


@dataclass(frozen=True)
class Score:
    """Precision, recall and their harmonic mean; None where nothing was found, or was to find.

    support: entities that were to be found.
    """

    precision: float | None
    recall: float | None
    f1: float | None
    support: int

    @classmethod
    def of(cls, right: int, found: int, support: int) -> "Score":
        """From counts."""
        return cls(
            precision=right / found if found else None,
            recall=right / support if support else None,
            f1=2 * right / (found + support) if found + support else None,
            support=support,
        )


@dataclass(frozen=True)
class Report:
    """The score over all types (micro average), and of each type."""

    overall: Score
    types: Mapping[str, Score]

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            **asdict(self.overall),
            "types": {name: asdict(score) for name, score in self.types.items()},
        }


def judge(truth: Iterable[Sequence[Span]], found: Iterable[Sequence[Span]]) -> Report:
    """The report on the entities found in each sentence."""
    right, answered, wanted = Counter[str](), Counter[str](), Counter[str]()
    for true, answers in zip(truth, found, strict=True):
        wanted.update(span.label for span in true)
        answered.update(span.label for span in answers)
        exact = {(span.start, span.end, span.label) for span in true if span.exact}
        given = {(span.start, span.end, span.label) for span in answers}
        right.update(label for _, _, label in exact & given)
    types = {
        label: Score.of(right[label], answered[label], wanted[label])
        for label in sorted({*wanted, *answered})
    }
    return Report(Score.of(right.total(), answered.total(), wanted.total()), types)
