"""Documents of a delivery company and its partners: PDF, DOCX, JSON, and a pair of pages and texts.

What they say is in documents.json; numbers, vendors and dishes are drawn from the seed.
"""

import functools
import itertools
import json
import os
import random
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from samples.formats import COMPANY, WRITERS, Sample, Section
from samples.menus import DISTRICTS, make_catalogue
from samples.pair import write_pair
from samples.pdf import can_show

TEMPLATES = Path(__file__).with_name("documents.json")
DEFAULT_COUNT = 12
PAIR_ID = "12345"
OF_THE_COMPANY = (
    *(("refund-policy", "pdf"), ("courier-handbook", "docx"), (PAIR_ID, "pair")),
    *(("support-answers", "json"), ("kitchen-hygiene", "pdf")),
)
OF_A_VENDOR = ("allergens", "contract", "inspection")
FORMATS = ("pdf", "docx", "json")
ALLERGENS = ("gluten", "milk", "egg", "soya", "sesame", "peanuts", "nuts", "fish", "celery")
DISHES = 10


@dataclass(frozen=True)
class Vendor:
    """Who a partner's document is about."""

    number: int
    name: str
    cuisines: str
    dishes: list[str]

    @property
    def slug(self) -> str:
        """A name for files: number and plain letters."""
        plain = unicodedata.normalize("NFKD", self.name).encode("ascii", "ignore").decode()
        words = "".join(letter if letter.isalnum() else " " for letter in plain.lower()).split()
        return "-".join([f"{self.number:04d}", *words])


