import errno
import os
from datetime import date
from unittest.mock import Mock

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from embedding_assets.errors import InputNotFoundError, UnreadableInputError
from embedding_assets.records import inventory as module
from embedding_assets.records.inventory import (
    INVENTORY_SCHEMA,
    FileDay,
    Inventory,
    require_readable,
    take_inventory,
)
from embedding_assets_tests.records.shop import Shop, row

MARCH_1, MARCH_2, MARCH_3 = (date(2025, 3, day) for day in (1, 2, 3))


@pytest.fixture
def shop(tmp_path):
    shop = Shop(tmp_path)
    shop.put("a.parquet", row("ada"), row("bob"), row(at="2025-03-02"))
    shop.put("b.parquet", row("eve"), row(at="never"))
    return shop


@pytest.fixture
def read(monkeypatch):
    """The names of the files that were read."""
    names = []
    original = module._days
    monkeypatch.setattr(
        module,
        "_days",
        lambda connection, file: names.append(file.name) or original(connection, file),
    )
    return names


def after(shop, known):
    return take_inventory(shop.days.source, known)


def test_the_rows_of_each_file_are_counted_by_day(shop):
    found = shop.inventory()
    assert [(e.file, e.day, e.rows, e.error) for e in found.entries] == [
        ("a.parquet", MARCH_1, 2, None),
        ("a.parquet", MARCH_2, 1, None),
        ("b.parquet", MARCH_1, 1, None),
        ("b.parquet", None, 1, None),
    ]
    assert found.days() == {MARCH_1, MARCH_2}
    assert [entry.file for entry in found.of_day(MARCH_1)] == ["a.parquet", "b.parquet"]


def test_only_changed_files_are_read(shop, read):
    known = shop.inventory()
    assert read == ["a.parquet", "b.parquet"]
    assert after(shop, known) == known
    shop.put("b.parquet", row("eve", "Soup"))
    shop.put("c.parquet", row())
    after(shop, known)
    assert read[2:] == ["b.parquet", "c.parquet"]
    take_inventory(shop.days.source, known, retry=["a.parquet"])
    assert read[4:] == ["a.parquet", "b.parquet", "c.parquet"]


@pytest.mark.parametrize(
    ("rows", "days"),
    [
        ([row("bob"), row("ada"), row(at="2025-03-02")], set()),
        ([row("ada"), row("bob"), row(at="2025-03-02"), row(at="2025-03-03")], {MARCH_3}),
        ([row("ada"), row("bob")], {MARCH_2}),
        ([row("ada"), row("bob"), row(at="2025-03-02"), row("ada")], {MARCH_1}),
        ([row("ada"), row("bob", "Soup"), row(at="2025-03-02")], {MARCH_1}),
        ([row("ada"), row("bob"), row(at="2025-03-03")], {MARCH_2, MARCH_3}),
        ([row("ada"), row("bob"), row(at="2025-03-02"), row(at="never")], set()),
        ([row("bobada", ""), row("", ""), row(at="2025-03-02")], {MARCH_1}),
    ],
    ids=["order", "new day", "lost day", "duplicate", "value", "moved", "no day", "shifted"],
)
def test_exactly_the_days_whose_rows_differ_have_changed(shop, rows, days):
    known = shop.inventory()
    shop.put("a.parquet", *rows)
    now = after(shop, known)
    assert now.changed_days(known) == known.changed_days(now) == days


def test_a_new_and_a_removed_file_change_the_days_they_hold(shop):
    known = shop.inventory()
    shop.put("c.parquet", row(at="2025-03-03"))
    assert after(shop, known).changed_days(known) == {MARCH_3}
    (shop.source / "a.parquet").unlink()
    now = after(shop, known)
    assert now.changed_days(known) == {MARCH_1, MARCH_2, MARCH_3}
    assert "a.parquet" not in now.files()


def test_a_moved_file_changes_its_days_because_rows_name_their_file(shop):
    known = shop.inventory()
    os.rename(shop.source / "a.parquet", shop.source / "z.parquet")
    assert after(shop, known).changed_days(known) == {MARCH_1, MARCH_2}


def test_a_touched_file_with_equal_rows_changes_no_day_and_is_not_read_twice(shop, read):
    known = shop.inventory()
    shop.touch("a.parquet")
    now = after(shop, known)
    assert now.changed_days(known) == set()
    assert now.digest != known.digest  # so that its new date is stored
    read.clear()
    assert after(shop, now) == now
    assert read == []


