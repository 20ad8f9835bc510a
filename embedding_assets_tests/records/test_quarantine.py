from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from embedding_assets.records import days as days_module
from embedding_assets.records.clean import QUARANTINE_SCHEMA
from embedding_assets.records.quarantine import attempts_of, quarantine_slices
from embedding_assets_tests.records.shop import Shop, row

TOMORROW = str(datetime.now(UTC).date() + timedelta(days=1))


@pytest.fixture
def shop(tmp_path):
    shop = Shop(tmp_path)
    shop.put("a.parquet", row(), row("", at="2025-03-01"), row(at="never"))
    shop.put("b.parquet", row(at=TOMORROW))
    shop.put("c.parquet", row())
    return shop


def quarantined(shop, attempts=None):
    """The slices by file: digest and rows."""
    shop.known = shop.inventory()
    return {
        part.key: (
            part.digest,
            pa.Table.from_batches(part.batches(), QUARANTINE_SCHEMA).to_pylist(),
        )
        for part in quarantine_slices(shop.days, shop.known, attempts or {})
    }


def reasons(found):
    return {
        name: [(r["source_row"], r["reason"], r["class"]) for r in rows]
        for name, (_, rows) in found.items()
    }


def test_every_row_that_cannot_be_used_is_kept_with_its_file_and_reason(shop):
    assert reasons(quarantined(shop)) == {
        "a.parquet": [
            (1, "account_id is empty", "permanent"),
            (2, "feature_timestamp is empty or not ISO-8601", "permanent"),
        ],
        "b.parquet": [(0, "feature_timestamp lies in the future", "transient")],
        "c.parquet": [],
    }


def test_an_unreadable_file_is_one_row_without_a_number(shop):
    (shop.source / "c.parquet").write_bytes(b"torn")
    [(number, reason, kind)] = reasons(quarantined(shop))["c.parquet"]
    assert (number, kind) == (None, "transient")
    assert "c.parquet cannot be read as Parquet" in reason


def test_good_and_bad_rows_together_are_all_rows(shop):
    shop.run()
    kept = sum(shop.tables.cleaned.footer(key).rows for key in shop.tables.cleaned.keys())
    duplicates = 1
    assert kept + duplicates + sum(len(rows) for _, rows in quarantined(shop).values()) == 5


def test_attempts_are_counted_on(shop):
    first = quarantined(shop)
    table = pa.Table.from_pylist([r for _, rows in first.values() for r in rows], QUARANTINE_SCHEMA)
    again = quarantined(shop, attempts_of(table))
    assert [row["attempts"] for row in again["a.parquet"][1]] == [2, 2]


def test_only_files_with_rows_of_the_future_are_judged_anew_the_next_day(shop, monkeypatch):
    before = quarantined(shop)

    class Tomorrow(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.now(tz) + timedelta(days=1)

    monkeypatch.setattr(days_module, "datetime", Tomorrow)
    after = quarantined(shop)
    assert {name for name in before if before[name][0] != after[name][0]} == {"b.parquet"}
    assert after["b.parquet"][1] == []


def test_a_changed_or_broken_file_is_judged_anew_and_a_removed_one_has_no_slice(shop):
    before = quarantined(shop)
    shop.put("c.parquet", row(), row(item=None))
    (shop.source / "a.parquet").write_bytes(b"torn")
    (shop.source / "b.parquet").unlink()
    after = quarantined(shop)
    assert set(after) == {"a.parquet", "c.parquet"}
    assert after["a.parquet"][0] != before["a.parquet"][0]
    assert after["c.parquet"][0] != before["c.parquet"][0]
