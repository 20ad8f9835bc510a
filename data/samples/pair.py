"""A pair of page table and texts with everything that makes real ones hard to read."""

import csv
import io
import json
import random
import uuid
from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

Entry: TypeAlias = dict[str, Any]

PAGES = 48
UNNAMED_PAGES = (3, 19, 47)
MOST_PAGES = 5
REPEATED_SHARE = 0.11
EMPTY_TEXTS = ("", " ", "\n")
LONG_TEXT = 20_000


def write_pair(
    pair_id: str, paragraphs: Sequence[str], rng: random.Random
) -> Iterator[tuple[str, bytes]]:
    """Name and content of the two files.

    The texts stand in no order of pages, are on up to 5 pages that are in no order either, one in
    nine repeats another one, some are empty, one has 20,000 characters; three pages have no text.
    """
    ids = [str(uuid.UUID(int=rng.getrandbits(128), version=4)) for _ in range(PAGES)]
    yield f"pages_{pair_id}.csv", _page_table(ids, rng)
    texts = json.dumps(_entries(paragraphs, ids, rng), ensure_ascii=False, indent=1)
    yield f"texts_{pair_id}.json", texts.encode()


def _page_table(ids: Sequence[str], rng: random.Random) -> bytes:
    rows = [(page, number) for number, page in enumerate(ids)]
    rng.shuffle(rows)
    table = io.StringIO()
    csv.writer(table, lineterminator="\n").writerows([("id", "pg_num"), *rows])
    return table.getvalue().encode()


def _entries(paragraphs: Sequence[str], ids: Sequence[str], rng: random.Random) -> list[Entry]:
    named = [page for number, page in enumerate(ids) if number not in UNNAMED_PAGES]
    whole = " ".join(paragraphs)
    long = (f"{whole} " * (LONG_TEXT // len(whole) + 1))[:LONG_TEXT]
    distinct = [*paragraphs, long]
    entries = [
        {"text": text, "pages": _some(named, number * len(named) // len(distinct), rng)}
        for number, text in enumerate(distinct)
    ]
    for text in _repeated(paragraphs, rng):
        entries.append({"text": text, "pages": _some(named, rng.randrange(len(named)), rng)})
    for text in EMPTY_TEXTS:
        entries.append({"text": text, "pages": [rng.choice(named)]})
    rng.shuffle(entries)
    return entries


def _repeated(paragraphs: Sequence[str], rng: random.Random) -> list[str]:
    share = REPEATED_SHARE / (1 - REPEATED_SHARE)
    return rng.choices(paragraphs, k=round(share * (len(paragraphs) + 1 + len(EMPTY_TEXTS))))


def _some(named: Sequence[str], first: int, rng: random.Random) -> list[str]:
    """The pages of a text that begins on page `first` of those that have text."""
    count = rng.choices(range(1, MOST_PAGES + 1), (80, 10, 5, 3, 2))[0]
    pages = [*named[first : first + count]]
    rng.shuffle(pages)
    return pages
