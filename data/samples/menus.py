"""Vendors with their cuisines and menus, composed from the vocabulary in cuisines.json."""

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

VOCABULARY = Path(__file__).with_name("cuisines.json")
Cuisine: TypeAlias = dict[str, Any]
Offsets: TypeAlias = npt.NDArray[np.int64]

DISTRICTS = (
    *("Riverside", "Old Town", "Harbour", "North Gate", "Station Square", "Södermalm", "West End"),
    *("Market Hall", "Neukölln", "Canal Street", "Hill Road", "Montréal Street", "Southbank"),
    *("Żoliborz", "Garden Quarter", "University", "Mill Lane", "São Bento", "Central", "East Side"),
)
SWEET_EXTRAS = (
    *("vanilla ice cream", "whipped cream", "fresh berries", "toasted almonds", "dark chocolate"),
    *("salted caramel", "pistachios", "orange zest", "a dusting of cocoa", "wild honey"),
)
NOTES = (
    *(
        "Spicy.",
        "Contains nuts.",
        "Serves two.",
        "Our guests' favourite.",
        "Gluten-free on request.",
    ),
    *(
        "Made without dairy.",
        "House speciality.",
        "Lighter than it looks.",
        "Vegetarian on request.",
    ),
)


@dataclass(frozen=True)
class Catalogue:
    """Who sells what: vendors stand in the order of their first cuisine, items in that of vendors.

    The vendors of cuisine c are numbers vendors_from[c] up to vendors_from[c + 1], the items of
    vendor v likewise by items_from; within each the popular ones come first.
    """

    popularity: npt.NDArray[np.float64]
    vendors_from: Offsets
    items_from: Offsets
    vendor_names: pa.StringArray
    vendor_cuisines: pa.StringArray
    items: pa.StringArray


def make_catalogue(vendors: int, seed: int) -> Catalogue:
    """At least one vendor for each cuisine, `vendors` in all, each with a menu of its own."""
    cuisines: dict[str, Cuisine] = json.loads(VOCABULARY.read_text(encoding="utf-8"))
    rng = random.Random(seed)
    popularity = np.array([cuisine["popularity"] for cuisine in cuisines.values()], dtype=float)
    sizes = _vendors_per_cuisine(list(cuisines), popularity, vendors, rng)
    names: dict[str, str] = {}
    menus: list[list[str]] = []
    for first, size in zip(cuisines, sizes, strict=True):
        for _ in range(size):
            own = _own_cuisines(first, cuisines, rng)
            names[_vendor_name(cuisines[first], names, rng)] = ", ".join(own)
            menus.append(_menu([cuisines[name] for name in own], rng))
    return Catalogue(
        popularity=popularity / popularity.sum(),
        vendors_from=_offsets(sizes),
        items_from=_offsets([len(menu) for menu in menus]),
        vendor_names=pa.array(list(names), pa.string()),
        vendor_cuisines=pa.array(list(names.values()), pa.string()),
        items=pa.array([item for menu in menus for item in menu], pa.string()),
    )


def _offsets(sizes: Sequence[int]) -> Offsets:
    return np.concatenate(([0], np.cumsum(sizes))).astype(np.int64)


def _vendors_per_cuisine(
    names: list[str], popularity: npt.NDArray[np.float64], vendors: int, rng: random.Random
) -> list[int]:
    further = rng.choices(names, popularity.tolist(), k=max(0, vendors - len(names)))
    return [1 + further.count(name) for name in names]


def _own_cuisines(first: str, cuisines: dict[str, Cuisine], rng: random.Random) -> list[str]:
    further = rng.choices((0, 1, 2), (50, 35, 15))[0]
    return [first, *rng.sample(cuisines[first]["related"], further)]


def _vendor_name(cuisine: Cuisine, taken: dict[str, str], rng: random.Random) -> str:
    parts = cuisine["vendor_names"]
    name = ""
    while not name or name in taken:
        branch = f", {rng.choice(DISTRICTS)}" if name else ""
        name = rng.choice(parts["patterns"]) + branch
        name = name.format(person=rng.choice(parts["persons"]), word=rng.choice(parts["words"]))
    return name


def _menu(cuisines: list[Cuisine], rng: random.Random) -> list[str]:
    first, *others = cuisines
    menu = [_main(first, dish, rng) for dish in _some(first["mains"], 8, 14, rng)]
    menu += [_starter(first, dish, rng) for dish in _some(first["starters"], 2, 4, rng)]
    menu += [_sweet(dish, rng) for dish in _some(first["sweets"], 1, 3, rng)]
    for other in others:
        menu += [_main(other, dish, rng) for dish in _some(other["mains"], 3, 6, rng)]
    rng.shuffle(menu)
    return menu


def _some(dishes: list[str], least: int, most: int, rng: random.Random) -> list[str]:
    return rng.sample(dishes, min(len(dishes), rng.randint(least, most)))


def _main(cuisine: Cuisine, dish: str, rng: random.Random) -> str:
    style = rng.random()
    if style < 0.3:
        return dish
    one, two, three, four = rng.sample(cuisine["ingredients"], 4)
    start = f"{dish}{_joint(dish)}"
    if style < 0.6:
        return f"{start}{one} and {two}"
    how, side = rng.choice(cuisine["preparations"]), rng.choice(cuisine["sides"])
    if style < 0.85:
        return f"{start}{one}, {two} and {three}, {how}, served with {side}"
    sauce = rng.choice(cuisine["sauces"])
    note = f" {rng.choice(NOTES)}" if style > 0.93 else ""
    return (
        f"{start}{one}, {two} and {three}, {how}. "
        f"Topped with {four} and {sauce}, served with {side}.{note}"
    )


def _starter(cuisine: Cuisine, dish: str, rng: random.Random) -> str:
    if rng.random() < 0.5:
        return dish
    return f"{dish}{_joint(dish)}{rng.choice(cuisine['sauces'])}"


def _sweet(dish: str, rng: random.Random) -> str:
    if rng.random() < 0.6:
        return dish
    return f"{dish}{_joint(dish)}{rng.choice(SWEET_EXTRAS)}"


def _joint(dish: str) -> str:
    return ", " if " with " in dish else " with "
