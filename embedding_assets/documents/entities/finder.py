"""What a trained model and rules find in texts together."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property

from embedding_assets.documents.entities.model import EntityModel
from embedding_assets.documents.entities.rules import MODEL, Entity, Rules, merge
from embedding_assets.storage.slices import digest_of

FINDER_CODE = "2"


@dataclass(frozen=True)
class Finder:
    """Finds the entities of texts.

    model: the digest of the trained model; None for none. load: gives that model.
    """

    rules: Rules
    model: str | None = None
    load: Callable[[], EntityModel] | None = None

    @cached_property
    def digest(self) -> str:
        """Of all that decides what is found. Raises InputNotFoundError without the gazetteer."""
        return digest_of(FINDER_CODE, self.model, self.rules.digest)

    def __bool__(self) -> bool:
        return bool(self.model or self.rules)

    def find(
        self, texts: Sequence[str], documents: Sequence[Hashable] | None = None
    ) -> list[list[Entity]]:
        """For each text its entities, ascending and apart; a rule goes before the model where both
        find as much.

        documents: for each text which one it is of; each is one of its own by default.
        """
        by_rules = [self.rules.find(text) for text in texts]
        by_model = self._loaded.find(texts, documents) if self._loaded else [[] for _ in texts]
        return [
            merge(
                [
                    *ruled,
                    *(
                        Entity(each.start, each.end, each.label, each.score, MODEL)
                        for each in found
                    ),
                ]
            )
            for ruled, found in zip(by_rules, by_model, strict=True)
        ]

    @cached_property
    def _loaded(self) -> EntityModel | None:
        return self.load() if self.load else None
