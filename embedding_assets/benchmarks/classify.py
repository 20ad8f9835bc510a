"""Quality and speed of classifying texts, beside TF-IDF with logistic regression."""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from embedding_assets.benchmarks.rows_file import require_writable, write_rows
from embedding_assets.documents.classify.classifier import DocumentClassifier
from embedding_assets.documents.classify.evaluation import (
    Evaluation,
    Probabilities,
    threshold_for,
)
from embedding_assets.documents.classify.label_files import read_categories
from embedding_assets.documents.classify.label_tables import read_table
from embedding_assets.documents.classify.labels import LabelledTexts, LabelNotes, fold
from embedding_assets.embedding.encoder import Encoder, Vectors
from embedding_assets.embedding.model import DEFAULT_MODEL, load_encoder, resolve_model
from embedding_assets.embedding.precision import pin
from embedding_assets.embedding.workers import usable_cores
from embedding_assets.errors import EmptyInputError, InputError

OURS, PEER, ZERO = (
    "embedding_assets",
    "TF-IDF + logistic regression",
    "embedding_assets, names only",
)
_ABSTAIN = 0.05


@dataclass(frozen=True)
class Row:
    """What was measured of one contestant on the texts of the test file.

    abstained, accuracy_of_rest: with the threshold that ours took from the training texts; with
    that of the test's own least probable 5 % for the others. train_seconds: embedding included.
    """

    name: str
    macro_f1: float
    accuracy: float
    ece: float
    abstained: float
    accuracy_of_rest: float
    train_seconds: float
    texts_per_s: float
    train_texts: int
    test_texts: int
    categories: int


Predict = Callable[[Sequence[str]], Probabilities]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Give `parser` the options of this benchmark."""
    columns = "columns text and label (or category)"
    parser.add_argument("--train", type=Path, required=True, metavar="FILE", help=columns)
    parser.add_argument("--test", type=Path, required=True, metavar="FILE", help=columns)
    parser.add_argument("--categories", type=Path, metavar="FILE", help="names and descriptions")
    parser.add_argument("--per-class", type=_positive, metavar="N", help="learn from N of each")
    parser.add_argument("--seed", type=int, default=0, help="of the draw, and of the folds")
    parser.add_argument("--model", default=DEFAULT_MODEL, help="name, folder or .tar.gz archive")
    parser.add_argument(
        "--json", nargs="?", const="-", metavar="FILE", help="rows as JSON, to FILE or alone"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Measure, then print the table for people, or JSON alone with a bare `--json`.

    Raises InputError, NotWritableError before anything is measured.
    """
    require_writable(options.json)
    described = read_categories(options.categories) if options.categories else []
    train = LabelledTexts.from_rows(read_table(options.train), described)
    if options.per_class:
        train = few_of_each(train, options.per_class, options.seed)
    test = LabelledTexts.whole(read_table(options.test), train.categories)
    if not len(test.labels):
        raise EmptyInputError(f"{options.test} holds no labelled text.", "Name another file.")
    with tempfile.TemporaryDirectory(prefix="embedding_assets-") as scratch:
        model = resolve_model(options.model, Path(scratch))
        encoder = load_encoder(model, pin(model, Path(scratch)))
        rows = measure(train, test, encoder, options.seed)
    content = json.dumps([asdict(row) for row in rows], indent=2)
    if options.json == "-":
        print(content)
        return
    if options.json:
        write_rows(options.json, content)
    print(_table(rows, train.notes, test.notes))


def few_of_each(labelled: LabelledTexts, count: int, seed: int) -> LabelledTexts:
    """`count` texts of each category, drawn by chance; all of one that has fewer."""
    generator = np.random.default_rng(seed)
    kept = [
        generator.permutation(np.flatnonzero(labelled.labels == number))[:count]
        for number in range(len(labelled.categories))
    ]
    rows = np.sort(np.concatenate(kept))
    texts = tuple(labelled.texts[row] for row in rows.tolist())
    weights = np.ones(len(labelled.categories))
    return replace(labelled, texts=texts, labels=labelled.labels[rows], weights=weights)


