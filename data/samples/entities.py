"""Labelled paragraphs for the entity model: what the sample documents say, of other vendors."""

import json
import os
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from samples.documents import TEMPLATES, allergen_rows
from samples.formats import COMPANY
from samples.menus import DISTRICTS, make_catalogue

DEFAULT_COUNT = 120
_LABELS = {"vendor": "VENDOR", "company": "COMPANY", "cuisines": "CUISINE", "district": "DISTRICT"}
_NAMES = re.compile(r"\{(\w+)\}")
_SHARE_WITHOUT, _SHARE_TABLES = 0.25, 0.15
"""Of the texts: those that name nothing are as much worth learning; and tables of dishes."""
_DISHES = 5


def write_labelled(path: Path, count: int, seed: int) -> None:
    """`count` paragraphs and tables as JSON lines with spans: vendors, the company, cuisines,
    districts and dishes.

    The file appears whole or not at all. Raises OSError.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with beside.open("w", encoding="utf-8") as file:
            for entry in _entries(count, seed):
                file.write(json.dumps(entry, ensure_ascii=False) + "\n")
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def _entries(count: int, seed: int) -> Iterator[dict[str, Any]]:
    rng = random.Random(f"{seed} entities")
    catalogue = make_catalogue(count, seed + 1)
    names = catalogue.vendor_names.to_pylist()
    cuisines = catalogue.vendor_cuisines.to_pylist()
    paragraphs = sorted({*_texts(json.loads(TEMPLATES.read_text(encoding="utf-8")))})
    naming = [each for each in paragraphs if {*_NAMES.findall(each)} & {*_LABELS}]
    silent = [each for each in paragraphs if each not in {*naming} and len(each) > 40]
    for number in range(count):
        if rng.random() < _SHARE_TABLES:
            first = catalogue.items_from[number]
            menu = catalogue.items[first : catalogue.items_from[number + 1]].to_pylist()
            yield _table(allergen_rows(menu[:_DISHES], rng))
            continue
        template = rng.choice(silent if rng.random() < _SHARE_WITHOUT else naming)
        facts = {
            "vendor": names[number],
            "cuisines": cuisines[number],
            "company": COMPANY,
            "district": rng.choice(DISTRICTS),
        }
        yield _filled(template, facts, rng)


def _filled(template: str, facts: dict[str, str], rng: random.Random) -> dict[str, Any]:
    """The text, and where in it the names stand."""
    text, spans = "", []
    for place, part in enumerate(_NAMES.split(template)):
        if place % 2 == 0:
            text += part
            continue
        value = facts.get(part) or str(rng.randint(2, 90))
        if part in _LABELS:
            end = len(text) + len(value)
            spans.append({"start": len(text), "end": end, "label": _LABELS[part]})
        text += value
    return {"text": text, "spans": spans}


def _table(rows: list[list[str]]) -> dict[str, Any]:
    """The text of a table, and where in it the dishes stand."""
    text, spans = " | ".join(rows[0]), []
    for dish, contains in rows[1:]:
        start = len(text) + 1
        spans.append({"start": start, "end": start + len(dish), "label": "DISH"})
        text += f"\n{dish} | {contains}"
    return {"text": text, "spans": spans}


def _texts(part: Any) -> Iterator[str]:
    if isinstance(part, str):
        if " " in part:
            yield part
    elif isinstance(part, dict):
        for each in part.values():
            yield from _texts(each)
    elif isinstance(part, list):
        for each in part:
            yield from _texts(each)
