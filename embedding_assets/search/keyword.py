"""Keyword search by BM25, with every weight computed when the index is built."""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from embedding_assets.errors import StoreDamagedError, StoreVersionError
from embedding_assets.search.analyzer import ANALYZER_VERSION, STOP_WORDS, terms, words
from embedding_assets.search.postings import Postings, count

K1 = 2.0
B = 0.75
_FORMAT = f"BM25 k1={K1} b={B}; {ANALYZER_VERSION}"
_ARRAYS = ("starts", "rows", "impacts")


@dataclass(frozen=True)
class KeywordIndex:
    """What each term adds to the score of each row that says it.

    documents: how many rows there are.
    vocabulary: the number of each term.
    starts: int64 [terms + 1]; entries starts[t] to starts[t + 1] are those of term t.
    rows: int32 [entries], ascending within a term; impacts: float32 [entries], above 0.
    """

    documents: int
    vocabulary: dict[str, int]
    starts: npt.NDArray[np.int64]
    rows: npt.NDArray[np.int32]
    impacts: npt.NDArray[np.float32]

    @classmethod
    def build(cls, texts: Iterable[str]) -> "KeywordIndex":
        """The index of `texts`; a text's row is its position.

        BM25 (Robertson and Zaragoza 2009) with Lucene's inverse document frequency, which is never
        negative; weights are computed eagerly, as in BM25S (Lù 2024).
        """
        postings = count(texts)
        documents = len(postings.lengths)
        return cls(
            documents, postings.vocabulary, postings.starts, postings.rows, _impacts(postings)
        )

    def save(self, folder: Path) -> None:
        """Write the index into `folder`, which exists or is made; not atomic by itself."""
        folder.mkdir(parents=True, exist_ok=True)
        for name in _ARRAYS:
            np.save(folder / f"{name}.npy", getattr(self, name))
        (folder / "vocabulary.txt").write_text("\n".join(self.vocabulary), encoding="utf-8")
        about = {"format": _FORMAT, "documents": self.documents}
        (folder / "keyword.json").write_text(json.dumps(about), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "KeywordIndex":
        """The index that `save` wrote, its arrays memory-mapped.

        Raises StoreDamagedError when a file is missing or torn, StoreVersionError when it was
        built with other terms or weights than this version's.
        """
        try:
            about = json.loads((folder / "keyword.json").read_text(encoding="utf-8"))
            lines = (folder / "vocabulary.txt").read_text(encoding="utf-8").split("\n")
            starts, rows, impacts = (
                np.load(folder / f"{name}.npy", mmap_mode="r") for name in _ARRAYS
            )
        except (OSError, ValueError, EOFError) as error:
            raise _damaged(folder, str(error)) from error
        if about["format"] != _FORMAT:
            raise StoreVersionError(
                f"The keyword index in {folder} is {about['format']!r}, not {_FORMAT!r}.",
                "Build the index again.",
            )
        vocabulary = {term: number for number, term in enumerate(lines) if term}
        if len(vocabulary) != len(starts) - 1:
            raise _damaged(folder, f"{len(vocabulary)} terms but {len(starts) - 1} lists")
        if not len(rows) == len(impacts) == starts[-1]:
            raise _damaged(folder, f"{len(rows)} rows and {len(impacts)} impacts for {starts[-1]}")
        return cls(about["documents"], vocabulary, starts, rows, impacts)

    def search(
        self, query: str, k: int, allowed: npt.NDArray[np.bool_] | None = None
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
        """The best `k` rows for `query` with their scores, best first, equal ones by row.

        allowed: bool [documents]; only rows where it is true are ranked.
        Returns rows int64 [m] and scores float32 [m]; m is below k when fewer rows say any term.
        """
        scores = self._scores(query)
        if allowed is not None:
            scores *= allowed
        return _best(scores, k)

    def _scores(self, query: str) -> npt.NDArray[np.float32]:
        scores = np.zeros(self.documents, dtype=np.float32)
        for term, weight in _query_terms(query).items():
            number = self.vocabulary.get(term)
            if number is not None:
                here = slice(self.starts[number], self.starts[number + 1])
                np.add.at(scores, self.rows[here], self.impacts[here] * weight)
        return scores


def _query_terms(query: str) -> dict[str, np.float32]:
    """The terms of `query` and their weights, the square root of how often it says them.

    Stop words count only in a query that has nothing else: "The Who".
    """
    said = words(query)
    telling = [word for word in said if word not in STOP_WORDS] or said
    return {term: np.sqrt(np.float32(times)) for term, times in Counter(terms(telling)).items()}


def _impacts(postings: Postings) -> npt.NDArray[np.float32]:
    documents, held = len(postings.lengths), np.diff(postings.starts)
    rarity = np.log1p((documents - held + 0.5) / (held + 0.5)).astype(np.float32)
    mean = max(1.0, float(postings.lengths.mean())) if documents else 1.0
    damping = (K1 * (1 - B + B * postings.lengths / mean)).astype(np.float32)
    impacts = postings.frequencies / (postings.frequencies + damping[postings.rows])
    impacts = impacts.astype(np.float32)
    impacts *= np.repeat(rarity, held)
    return impacts


def _best(
    scores: npt.NDArray[np.float32], k: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    edge = np.partition(scores, -k)[-k] if 0 < k < len(scores) else 0.0
    rows = np.flatnonzero(scores >= edge if edge > 0 else scores)
    rows = rows[np.argsort(-scores[rows], kind="stable")][: max(k, 0)]
    return rows, scores[rows]


def _damaged(folder: Path, why: str) -> StoreDamagedError:
    return StoreDamagedError(
        f"The keyword index in {folder} cannot be read: {why}.", "Build the index again."
    )
