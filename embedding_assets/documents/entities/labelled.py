"""Sentences with their entities, as models are trained and judged on them."""

import random
from bisect import bisect_left
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from embedding_assets.errors import EmptyInputError, InputError

MOST_EXAMPLES = 20_000
"""Of more a fixed sample is kept, so that a file of any size is read in bounded memory."""
MOST_LABELS = 150
"""The time that a sentence takes grows with their square."""
_LONGEST_LABEL = 100
"""Names of figures in a registry have 250 letters at most."""


@dataclass(frozen=True)
class Span:
    """An entity: words, or characters, from `start` up to but not including `end`.

    exact: whether the words are all that was marked; where a mark ends within a word, the words
    around it are learned, and no answer counts as right.
    """

    start: int
    end: int
    label: str
    exact: bool = True


@dataclass(frozen=True)
class Example:
    """A sentence: its words, and the spans of words that are entities, ascending and apart."""

    words: tuple[str, ...]
    spans: tuple[Span, ...]


@dataclass(frozen=True)
class Labelled:
    """What was read of labelled files.

    labels: in their most frequent spelling, sorted. seen: how many sentences there were.
    notes: how often something was mended or left out, in words.
    """

    examples: tuple[Example, ...]
    labels: tuple[str, ...]
    seen: int
    notes: Mapping[str, int]


@dataclass
class Collection:
    """Gathers examples from readers: a sample of bounded size, labels that differ in case as one.

    most: examples that are kept; of more, each has the same chance (Vitter 1985, algorithm R).
    """

    most: int = MOST_EXAMPLES
    notes: Counter[str] = field(default_factory=Counter)
    _kept: list[tuple[int, Example]] = field(default_factory=list)
    _spellings: Counter[str] = field(default_factory=Counter)
    _labels: set[str] = field(default_factory=set)
    _seen: int = 0
    _random: random.Random = field(default_factory=lambda: random.Random(0))

    def add(self, examples: Iterable[Example]) -> None:
        """Take examples in; those without words are left out.

        Raises InputError for more than `MOST_LABELS` labels, and for one of too many letters.
        """
        for example in examples:
            if not example.words:
                self.notes["empty texts left out"] += 1
                continue
            for span in example.spans:
                self._note(span.label)
            self._keep(example)

    def _note(self, label: str) -> None:
        if len(label) > _LONGEST_LABEL:
            raise InputError(
                f"Labels of entities have more than {_LONGEST_LABEL} letters, such as "
                f"{label[:80]!r}.",
                "Is the last column the tag, or the span's label its type? Name shorter types.",
            )
        self._spellings[label] += 1
        self._labels.add(label.casefold())
        if len(self._labels) > MOST_LABELS:
            raise InputError(
                f"There are more than {MOST_LABELS} labels of entities, such as {label[:80]!r}.",
                "Is the last column the tag, or the span's label its type? Name fewer types.",
            )

    def _keep(self, example: Example) -> None:
        if len(self._kept) < self.most:
            self._kept.append((self._seen, example))
        elif (place := self._random.randrange(self._seen + 1)) < self.most:
            self._kept[place] = (self._seen, example)
        self._seen += 1

    def labelled(self, where: str) -> Labelled:
        """What was gathered, in the order of the files.

        Raises EmptyInputError when there is no example, or none with an entity.
        """
        spelling = _spellings(self._spellings)
        kept = sorted(self._kept, key=lambda each: each[0])
        examples = tuple(_respelled(example, spelling) for _, example in kept)
        labels = sorted({span.label for example in examples for span in example.spans})
        if not labels:
            raise EmptyInputError(
                f"{where} holds {self._seen} sentences and no entity in them.",
                "Mark entities: `word B-LABEL` a line, or spans in JSON.",
            )
        if self._seen > len(kept):
            self.notes[f"sentences that a sample of {len(kept)} stands for"] = self._seen
        return Labelled(examples, tuple(labels), self._seen, dict(self.notes))


def apart(spans: Iterable[Span]) -> tuple[list[Span], int]:
    """`spans` without those that overlap a longer one, or an earlier one as long; and how many
    these were."""
    kept: list[Span] = []
    dropped = 0
    for span in sorted(set(spans), key=lambda each: (each.start - each.end, each.start)):
        place = bisect_left(kept, span.start, key=lambda each: each.start)
        neighbours = kept[max(0, place - 1) : place + 1]
        if any(span.start < other.end and other.start < span.end for other in neighbours):
            dropped += 1
        else:
            kept.insert(place, span)
    return kept, dropped


