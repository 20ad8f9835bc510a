"""Labelled paragraphs for the entity model: what the sample documents say, of other vendors."""

import json
import os
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from samples.documents import TEMPLATES
from samples.formats import COMPANY
from samples.menus import DISTRICTS, make_catalogue

DEFAULT_COUNT = 120
_LABELS = {"vendor": "VENDOR", "company": "COMPANY", "cuisines": "CUISINE", "district": "DISTRICT"}
_NAMES = re.compile(r"\{(\w+)\}")
_SHARE_WITHOUT = 0.25
"""Of the paragraphs: those that name nothing are as much worth learning."""


def write_labelled(path: Path, count: int, seed: int) -> None:
    """`count` paragraphs as JSON lines with spans: vendors, the company, cuisines and districts.

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
