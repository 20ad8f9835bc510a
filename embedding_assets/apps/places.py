"""Where the app of a question stands among the vectors of a version."""

import threading
from bisect import bisect_left
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from itertools import islice, takewhile

from embedding_assets.apps.answers import SimilarQuery
from embedding_assets.apps.index import AppIndex, AppVectors
from embedding_assets.apps.metadata import AppQuery, fold
from embedding_assets.apps.newcomers import NEIGHBOURS, PROJECTION, Placing
from embedding_assets.embedding.encoder import Encoder, Vectors
from embedding_assets.errors import EmbeddingAssetsError, ModelChangedError, NotFoundError

KNOWN = "known"
_MOST_READ = 2_000
_MOST_COMPARED = 20


@dataclass(frozen=True)
class Asked:
    """The app of a question as it is known here.

    place: of its vector among those of the version; -1 for an app without one.
    """

    vectors: AppVectors
    app: AppQuery
    place: int

    @property
    def placing(self) -> Placing:
        """How it is placed when it has no vector."""
        categories = self.vectors.known.metadata.categories
        is_listed = categories.number(self.app.category) is not None
        return self.vectors.entry.newcomers.of(is_listed=is_listed)

    @property
    def needs_text(self) -> bool:
        """Whether the vector of its text decides where it stands."""
        # Without a name a text says no more than category and platform, whose mean is nearest.
        return self.place < 0 and self.app.name is not None and self.placing.method == PROJECTION


@dataclass(frozen=True)
class Placed:
    """The vector of an asked app, float32 [d], unit length, and how it was found."""

    asked: Asked
    vector: Vectors
    placed_by: str


def find_asked(index: AppIndex, query: SimilarQuery) -> Asked:
    """The app of a question.

    Raises NotFoundError for an unknown app or version, or an app of which nothing is known but its
    id; InputError for a new app without metadata.
    """
    vectors = vectors_of(index, query.version)
    if query.app is not None:
        return Asked(vectors, query.app.require_any(), -1)
    row = _row(index, query.app_id or "")
    asked = Asked(vectors, index.metadata.app(row), int(vectors.places[row]))
    if asked.place < 0 and not asked.app.text:
        having = [name for name, each in index.versions.items() if each.places[row] >= 0]
        raise NotFoundError(
            f"The app {query.app_id!r} has neither a vector in {query.version} nor metadata.",
            f"It has one in {', '.join(having)}." if having else "Load its vector.",
        )
    return asked


def vectors_of(index: AppIndex, version: str) -> AppVectors:
    """A version of the vectors. Raises NotFoundError with the versions that there are."""
    try:
        return index.versions[version]
    except KeyError:
        there = ", ".join(index.versions)
        raise NotFoundError(
            f"There is no version {version!r} of the app vectors.", f"The versions are {there}."
        ) from None


class Places:
    """Finds where apps stand; loads the text encoder with the first new app that needs it."""

    def __init__(self, encoder: Callable[[str], Encoder]) -> None:
        """encoder: keeps what it loaded. It is asked each time, as it may let go of a model."""
        self._open_encoder = encoder
        self._loading = threading.Lock()

    def warm_up(self, index: AppIndex) -> None:
        """Load the text encoder where new apps need it. Raises ModelChangedError."""
        for each in index.versions.values():
            if each.projection is not None:
                self._encoder_of(each.entry.newcomers.text_model)

    def place(
        self, asked: dict[int, Asked]
    ) -> tuple[dict[int, Placed], dict[int, EmbeddingAssetsError]]:
        """The place of each asked app, or why it has none, by number; their texts are encoded
        together."""
        placed: dict[int, Placed] = {}
        refused: dict[int, EmbeddingAssetsError] = {}
        texts = {n: each for n, each in asked.items() if each.needs_text}
        try:
            read = self._read(texts.values())
        except EmbeddingAssetsError as error:
            refused, read = dict.fromkeys(texts, error), {}
        for number, each in asked.items():
            if number in refused:
                continue
            try:
                placed[number] = _place(each, read)
            except EmbeddingAssetsError as error:
                refused[number] = error
        return placed, refused

    def _read(self, asked: Iterable[Asked]) -> dict[str, Vectors]:
        """The vector, float32 [1, t], of each text.

        Raises ModelChangedError when another model reads them than the index was built with.
        """
        models = {each.app.text: each.vectors.entry.newcomers.text_model for each in asked}
        if not models:
            return {}
        [fingerprint] = set(models.values())
        encoder = self._encoder_of(fingerprint)
        vectors = encoder.encode([*models]).vectors
        return {text: vectors[n : n + 1] for n, text in enumerate(models)}

    def _encoder_of(self, fingerprint: str) -> Encoder:
        with self._loading:
            encoder = self._open_encoder(fingerprint)
        if encoder.fingerprint != fingerprint:
            raise ModelChangedError(
                f"New apps are placed by texts that another model read ({fingerprint[:12]}) than "
                f"the one that reads them now ({encoder.fingerprint[:12]}).",
                "Set model.name and model.precision back, or materialize app_index.",
            )
        return encoder


def _place(asked: Asked, texts: dict[str, Vectors]) -> Placed:
    vectors = asked.vectors
    if asked.place >= 0:
        return Placed(asked, vectors.index.vectors[asked.place], KNOWN)
    if asked.needs_text and vectors.projection is not None:
        return Placed(asked, vectors.projection.apply(texts[asked.app.text])[0], PROJECTION)
    vector = vectors.known.by_neighbours(asked.app, asked.placing.weights)
    return Placed(asked, vector, NEIGHBOURS)


def _row(index: AppIndex, app_id: str) -> int:
    row = index.row_of.get(app_id)
    if row is None:
        close = ", ".join(_spellings(_SameIds(index.ids)).close_to(app_id))
        raise NotFoundError(
            f"There is no app {app_id[:100]!r}.",
            f"Did you mean {close}?" if close else "Check the id, or describe it as a new app.",
        )
    return row


class _Spellings:
    """The ids of an index as they are compared, in their order."""

    def __init__(self, ids: Iterable[str]) -> None:
        self._sorted = sorted((fold(each), each) for each in ids)

    def close_to(self, app_id: str) -> list[str]:
        """Ids that are spelled most like `app_id`, best first: of its own length or one more or
        less, and with the same beginning where there are any."""
        wanted = fold(app_id)[:100]
        for shared in (len(wanted), len(wanted) - 1, len(wanted) - 2, len(wanted) // 2):
            alike = self._beginning(wanted[:shared], len(wanted)) if shared > 0 else {}
            if wanted in alike:
                return [alike[wanted]]
            if alike:
                return [alike[each] for each in get_close_matches(wanted, alike, n=3)]
        return []

    def _beginning(self, start: str, length: int) -> dict[str, str]:
        """Ids of about that length by how they are compared, a few of those that begin so."""
        first = bisect_left(self._sorted, (start, ""))
        beginning = islice(self._sorted, first, first + _MOST_READ)
        alike = takewhile(lambda each: each[0].startswith(start), beginning)
        return dict(islice((e for e in alike if abs(len(e[0]) - length) <= 1), _MOST_COMPARED))


@lru_cache(maxsize=2)
def _spellings(ids: "_SameIds") -> _Spellings:
    return _Spellings(ids.ids)


class _SameIds:
    """The ids of one opened index: equal to themselves alone, so that comparing costs nothing."""

    def __init__(self, ids: tuple[str, ...]) -> None:
        self.ids = ids

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _SameIds) and self.ids is other.ids

    def __hash__(self) -> int:
        return id(self.ids)
