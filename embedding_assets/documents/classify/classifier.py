"""Which category a text belongs to, how probable that is, and when nothing should be said."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from embedding_assets.apps.model_files import Arrays, read_files, write_files
from embedding_assets.documents.classify.evaluation import (
    Evaluation,
    Probabilities,
    threshold_for,
)
from embedding_assets.documents.classify.labels import Category, LabelledTexts
from embedding_assets.documents.classify.members import (
    Features,
    Linear,
    Scores,
    Terms,
    name_scores,
)
from embedding_assets.documents.classify.stack import (
    USUAL_STRENGTH,
    Split,
    stack_weights,
    stacked_scores,
    tuned_strength,
    unseen_scores,
    usual_weights,
)
from embedding_assets.embedding.encoder import Vectors
from embedding_assets.errors import InputError

CLASSIFIER_CODE = "3"
"""Changes whenever the same labelled texts would give another model."""
_FORMAT = "1"
"""Of the files: while new labels cannot be used, the last good model is, whatever made it."""
ABSTAIN = 0.05
LABELS, DESCRIPTIONS = "labels", "descriptions"
_FILES = "classifier"

Embed = Callable[[Sequence[str]], Vectors]


@dataclass(frozen=True)
class Classified:
    """What is said of a text.

    category: None when nothing should be said. probability: of `best`, the most probable category.
    ranked: categories with their probabilities, the most probable first.
    """

    category: str | None
    probability: float
    best: str
    ranked: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True)
class DocumentClassifier:
    """What tells k categories apart by a text's vector and its words.

    names: float32 [k, d], the vectors of the categories' own names. linear: regressions by member;
    none where it goes by names alone. weights: how much each member counts. prior: float64
    [k], added to the categories' scores: the logarithm of how many texts one that was learnt from
    stands for (King and Zeng 2001). threshold: less
    probable texts get no category. evaluation: of texts that were left out in learning, by how it
    was learnt (`labels`) and by names alone (`descriptions`); empty where none could be left out.
    fingerprint: of the encoder.
    """

    categories: tuple[Category, ...]
    names: Vectors
    terms: Terms
    linear: Mapping[str, Linear]
    weights: Mapping[str, float]
    strengths: Mapping[str, float]
    prior: Scores
    threshold: float
    evaluation: Mapping[str, Evaluation]
    fingerprint: str

    @classmethod
    def fit(
        cls,
        labelled: LabelledTexts,
        embed: Embed,
        fingerprint: str,
        abstain: float = ABSTAIN,
        *,
        seed: int = 0,
    ) -> "DocumentClassifier":
        """What tells the categories of labelled texts apart; by their names where the texts are of
        one alone, or there are none.

        Logistic regressions over vectors and words, tuned by cross-validation, are weighed by what
        they say of texts they have not seen; so are the categories' names. abstain: the share of
        such texts that is left undecided, the least probable ones.
        embed: unit vectors of texts, of the encoder with that fingerprint.
        """
        names = embed([each.text for each in labelled.categories])
        if len(np.unique(labelled.labels)) < 2:
            return _by_names(labelled.categories, names, fingerprint)
        rows = _with_descriptions(labelled)
        terms = Terms.fit(rows.texts, len(names))
        vectors = embed(rows.texts)
        features: dict[str, Features] = {"vectors": vectors}
        if terms.vocabulary:
            features["words"] = terms.features(rows.texts)
        split = Split.of(rows.labels, seed)
        if not split.folds:
            strengths = dict.fromkeys(features, USUAL_STRENGTH)
            weights, unseen = usual_weights([*features, "names"]), {}
        else:
            strengths = {
                name: tuned_strength(each, rows.labels, seed) for name, each in features.items()
            }
            unseen = {
                name: unseen_scores(each, rows.labels, split, strengths[name])
                for name, each in features.items()
            }
            unseen["names"] = name_scores(vectors[split.judged], names)
            weights = stack_weights(unseen, rows.labels[split.judged])
        linear = {
            name: Linear.fit(each, rows.labels, strengths[name]) for name, each in features.items()
        }
        made = cls(
            labelled.categories, names, terms, linear, weights, strengths, np.log(rows.weights),
            _blind_threshold(len(names)), {}, fingerprint,
        )  # fmt: skip
        return made._judged(unseen, rows, split, abstain) if unseen else made

    @property
    def way(self) -> str:
        """What it was learnt from: `labels` or `descriptions`."""
        return LABELS if self.linear else DESCRIPTIONS

    @property
    def category_names(self) -> tuple[str, ...]:
        """The categories, in the order of their numbers."""
        return tuple(each.name for each in self.categories)

    def probabilities(self, texts: Sequence[str], vectors: Vectors) -> Probabilities:
        """float64 [n, k]: how probable each category is for each text with its vector.

        Raises InputError when the vectors have another dimension than those it was fitted on.
        """
        if vectors.shape[1:] != self.names.shape[1:]:
            raise InputError(
                f"Vectors of the shape {vectors.shape} do not fit a classifier of "
                f"{self.names.shape[1]} dimensions.",
                "Give vectors of the model that it was fitted with.",
            )
        members: dict[str, Scores] = {"names": name_scores(vectors, self.names)}
        if "vectors" in self.linear:
            members["vectors"] = self.linear["vectors"].log_probabilities(vectors)
        if "words" in self.linear:
            features = self.terms.features(texts)
            members["words"] = self.linear["words"].log_probabilities(features)
        return np.exp(stacked_scores(members, self.weights, self.prior))

    def classify(self, texts: Sequence[str], vectors: Vectors, ranks: int = 3) -> list[Classified]:
        """What is said of each text with its vector; an empty text gets no category."""
        if not len(texts):
            return []
        found = []
        for text, row in zip(texts, self.probabilities(texts, vectors), strict=True):
            order = np.argsort(-row, kind="stable")[: max(1, ranks)]
            ranked = tuple((self.categories[at].name, float(row[at])) for at in order.tolist())
            best, probability = ranked[0]
            is_sure = probability >= self.threshold and bool(text.strip())
            found.append(Classified(best if is_sure else None, probability, best, ranked))
        return found

    def figures(self) -> dict[str, Any]:
        """What it is and how good, as flat numbers and words."""
        told: dict[str, Any] = {
            "way": self.way,
            "categories": len(self.categories),
            "threshold": round(self.threshold, 4),
            **{f"weight_{name}": round(each, 4) for name, each in self.weights.items()},
            **{f"strength_{name}": each for name, each in self.strengths.items()},
        }
        if LABELS in self.evaluation:
            told |= self.evaluation[LABELS].figures()
        if DESCRIPTIONS in self.evaluation:
            by_names = self.evaluation[DESCRIPTIONS]
            told["accuracy_by_descriptions"] = round(by_names.accuracy, 4)
            told["macro_f1_by_descriptions"] = round(by_names.macro_f1, 4)
        return told

    def save(self, folder: Path) -> None:
        """Write the model into `folder`, which exists or is made; not atomic by itself."""
        about = {
            "format": _FORMAT,
            "categories": [vars(each) for each in self.categories],
            "vocabulary": self.terms.vocabulary,
            "weights": dict(self.weights),
            "strengths": dict(self.strengths),
            "prior": self.prior.tolist(),
            "threshold": self.threshold,
            "evaluation": {name: each.to_dict() for name, each in self.evaluation.items()},
            "fingerprint": self.fingerprint,
        }
        arrays: Arrays = {"names": self.names, "idf": self.terms.idf}
        for name, each in self.linear.items():
            arrays |= {
                f"{name}_coefficients": each.coefficients,
                f"{name}_intercepts": each.intercepts,
            }
        write_files(folder, _FILES, about, arrays)

    @classmethod
    def load(cls, folder: Path) -> "DocumentClassifier":
        """The model that `save` wrote.

        Raises StoreDamagedError when a file is missing, torn or changed, StoreVersionError when it
        was written by another version of the code.
        """
        about, arrays = read_files(folder, _FILES, _FORMAT)
        linear = {
            name: Linear(arrays[f"{name}_coefficients"], arrays[f"{name}_intercepts"])
            for name in about["strengths"]
        }
        judged = about["evaluation"].items()
        return cls(
            tuple(Category(**each) for each in about["categories"]),
            arrays["names"],
            Terms(tuple(about["vocabulary"]), arrays["idf"]),
            linear,
            about["weights"],
            about["strengths"],
            np.array(about.get("prior", np.zeros(len(about["categories"])))),
            about["threshold"],
            {name: Evaluation.from_dict(each) for name, each in judged},
            about["fingerprint"],
        )

    def _judged(
        self, unseen: Mapping[str, Scores], rows: LabelledTexts, split: Split, abstain: float
    ) -> "DocumentClassifier":
        """The same with the threshold and the figures that unseen texts give."""
        truth, names = rows.labels[split.judged], self.category_names
        said = {
            LABELS: np.exp(stacked_scores(unseen, self.weights, self.prior)),
            DESCRIPTIONS: np.exp(unseen["names"]),
        }
        counts = rows.weights[truth]
        limits = {way: threshold_for(each, abstain, counts) for way, each in said.items()}
        evaluation = {
            way: Evaluation.of(names, truth, each, limits[way], rows.weights)
            for way, each in said.items()
        }
        return replace(self, threshold=limits[LABELS], evaluation=evaluation)


def _by_names(
    categories: tuple[Category, ...], names: Vectors, fingerprint: str
) -> DocumentClassifier:
    nothing = Terms((), np.empty(0, dtype=np.float32))
    threshold = _blind_threshold(len(categories))
    return DocumentClassifier(
        categories,
        names,
        nothing,
        {},
        {"names": 1.0},
        {},
        np.zeros(len(names)),
        threshold,
        {},
        fingerprint,
    )


def _blind_threshold(categories: int) -> float:
    """Where no text tells: the geometric mean of chance and certainty."""
    return float(categories**-0.5)


def _with_descriptions(labelled: LabelledTexts) -> LabelledTexts:
    """The same; a category without a text is learnt from what it is called, which stands for as
    many texts as the others have on average."""
    counts = np.bincount(labelled.labels, minlength=len(labelled.categories))
    [bare] = np.nonzero(counts == 0)
    if not len(bare):
        return labelled
    texts = (*labelled.texts, *(labelled.categories[number].text for number in bare))
    usual = (counts * labelled.weights)[counts > 0].mean()
    weights = np.where(counts == 0, usual, labelled.weights)
    return replace(labelled, texts=texts, labels=np.append(labelled.labels, bare), weights=weights)