def test_a_file_that_became_unreadable_keeps_what_it_held_and_blocks_its_days(shop):
    known = shop.inventory()
    (shop.source / "a.parquet").write_bytes(b"torn")
    now = after(shop, known)
    assert now.changed_days(known) == set()
    assert now.digest != known.digest
    assert list(now.errors) == ["a.parquet"]
    assert "cannot be read as Parquet" in now.errors["a.parquet"]
    with pytest.raises(UnreadableInputError, match=r"a.parquet held 1 records of 2025-03-02"):
        require_readable([MARCH_3, MARCH_2], now.unreadable_days)
    require_readable([MARCH_3], now.unreadable_days)
    assert now.unreadable_days.keys() == {MARCH_1, MARCH_2}
    assert known.unreadable_days == {}


def test_a_restored_file_is_as_it_was(shop):
    known = shop.inventory()
    content = (shop.source / "a.parquet").read_bytes()
    (shop.source / "a.parquet").write_bytes(b"torn")
    torn = after(shop, known)
    (shop.source / "a.parquet").write_bytes(content)
    assert after(shop, torn).errors == {}
    assert after(shop, torn).changed_days(known) == set()


def test_a_file_out_of_reach_is_tried_again_though_nothing_of_it_changed(shop, monkeypatch):
    known = shop.inventory()
    (shop.source / "a.parquet").write_bytes((shop.source / "a.parquet").read_bytes())
    with monkeypatch.context() as denied:
        refused = PermissionError(errno.EACCES, "Permission denied")
        denied.setattr(pq, "read_schema", Mock(side_effect=refused))
        kept = after(shop, known)
    assert "check its permissions" in kept.errors["a.parquet"]
    assert (after(shop, kept).errors, after(shop, kept).changed_days(known)) == ({}, set())


def test_a_file_that_stays_torn_makes_nothing_due_by_being_tried_again(shop, read):
    known = shop.inventory()
    (shop.source / "a.parquet").write_bytes(b"torn")
    torn = after(shop, known)
    read.clear()
    assert after(shop, torn) == torn
    assert read == ["a.parquet"]


def test_a_new_unreadable_file_is_listed_and_stops_no_other(shop):
    (shop.source / "c.parquet").write_text("account_id\n1\n")
    found = shop.inventory()
    assert list(found.errors) == ["c.parquet"]
    assert found.days() == {MARCH_1, MARCH_2}
    [entry] = found.files()["c.parquet"]
    assert (entry.day, entry.rows) == (None, 0)


def test_a_file_without_the_right_columns_is_listed_with_the_reason(shop):
    pq.write_table(pa.table({"x": [1]}), shop.source / "c.parquet")
    assert "lacks the column account_id" in shop.inventory().errors["c.parquet"]


def test_a_file_without_rows_is_known_and_not_read_again(shop, read):
    shop.put("c.parquet")
    known = shop.inventory()
    assert [(e.day, e.rows) for e in known.files()["c.parquet"]] == [(None, 0)]
    read.clear()
    after(shop, known)
    assert read == []


def test_a_timestamp_outside_the_calendar_belongs_to_no_day(shop):
    shop.put("c.parquet", row(at="2025-03-01 (BC)"), row(at="9999-12-31T23:59:59-12:00"))
    assert [(e.day, e.rows) for e in shop.inventory().files()["c.parquet"]] == [(None, 2)]


def test_an_inventory_survives_its_table(shop):
    (shop.source / "c.parquet").write_text("torn")
    found = shop.inventory()
    assert found.to_table().schema == INVENTORY_SCHEMA
    assert Inventory.from_table(found.to_table()) == found
    assert Inventory.from_table(Inventory().to_table()) == Inventory()


def test_an_absent_source_is_refused_so_that_no_record_seems_deleted(tmp_path):
    with pytest.raises(InputNotFoundError, match="absent"):
        take_inventory(str(tmp_path / "absent"), Inventory())


def test_digests_do_not_depend_on_the_order_of_entries():
    entries = tuple(FileDay(f, 1, 1, MARCH_1, 1, "d", e) for f, e in [("a", None), ("b", "bad")])
    one, other = Inventory(entries), Inventory(entries[::-1])
    assert (one.digest, one.day_digest(MARCH_1)) == (other.digest, other.day_digest(MARCH_1))
