"""The whole pipeline over real restaurants and recipes, read from ../shared/data."""

import csv
import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import cycle
from pathlib import Path

import numpy as np
import pytest

from embedding_assets.embedding.model import resolve_model
from embedding_assets.embedding.precision import pin
from embedding_assets_tests.integration.workplace import Workplace, record, write_records

SHARED = Path(__file__).parents[3] / "shared" / "data"
KINDS = {
    "Asian": ("chinese", "japanese", "asian"),
    "Bakery": ("bread", "dough"),
    "Breakfast": ("breakfast", "pancake"),
    "Desserts": ("dessert", "cookies", "cake", "pie", "pudding"),
    "Drinks": ("drink",),
    "Indian": ("indian", "curry"),
    "Italian": ("italian", "pasta", "pizza"),
    "Mexican": ("mexican",),
    "Salads": ("salad",),
    "Seafood": ("fish", "seafood"),
    "Soups": ("soup", "stew"),
}
DAYS = 12

pytestmark = pytest.mark.skipif(
    not SHARED.exists(), reason="needs ../shared/data beside the checkout"
)


def recipes():
    """(kind, description) of each real recipe whose tags tell just one kind."""
    for line in (SHARED / "recipes" / "recipes.jsonl").read_text().splitlines():
        recipe = json.loads(line)
        kinds = [kind for kind, tags in KINDS.items() if set(tags) & set(recipe["tags"])]
        if len(kinds) == 1:
            yield kinds[0], f"{recipe['title']} ({', '.join(recipe['ingredients'][:6])})"


def restaurants():
    with (SHARED / "restaurants" / "restaurants.csv").open() as file:
        return [(row["vendor_name"], row["vendor_cuisines"]) for row in csv.DictReader(file)]


def orders():
    """Accounts that each order one kind of dish, at any real restaurant, over some days."""
    menus = {}
    for kind, item in recipes():
        menus.setdefault(kind, []).append(item)
    vendors = cycle(restaurants())
    start = datetime(2026, 3, 1, 12, tzinfo=UTC)
    for kind, menu in sorted(menus.items()):
        for number in range(6):
            for order, item in enumerate(menu[number::6]):
                vendor, cuisines = next(vendors)
                at = start + timedelta(days=(number * 5 + order) % DAYS, minutes=order)
                account = f"{kind}/{number}"
                yield record(account, item, at.isoformat(), vendor, cuisines)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    place = Workplace.new(tmp_path_factory.mktemp("real") / "place", "all-MiniLM-L6-v2")
    write_records(place.source / "orders.parquet", list(orders()))
    models = place.data_dir / "models"
    pin(resolve_model("all-MiniLM-L6-v2", models), models)
    done = place.materialize("2026-03-01", f"2026-03-{DAYS}")
    assert done.code == 0, done
    return place


def test_every_real_order_arrives(made):
    rows = list(orders())
    assert len(rows) > 150
    assert made.warehouse("SELECT count(*) FROM cleaned_records") == [(len(rows),)]
    assert made.warehouse("SELECT count(*) FROM quarantined_records") == [(0,)]
    accounts = {row["account_id"] for row in rows}
    assert made.warehouse("SELECT count(*) FROM latest_account_embeddings") == [(len(accounts),)]


def test_the_nearest_account_mostly_orders_the_same_kind(made):
    pairs = made.warehouse(
        "SELECT account_id, similar_account_id FROM similar_accounts WHERE rank = 1"
    )
    same = [one.split("/")[0] == other.split("/")[0] for one, other in pairs]
    accounts = Counter(one.split("/")[0] for one, _ in pairs)
    chance = sum(n * (n - 1) for n in accounts.values()) / (len(pairs) * (len(pairs) - 1))
    assert np.mean(same) > max(0.5, 3 * chance)


def test_the_nearest_item_is_mostly_of_the_same_kind(made):
    kinds = {item: kind for kind, item in recipes()}
    pairs = made.warehouse(
        "SELECT item_description, similar_item_description FROM similar_items WHERE rank = 1"
    )
    by_normalized = {" ".join(item.split()): kind for item, kind in kinds.items()}
    same = [by_normalized[one] == by_normalized[other] for one, other in pairs]
    assert np.mean(same) > 0.5
