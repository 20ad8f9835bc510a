"""Rules beside the model: known names and patterns, and whose word counts where they differ."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from embedding_assets.documents.entities.gazetteer import Gazetteer
from embedding_assets.documents.entities.patterns import (
    Pattern,
    built_in_patterns,
    own_pattern,
)
from embedding_assets.storage.slices import digest_of

RULES_CODE = "3"
"""Changes whenever the same rules would find something else."""
MODEL = "model"


@dataclass(frozen=True)
class Entity:
    """An entity in a text: its characters, its label, how sure it is, and who found it: `model`,
    or `rule:` with the rule's name."""

    start: int
    end: int
    label: str
    score: float
    source: str


@dataclass(frozen=True)
class Rules:
    """What is looked for beside the model.

    patterns: built-in ones by name. expressions: labels with regular expressions. Of both the
    earlier ones go before the later ones.
    gazetteer: a file or folder of names; None for none.
    """

    patterns: Sequence[str] = ()
    expressions: Sequence[tuple[str, str]] = ()
    gazetteer: Path | None = None

    def __bool__(self) -> bool:
        return bool(self.patterns or self.expressions or self.gazetteer)

    @property
    def digest(self) -> str:
        """Of all that decides what they find. Raises InputError subclasses for the gazetteer."""
        names = self._names.digest if self._names else None
        return digest_of(RULES_CODE, [*self.patterns], [*self.expressions], names)

    def require_usable(self) -> None:
        """Raises SettingsError when a pattern is unknown or an expression cannot be read,
        InputError subclasses when the gazetteer is absent or cannot be read."""
        _ = (self._own, self._built_in, self._names)

    def find(self, text: str) -> list[Entity]:
        """What the rules find, in the order of their precedence: own expressions, names, built-in
        patterns; they may overlap."""
        found = [
            Entity(start, end, rule.label, 1.0, f"rule:{rule.name}")
            for rule in self._own
            for start, end in rule.matches(text)
        ]
        if self._names:
            found += [
                Entity(start, end, label, 1.0, "rule:gazetteer")
                for start, end, label in self._names.matches(text)
            ]
        return found + [
            Entity(start, end, rule.label, 1.0, f"rule:{rule.name}")
            for rule in self._built_in
            for start, end in rule.matches(text)
        ]

    @cached_property
    def _own(self) -> tuple[Pattern, ...]:
        return tuple(own_pattern(*each) for each in self.expressions)

    @cached_property
    def _built_in(self) -> tuple[Pattern, ...]:
        return built_in_patterns(self.patterns)

    @cached_property
    def _names(self) -> Gazetteer | None:
        return Gazetteer.read(self.gazetteer) if self.gazetteer else None


def merge(candidates: Iterable[Entity]) -> list[Entity]:
    """Entities that do not overlap: the longest stay, of those as long the first given."""
    found = sorted(candidates, key=lambda each: each.start - each.end)  # stable
    taken = bytearray(max((each.end for each in found), default=0))
    kept: list[Entity] = []
    for entity in found:
        if not any(taken[entity.start : entity.end]):
            taken[entity.start : entity.end] = b"\1" * (entity.end - entity.start)
            kept.append(entity)
    return sorted(kept, key=lambda each: each.start)