def spans_of_tags(tags: Sequence[str]) -> list[Span]:
    """The spans of BIO, IO, BIOES or BILOU tags: an `I` without a `B` before it begins one, as in
    the CoNLL evaluation; `ORG` without a prefix means `I-ORG`."""
    spans: list[Span] = []
    start, label = 0, ""
    for position, tag in enumerate([*tags, "O"]):
        prefix, name = split_tag(tag)
        begins = prefix in "BSU" or name.casefold() != label.casefold()
        if label and (not name or begins):
            spans.append(Span(start, position, label))
            label = ""
        if name and not label:
            start, label = position, name
        if prefix in "ESLU" and label:
            spans.append(Span(start, position + 1, label))
            label = ""
    return spans


def split_tag(tag: str) -> tuple[str, str]:
    """The prefix, one of `BIESLU`, and the label of a tag; ("O", "") for none."""
    if tag in ("O", "o"):
        return "O", ""
    head, separator, name = tag.partition("-")
    if separator and name and len(head) == 1 and head.upper() in "BIESLU":
        return head.upper(), name
    return "I", tag


def tags_of(example: Example) -> list[str]:
    """The BIO tag of each word."""
    tags = ["O"] * len(example.words)
    for span in example.spans:
        tags[span.start] = f"B-{span.label}"
        tags[span.start + 1 : span.end] = [f"I-{span.label}"] * (span.end - span.start - 1)
    return tags


def folds(
    examples: Sequence[Example], count: int, seed: int = 0
) -> Iterator[tuple[list[Example], list[Example]]]:
    """The rest and the fold, `count` times: each example is in one fold, drawn by `seed`, those of
    the same words in the same one; those of a rare label are spread over them.

    Raises InputError where there are fewer different examples than folds.
    """
    order = _repeated(examples)
    if len(order) < count:
        raise InputError(
            f"There are {len(order)} different sentences for {count} folds.",
            "Ask for fewer folds, or label more sentences.",
        )
    random.Random(seed).shuffle(order)
    labels = [{span.label for place in group for span in examples[place].spans} for group in order]
    often = Counter(label for each in labels for label in each)
    # Those of one label stand in a row then, and each goes to the next fold.
    rarest = [min(((often[one], one) for one in each), default=(len(order), "")) for each in labels]
    order = [order[place] for place in sorted(range(len(order)), key=rarest.__getitem__)]
    for number in range(count):
        chosen = {place for group in order[number::count] for place in group}
        yield _parted(examples, chosen)


def hold_out(
    examples: Sequence[Example], share: float, seed: int = 0
) -> tuple[list[Example], list[Example]]:
    """Examples to train on, and those to judge by, `share` of all at most; those of the same words
    stay together, and each label keeps one of the former at least."""
    groups = _repeated(examples)
    labels = [{span.label for place in group for span in examples[place].spans} for group in groups]
    taught = Counter(label for each in labels for label in each)
    free = [number for number, each in enumerate(labels) if all(taught[one] > 1 for one in each)]
    random.Random(seed).shuffle(free)
    wanted = round(share * len(examples))
    held: set[int] = set()
    for number in free:
        fits = len(held) + len(groups[number]) <= wanted
        if fits and all(taught[label] > 1 for label in labels[number]):
            held.update(groups[number])
            taught.subtract(labels[number])
    return _parted(examples, held)


def _repeated(examples: Sequence[Example]) -> list[list[int]]:
    """The places of the examples, those of the same words together."""
    groups: dict[tuple[str, ...], list[int]] = {}
    for place, example in enumerate(examples):
        groups.setdefault(example.words, []).append(place)
    return list(groups.values())


def _parted(
    examples: Sequence[Example], chosen: Container[int]
) -> tuple[list[Example], list[Example]]:
    """The examples that are not at those places, and those that are."""
    rest = [each for place, each in enumerate(examples) if place not in chosen]
    return rest, [each for place, each in enumerate(examples) if place in chosen]


def respelled(examples: Iterable[Example], labels: Iterable[str]) -> list[Example]:
    """The same examples, with labels that differ from one of `labels` in case alone spelled so."""
    known = {label.casefold(): label for label in labels}
    return [
        _respelled(
            each, {span.label: known.get(span.label.casefold(), span.label) for span in each.spans}
        )
        for each in examples
    ]


def _spellings(found: Counter[str]) -> dict[str, str]:
    """For each spelling of a label the most frequent one of those that differ in case alone."""
    best: dict[str, str] = {}
    for label, _ in sorted(found.items(), key=lambda each: (-each[1], each[0])):
        best.setdefault(label.casefold(), label)
    return {label: best[label.casefold()] for label in found}


def _respelled(example: Example, spelling: Mapping[str, str]) -> Example:
    if all(spelling[span.label] == span.label for span in example.spans):
        return example
    spans = tuple(replace(span, label=spelling[span.label]) for span in example.spans)
    return replace(example, spans=spans)
