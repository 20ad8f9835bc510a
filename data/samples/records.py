"""Order records in batches: accounts with habits, vendors with menus, a calendar of orders."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from samples.clock import make_calendar
from samples.menus import Catalogue, make_catalogue
from samples.text_columns import digits, fixed_width

BATCH_ROWS = 131_072
SCHEMA = pa.schema(
    [
        ("account_id", pa.string()),
        ("item_description", pa.string()),
        ("vendor_name", pa.string()),
        ("vendor_cuisines", pa.string()),
        ("feature_timestamp", pa.string()),
    ]
)

# How often an account turns to its first, second, ... favourite vendor, and which of its favourite
# cuisines each of them cooks.
VENDOR_HABIT = np.cumsum((0.5, 0.25, 0.15, 0.1))
CUISINE_OF_VENDOR = np.array((0, 0, 1, 2))
# The same for the dishes at one vendor; the rest of the time anything from the menu.
ITEM_HABIT = np.cumsum((0.4, 0.2, 0.12))
EXPLORING = 0.1

Integers: TypeAlias = npt.NDArray[np.int64]
Floats: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True)
class OrderPlan:
    """What to make: `accounts` of them place `records` orders on the `days` days up to `end`."""

    records: int
    accounts: int
    days: int
    end: datetime
    seed: int


def record_batches(plan: OrderPlan) -> Iterator[pa.RecordBatch]:
    """The orders of a plan by time, at most BATCH_ROWS at once; equal plans give equal orders."""
    account_rng, clock_rng, choice_rng = (
        np.random.default_rng(seed) for seed in np.random.SeedSequence(plan.seed).spawn(3)
    )
    catalogue = make_catalogue(_vendors(plan.records), plan.seed)
    accounts = _accounts_of_orders(plan, account_rng)
    calendar = make_calendar(plan.records, plan.days, plan.end, clock_rng)
    for first in range(0, plan.records, BATCH_ROWS):
        last = min(first + BATCH_ROWS, plan.records)
        batch_accounts = accounts[first:last].astype(np.int64)
        vendors, items = _choose(catalogue, batch_accounts, plan.seed, choice_rng)
        columns = [
            _account_ids(batch_accounts, plan.accounts),
            catalogue.items.take(pa.array(items)),
            catalogue.vendor_names.take(pa.array(vendors)),
            catalogue.vendor_cuisines.take(pa.array(vendors)),
            calendar.timestamps(first, last, clock_rng),
        ]
        yield pa.record_batch(columns, schema=SCHEMA)


def _vendors(records: int) -> int:
    return int(np.clip(60 * (records / 1000) ** 0.4, 40, 5000))


def _accounts_of_orders(plan: OrderPlan, rng: np.random.Generator) -> npt.NDArray[np.int32]:
    """Each account at least once; the others log-normal, so that few order much, many little."""
    appetite = np.minimum(rng.lognormal(sigma=1.6, size=plan.accounts), 25.0)
    further = rng.multinomial(plan.records - plan.accounts, appetite / appetite.sum())
    accounts = np.repeat(np.arange(1, plan.accounts + 1, dtype=np.int32), 1 + further)
    rng.shuffle(accounts)
    return accounts


def _account_ids(accounts: Integers, highest: int) -> pa.StringArray:
    width = max(7, len(str(highest)))
    prefix = np.tile(np.frombuffer(b"ACC-", np.uint8), (len(accounts), 1))
    return fixed_width(np.hstack((prefix, digits(accounts, width))))


def _choose(
    catalogue: Catalogue, accounts: Integers, seed: int, rng: np.random.Generator
) -> tuple[Integers, Integers]:
    """Vendor and item of each order: a habit of its account, or now and then something new."""
    rows = len(accounts)
    slot = np.searchsorted(VENDOR_HABIT, rng.random(rows) * VENDOR_HABIT[-1], side="right")
    dish = np.searchsorted(ITEM_HABIT, rng.random(rows), side="right")
    exploring = rng.random(rows) < EXPLORING
    anything = exploring | (dish == len(ITEM_HABIT))
    taste = _traits(seed, accounts, CUISINE_OF_VENDOR[slot])
    vendor_taste = _traits(seed, accounts, 8 + slot)
    item_taste = _traits(seed, accounts, 16 + 8 * slot + dish)
    cuisine = np.searchsorted(
        np.cumsum(catalogue.popularity)[:-1],
        np.where(exploring, rng.random(rows), taste),
        side="right",
    )
    vendor = _pick(
        catalogue.vendors_from, cuisine, np.where(exploring, rng.random(rows), vendor_taste) ** 1.7
    )
    item = _pick(
        catalogue.items_from, vendor, np.where(anything, rng.random(rows), item_taste) ** 1.3
    )
    return vendor, item


def _pick(offsets: Integers, group: Integers, quantile: Floats) -> Integers:
    start = offsets[group]
    return start + (quantile * (offsets[group + 1] - start)).astype(np.int64)


def _traits(seed: int, accounts: Integers, trait: Integers) -> Floats:
    """A fixed number in [0, 1) for each account and trait, without a table of accounts.

    The mixing function is SplitMix64 (Steele, Lea, Flood 2014).
    """
    bits = accounts.astype(np.uint64) * np.uint64(1024) + trait.astype(np.uint64)
    bits = bits * np.uint64(0x9E3779B97F4A7C15) + np.uint64(seed % 2**64)
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    bits ^= bits >> np.uint64(31)
    return (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53
