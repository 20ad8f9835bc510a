"""Strict F1 of finding entities after training on labelled files, beside spaCy's own defaults."""

import argparse
import json
import random
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from typing import Any, TypeAlias

from embedding_assets.benchmarks.rows_file import require_writable, write_rows
from embedding_assets.documents.entities.labelled import (
    Example,
    Labelled,
    Span,
    folds,
    respelled,
    spans_of_tags,
    tags_of,
)
from embedding_assets.documents.entities.reading import read_labelled
from embedding_assets.documents.entities.score import Report, judge
from embedding_assets.documents.entities.training import Recipe, train
from embedding_assets.embedding.model import DEFAULT_MODEL, resolve_model
from embedding_assets.embedding.workers import usable_cores
from embedding_assets.errors import InputError

OURS, SPACY = "embedding_assets", "spacy"
_SPACY_DEV = 0.1
"""Of the training data: spaCy's defaults stop by examples that it is not trained on."""

Tag: TypeAlias = Callable[[Sequence[Example]], list[list[Span]]]
Train: TypeAlias = Callable[[Sequence[Example], Sequence[str], int], Tag]
Task: TypeAlias = tuple[Sequence[Example], Sequence[Example]]


@dataclass(frozen=True)
class Row:
    """What was measured of one contestant.

    report: over all test sentences, of all folds together.
    train_s, train_cpu_s: of a fold, by the clock and of the processor.
    sentences_per_s: that were tagged after it, by the clock.
    """

    name: str
    report: Report
    train_s: float
    train_cpu_s: float
    sentences_per_s: float

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        figures = {
            name: round(getattr(self, name), 2)
            for name in ("train_s", "train_cpu_s", "sentences_per_s")
        }
        return {"name": self.name, **figures, **self.report.to_dict()}


def ours(
    examples: Sequence[Example], labels: Sequence[str], threads: int, document: bool = False
) -> Tag:
    """The default recipe, all examples trained on.

    document: whether what is tested is one, in which a name has one label.
    """
    with tempfile.TemporaryDirectory(prefix="embedding_assets-") as folder:
        base = resolve_model(DEFAULT_MODEL, Path(folder)).layout
    model = train(examples, labels, base, Recipe(), threads=threads)

    def tag(sentences: Sequence[Example]) -> list[list[Span]]:
        together = [0] * len(sentences) if document else None
        found = model.tag([each.words for each in sentences], together)
        return [[span for span, _ in some] for some in found]

    return tag


def spacy_defaults(examples: Sequence[Example], labels: Sequence[str], threads: int) -> Tag:
    """A blank English pipeline with `ner`, as `spacy init config` and `spacy train` make it on a
    CPU; a tenth of the examples decides when it ends."""
    spacy, tokens = import_module("spacy"), import_module("spacy.tokens")
    blank = spacy.blank("en")
    order = list(examples)
    random.Random(0).shuffle(order)
    kept = max(1, round(_SPACY_DEV * len(order)))
    config = import_module("spacy.cli.init_config").init_config(
        lang="en", pipeline=["ner"], optimize="efficiency"
    )
    with tempfile.TemporaryDirectory(prefix="embedding_assets-") as name:
        folder = Path(name)
        for part, some in (("dev", order[:kept]), ("train", order[kept:])):
            docs = tokens.DocBin()
            for each in some:
                docs.add(tokens.Doc(blank.vocab, words=list(each.words), ents=tags_of(each)))
            docs.to_disk(folder / f"{part}.spacy")
            config["paths"][part] = str(folder / f"{part}.spacy")
        pipeline = import_module("spacy.training.initialize").init_nlp(config)
        (folder / "out").mkdir()
        loop = import_module("spacy.training.loop")
        loop.train(pipeline, folder / "out", stdout=StringIO(), stderr=sys.stderr)
        best = spacy.load(folder / "out" / "model-best")

    def tag(sentences: Sequence[Example]) -> list[list[Span]]:
        docs = (tokens.Doc(best.vocab, words=list(each.words)) for each in sentences)
        return [spans_of_tags([_bio(token) for token in doc]) for doc in best.pipe(docs)]

    return tag