def measure(
    train: LabelledTexts, test: LabelledTexts, encoder: Encoder, seed: int = 0
) -> list[Row]:
    """A row for ours, for TF-IDF with logistic regression if it can learn from these texts, and
    for names without any label."""
    encoder.encode(["warm"])

    def embed(texts: Sequence[str]) -> Vectors:
        return encoder.encode(texts).vectors

    def ours(labelled: LabelledTexts) -> tuple[Predict, float, float]:
        start = time.perf_counter()
        made = DocumentClassifier.fit(labelled, embed, encoder.fingerprint, _ABSTAIN, seed=seed)
        seconds = time.perf_counter() - start
        return lambda texts: made.probabilities(texts, embed(texts)), seconds, made.threshold

    bare = replace(train, texts=(), labels=train.labels[:0])
    rows = []
    contestants: list[tuple[str, Callable[[], tuple[Predict, float, float]]]] = [
        (OURS, lambda: ours(train)),
        (PEER, lambda: tfidf(train)),
        (ZERO, lambda: ours(bare)),
    ]
    for name, learn in contestants:
        print(f"learning: {name}", file=sys.stderr)
        try:
            predict, seconds, threshold = learn()
        except InputError as error:
            print(f"left out: {name}: {error.problem}", file=sys.stderr)
            continue
        start = time.perf_counter()
        probabilities = _padded(predict(test.texts), train, test)
        speed = len(test.texts) / (time.perf_counter() - start)
        if name != OURS:
            threshold = threshold_for(probabilities, _ABSTAIN)
        rows.append(_row(name, train, test, probabilities, threshold, seconds, speed))
    return rows


def tfidf(train: LabelledTexts) -> tuple[Predict, float, float]:
    """Words with sublinear TF-IDF, C = 10: of the usual settings the best one on banking77.

    Raises InputError for texts without a word, or of one category alone.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    start = time.perf_counter()
    model: Any = make_pipeline(
        TfidfVectorizer(sublinear_tf=True), LogisticRegression(C=10.0, max_iter=1000)
    )
    try:
        model.fit(train.texts, train.labels)
    except ValueError as error:
        raise InputError(f"It cannot learn from these texts: {error}.", "Name others.") from error
    seconds = time.perf_counter() - start

    def predict(texts: Sequence[str]) -> Probabilities:
        whole = np.zeros((len(texts), len(train.categories)))
        whole[:, model.classes_] = model.predict_proba(texts)
        whole *= train.weights  # of a sample, as ours
        whole /= whole.sum(axis=1, keepdims=True)
        return whole

    return predict, seconds, 0.0


def _padded(
    probabilities: Probabilities, train: LabelledTexts, test: LabelledTexts
) -> Probabilities:
    """The same by the test's categories, of which some may not have been there to learn."""
    numbers = {fold(each.name): at for at, each in enumerate(test.categories)}
    whole = np.zeros((len(probabilities), len(test.categories)))
    whole[:, [numbers[fold(each.name)] for each in train.categories]] = probabilities
    return whole


def _row(
    name: str,
    train: LabelledTexts,
    test: LabelledTexts,
    probabilities: Probabilities,
    threshold: float,
    seconds: float,
    speed: float,
) -> Row:
    names = tuple(each.name for each in test.categories)
    found = Evaluation.of(names, test.labels, probabilities, threshold)
    return Row(
        name=name,
        macro_f1=round(found.macro_f1, 4),
        accuracy=round(found.accuracy, 4),
        ece=round(found.ece, 4),
        abstained=round(found.abstained, 4),
        accuracy_of_rest=round(found.accuracy_of_rest, 4),
        train_seconds=round(seconds, 2),
        texts_per_s=round(speed, 1),
        train_texts=0 if name == ZERO else len(train.texts),
        test_texts=len(test.texts),
        categories=len(train.categories),
    )


def _table(rows: Sequence[Row], train: LabelNotes, test: LabelNotes) -> str:
    first = rows[0]
    lines = [
        f"{first.train_texts} texts to learn from, {first.test_texts} to judge by, "
        f"{first.categories} categories, {usable_cores()} cores",
        "",
        f"{'':30} {'macro-F1':>8} {'accuracy':>8} {'ECE':>6} {'abstains':>8} {'the rest':>8} "
        f"{'trained':>9} {'texts/s':>9}",
    ]
    lines += [
        f"{row.name:30} {row.macro_f1:8.4f} {row.accuracy:8.4f} {row.ece:6.4f} "
        f"{row.abstained:8.1%} {row.accuracy_of_rest:8.4f} {row.train_seconds:7.1f} s "
        f"{row.texts_per_s:9.0f}"
        for row in rows
    ]
    lines += [
        "",
        "abstains: ours below the threshold that it took from the training texts, the others on",
        "the least probable 5 % of the test; the rest: accuracy of what is decided.",
        "trained, texts/s: with the model's vectors.",
    ]
    lines += [*_left_out("--train", train), *_left_out("--test", test)]
    return "\n".join(lines)


def _left_out(file: str, notes: LabelNotes) -> list[str]:
    seen = {
        "rows beyond what is learnt from": notes.left_out,
        "rows that were there before": notes.repeated,
        "rows without text": notes.without_text,
        "rows without label": notes.without_label,
    }
    return [f"left out of {file}: {count:,} {what}" for what, count in seen.items() if count]


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not positive")
    return number