def write_documents(folder: Path, count: int, seed: int) -> None:
    """`count` documents in `folder`, those of the company first; a pair is two files.

    Each file appears whole or not at all. Raises OSError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    company = _company_facts(random.Random(seed))
    for name, kind in OF_THE_COMPANY[:count]:
        if kind == "pair":
            rng = random.Random(f"{seed} pair")
            for file, content in write_pair(PAIR_ID, _district_report(rng), rng):
                _publish(folder / file, content)
        else:
            _publish(folder / f"{name}.{kind}", WRITERS[kind](_sample(name, company)))
    _write_partners(folder, count - len(OF_THE_COMPANY), company, seed)


def _write_partners(folder: Path, count: int, company: dict[str, str], seed: int) -> None:
    """`count` documents, three for each vendor, the formats in turn."""
    vendors = _vendors(-(-count // len(OF_A_VENDOR)), seed) if count > 0 else iter(())
    wanted = itertools.islice(itertools.product(vendors, enumerate(OF_A_VENDOR)), max(0, count))
    for vendor, (turn, name) in wanted:
        rng = random.Random(f"{seed} {vendor.number} {name}")
        kind = FORMATS[(vendor.number + turn) % len(FORMATS)]
        sample = _sample(
            name, company | _vendor_facts(vendor, rng), allergen_rows(vendor.dishes, rng)
        )
        if kind == "pdf" and not can_show(sample.text):
            kind = "docx"
        _publish(folder / f"{name}-{vendor.slug}.{kind}", WRITERS[kind](sample))


def _vendors(count: int, seed: int) -> Iterator[Vendor]:
    catalogue = make_catalogue(count, seed)
    order = random.Random(f"{seed} vendors").sample(range(len(catalogue.vendor_names)), count)
    for number, vendor in enumerate(order):
        items = catalogue.items[catalogue.items_from[vendor] : catalogue.items_from[vendor + 1]]
        yield Vendor(
            number,
            catalogue.vendor_names[vendor].as_py(),
            catalogue.vendor_cuisines[vendor].as_py(),
            items.to_pylist()[:DISHES],
        )


def _company_facts(rng: random.Random) -> dict[str, str]:
    euros = {
        "hour_pay": rng.randint(1300, 1500),
        "weekend_pay": rng.randint(1550, 1700),
        "short_pay": rng.randint(150, 220),
        "long_pay": rng.randint(280, 390),
        "detour": rng.randint(100, 200),
    }
    numbers = {
        "report_hours": rng.choice((12, 24)),
        "late_minutes": rng.choice((20, 30, 40)),
        "wait_minutes": rng.choice((8, 10, 12)),
        "decide_hours": rng.choice((24, 36, 48)),
        "card_days": rng.randint(4, 7),
        "bank_days": rng.randint(2, 3),
        "gift_days": 1 + rng.randint(1, 2),
        "most_requests": rng.randint(3, 6),
        "appeal_days": rng.randint(11, 14),
        "wind": rng.choice((60, 70, 75)),
        "leave_days": rng.randint(24, 28),
        "poultry": rng.randint(74, 76),
        "inspection_months": rng.randint(4, 9),
        "pass_points": rng.choice((70, 75, 80)),
        "gift_years": rng.randint(2, 4),
        "delete_days": rng.choice((14, 30)),
    }
    facts = {name: str(number) for name, number in numbers.items()}
    return {
        "company": COMPANY,
        **facts,
        **{name: f"{cents / 100:.2f}" for name, cents in euros.items()},
    }


def _vendor_facts(vendor: Vendor, rng: random.Random) -> dict[str, str]:
    findings = (
        "Two boards for raw meat were worn and have to be replaced.",
        "The probe of the thermometer was not clean.",
        "The list of allergens at the counter was out of date.",
        "Nothing was found that needs to be mended.",
        "The seal of the freezer door was torn.",
    )
    numbers = {
        "contract_months": rng.choice((12, 18, 24)),
        "commission": rng.randint(14, 29),
        "pickup": rng.randint(4, 9),
        "payout_days": rng.choice((7, 14)),
        "ready_minutes": rng.choice((15, 20, 25)),
        "notice_weeks": rng.choice((4, 6, 8)),
        "points": rng.randint(62, 100),
        "mend_days": rng.choice((7, 10, 14)),
    }
    return {
        "vendor": vendor.name,
        "cuisines": vendor.cuisines,
        "finding": rng.choice(findings),
        "fridge": f"{rng.uniform(2, 6):.1f}",
        "gluten_free": f"{rng.randint(50, 250) / 100:.2f}",
        **{name: str(number) for name, number in numbers.items()},
    }


def _district_report(rng: random.Random) -> list[str]:
    """The paragraphs of a report about every district."""
    paragraphs = []
    for district in DISTRICTS:
        numbers = {
            "orders": rng.randint(9_000, 60_000),
            "growth": rng.randint(2, 31),
            "hour": rng.randint(18, 20),
            "vendors": rng.randint(20, 90),
            "new": rng.randint(3, 15),
            "left": rng.randint(2, 9),
            "minutes": rng.randint(19, 38),
            "faster": rng.randint(2, 8),
            "reusable": rng.randint(4, 22),
            "bowl_days": rng.randint(3, 12),
            "broken": rng.randint(15, 60),
            "noise": rng.randint(3, 80),
        }
        place = rng.choice(("library", "market hall", "swimming pool", "post office", "theatre"))
        facts = {"district": district, "place": place, **numbers}
        paragraphs += [text.format_map(facts) for text in _templates()["district-report"]]
    return paragraphs


def allergen_rows(dishes: list[str], rng: random.Random) -> list[list[str]]:
    """A table of dishes and what they contain, its head first."""
    rows = [
        [dish.split(",")[0], ", ".join(rng.sample(ALLERGENS, rng.randint(0, 3))) or "none"]
        for dish in dishes
    ]
    return [["Dish", "Contains"], *rows]


def _sample(name: str, facts: dict[str, str], allergens: list[list[str]] | None = None) -> Sample:
    """The document `name` of documents.json with `facts` in it."""

    def filled(part: Any) -> Any:
        if isinstance(part, str):
            return part.format_map(facts)
        if isinstance(part, list):
            return [filled(each) for each in part]
        if part.get("table") == "allergens":
            return {"table": allergens}
        return {key: filled(value) for key, value in part.items()}

    template = _templates()[name]
    sections = [
        Section(filled(heading), level, filled(body))
        for heading, level, body in template["sections"]
    ]
    return Sample(filled(template["title"]), sections)


@functools.cache
def _templates() -> dict[str, Any]:
    templates: dict[str, Any] = json.loads(TEMPLATES.read_text(encoding="utf-8"))
    return templates


def _publish(target: Path, content: bytes) -> None:
    beside = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        with beside.open("wb") as file:
            file.write(content)
        beside.replace(target)
    finally:
        beside.unlink(missing_ok=True)
