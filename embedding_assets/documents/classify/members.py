"""The parts of a classifier: logistic regressions over vectors and words, and categories' names."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from embedding_assets.documents.classify.labels import TEXT_CHARACTERS, Labels
from embedding_assets.embedding.encoder import Vectors

if TYPE_CHECKING:
    from sklearn.feature_extraction.text import TfidfVectorizer

Scores: TypeAlias = npt.NDArray[np.float64]
Features: TypeAlias = Any
"""float32 [n, d], dense or sparse by rows."""
NAME_SCALE = 16.0
"""What a cosine between a text and a category's name is worth as a logit; measured on banking77."""
_MANY_TEXTS = 2_000
_MOST_TERMS = 200_000
_MOST_COEFFICIENTS = 10_000_000
"""Of all categories together: each takes 200 bytes while it is learnt, and two folds learn at once.
"""
_ITERATIONS = 300
_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Linear:
    """A logistic regression over k categories.

    coefficients: float32 [k, d]; intercepts: float32 [k].
    """

    coefficients: npt.NDArray[np.float32]
    intercepts: npt.NDArray[np.float32]

    @classmethod
    def fit(cls, features: Features, labels: Labels, strength: float) -> "Linear":
        """The regression of k >= 2 categories that all occur in `labels`.

        strength: the inverse of the penalty (scikit-learn's C).
        """
        from sklearn.linear_model import LogisticRegression

        model = LogisticRegression(C=strength, max_iter=_ITERATIONS, tol=_TOLERANCE)
        model.fit(features, labels)
        coefficients, intercepts = model.coef_, model.intercept_
        if len(coefficients) == 1:  # two categories: the second one against the first
            coefficients = np.concatenate([np.zeros_like(coefficients), coefficients])
            intercepts = np.concatenate([np.zeros_like(intercepts), intercepts])
        return cls(coefficients.astype(np.float32), intercepts.astype(np.float32))

    def log_probabilities(self, features: Features) -> Scores:
        """float64 [n, k]."""
        scores = np.asarray(features @ self.coefficients.T, dtype=np.float64) + self.intercepts
        return log_softmax(scores)


@dataclass(frozen=True)
class Terms:
    """Words and pairs of words with their weights (TF-IDF, sublinear).

    vocabulary: v terms; idf: float32 [v].
    """

    vocabulary: tuple[str, ...]
    idf: npt.NDArray[np.float32]

    @classmethod
    def fit(cls, texts: Sequence[str], categories: int) -> "Terms":
        """The words of some texts of so many categories; there may be none.

        Of many texts also pairs of words, and no term that occurs in one alone. Of too many terms
        the most frequent ones are kept.
        """
        is_many = len(texts) >= _MANY_TEXTS
        most = min(_MOST_TERMS, _MOST_COEFFICIENTS // categories)
        limits = {"min_df": 1 + is_many, "max_features": most}
        vectorizer = _vectorizer(ngram_range=(1, 1 + is_many), **limits)
        try:
            vectorizer.fit(_cut(texts))
        except ValueError:  # no text has a word
            return cls((), np.empty(0, dtype=np.float32))
        return cls(
            tuple(vectorizer.get_feature_names_out().tolist()), vectorizer.idf_.astype(np.float32)
        )

    def features(self, texts: Sequence[str]) -> Features:
        """float32 [n, v], sparse, rows of unit length; zero where no term is known."""
        longest = 2 if any(" " in term for term in self.vocabulary) else 1
        vectorizer = _vectorizer(vocabulary=self.vocabulary, ngram_range=(1, longest))
        vectorizer.idf_ = self.idf.astype(np.float32)
        return vectorizer.transform(_cut(texts))


def name_scores(vectors: Vectors, names: Vectors) -> Scores:
    """float64 [n, k]: how near texts are to the names of categories, as log-probabilities."""
    return log_softmax(NAME_SCALE * np.asarray(vectors @ names.T, dtype=np.float64))


def log_softmax(scores: Scores) -> Scores:
    """The logarithms of probabilities that are proportional to exp(scores), row by row."""
    shifted = scores - scores.max(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))


def _cut(texts: Sequence[str]) -> list[str]:
    return [text[:TEXT_CHARACTERS] for text in texts]


def _vectorizer(**options: Any) -> "TfidfVectorizer":
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(sublinear_tf=True, dtype=np.float32, **options)