CONTESTANTS: dict[str, Train] = {OURS: ours, SPACY: spacy_defaults}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Give `parser` the options of this benchmark."""
    add = parser.add_argument
    add("--train", type=Path, required=True, metavar="FILE", help="CoNLL columns, or JSON spans")
    add("--test", type=Path, metavar="FILE", help="of the same kind")
    add("--folds", type=int, choices=range(2, 21), metavar="N", help="of --train, without --test")
    add("--document", action="store_true", help="the test sentences are one document's")
    add(
        "--threads",
        type=_positive,
        default=usable_cores(),
        metavar="N",
        help="default: %(default)s",
    )
    add("--only", choices=[*CONTESTANTS], nargs="*", help="these alone (default: all installed)")
    add("--json", nargs="?", const="-", metavar="FILE", help="rows as JSON, to FILE or alone")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Train and test, then print the table for people, or JSON alone with a bare `--json`.

    Raises InputError, NotWritableError before anything is measured.
    """
    if (options.test is None) == (options.folds is None):
        raise InputError(
            "The benchmark needs either --test or --folds.",
            "Name a test file, or how many folds of --train take turns as test.",
        )
    require_writable(options.json)
    labelled = read_labelled(options.train)
    notes = [f"{count:,} {what}" for what, count in labelled.notes.items()]
    if options.folds:
        tasks: list[Task] = [*folds(labelled.examples, options.folds)]
    else:
        test = read_labelled(options.test)
        tasks = [(labelled.examples, respelled(test.examples, labelled.labels))]
        notes += [f"{count:,} {what}, in the test file" for what, count in test.notes.items()]
    wanted = options.only or [*CONTESTANTS]
    names = [name for name in wanted if name == OURS or find_spec(name)]
    how = CONTESTANTS | ({OURS: partial(ours, document=True)} if options.document else {})
    rows = [measure(name, how[name], labelled.labels, tasks, options.threads) for name in names]
    content = json.dumps([row.to_dict() for row in rows], indent=2)
    if options.json == "-":
        print(content)
        return
    if options.json:
        write_rows(options.json, content)
    notes += [f"left out: {name}: not installed" for name in wanted if name not in names]
    print(_table(rows, labelled, tasks, notes))


def measure(
    name: str, learn: Train, labels: Sequence[str], tasks: Sequence[Task], threads: int
) -> Row:
    """Train and test one contestant on each task."""
    seconds = processor = tagging = 0.0
    truth: list[Sequence[Span]] = []
    found: list[list[Span]] = []
    for number, (taught, tested) in enumerate(tasks, 1):
        print(f"{name}: {number} of {len(tasks)}", file=sys.stderr)
        clock, cpu = time.perf_counter(), time.process_time()
        tag = learn(taught, labels, threads)
        seconds += time.perf_counter() - clock
        processor += time.process_time() - cpu
        tag(tested[:32])  # what is loaded with the first sentence is no part of the speed
        clock = time.perf_counter()
        found += tag(tested)
        tagging += time.perf_counter() - clock
        truth += [each.spans for each in tested]
    return Row(
        name,
        judge(truth, found),
        seconds / len(tasks),
        processor / len(tasks),
        len(truth) / tagging,
    )


def _bio(token: Any) -> str:
    return "O" if token.ent_iob_ in ("", "O") else f"{token.ent_iob_}-{token.ent_type_}"


def _table(
    rows: Sequence[Row], labelled: Labelled, tasks: Sequence[Task], notes: Sequence[str]
) -> str:
    tested = sum(len(test) for _, test in tasks)
    lines = [
        f"{len(labelled.examples):,} labelled sentences, {tested:,} tested in {len(tasks)} "
        f"part(s), {usable_cores()} cores",
        "",
        f"{'':24} {'P':>6} {'R':>6} {'F1':>6} {'train s':>9} {'cpu s':>8} {'sentences/s':>12}",
    ]
    for row in rows:
        overall = row.report.overall
        numbers = " ".join(map(_share, (overall.precision, overall.recall, overall.f1)))
        lines.append(
            f"{row.name:24} {numbers} {row.train_s:9.1f} {row.train_cpu_s:8.1f} "
            f"{row.sentences_per_s:12.0f}"
        )
    lines += ["", f"{'F1 by type':24} " + " ".join(f"{row.name[:16]:>16}" for row in rows)]
    types = sorted({label for row in rows for label in row.report.types})
    for label in types:
        scores = [row.report.types.get(label) for row in rows]
        support = max((score.support for score in scores if score), default=0)
        values = " ".join(f"{_share(score.f1 if score else None):>16}" for score in scores)
        lines.append(f"{f'{label} ({support:,})':24} {values}")
    lines += [
        "",
        "strict: both ends and the label of an entity are right, or it counts for nothing.",
        *notes,
    ]
    return "\n".join(lines)


def _share(value: float | None) -> str:
    return f"{'—':>6}" if value is None else f"{value:6.3f}"


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not positive")
    return number
