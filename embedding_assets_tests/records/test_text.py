import hashlib
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from functools import cache

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import embedding_assets.records.text as text_module
from embedding_assets.errors import NotEnoughMemoryError
from embedding_assets.records.clean import CLEAN_SCHEMA
from embedding_assets.records.text import (
    TEXT_SCHEMA,
    account_texts,
    history_digests,
    history_hashes_sql,
    text_digest,
    window_start,
)
from embedding_assets.storage.duck import query_engine

DAY = date(2025, 3, 31)


def record(account="ada", item="Pho", vendor="Saigon", cuisines=("Thai",), ago=0, hour=12):
    day = DAY - timedelta(days=ago)
    at = datetime.fromisoformat(f"{day}T{hour:02}:00:00+00:00")
    values = (account, item, vendor, list(cuisines), at, day)
    return dict(zip(CLEAN_SCHEMA.names[:6], values, strict=True), row_hash=hash_of(values))


def hash_of(values):
    digest = hashlib.md5(str(values).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


@cache
def engine():
    """One connection for all examples."""
    connection = duckdb.connect()
    connection.execute("LOAD icu; SET TimeZone = 'UTC'; SET threads = 1")
    return connection


def opened(records):
    engine().register("records", pa.Table.from_pylist(records, CLEAN_SCHEMA))
    return engine()


def texts(records, **options):
    batches = list(account_texts(opened(records), **options))
    return pa.Table.from_batches(batches, TEXT_SCHEMA).to_pylist()


def text(records, **options):
    return {row["account_id"]: row["text_for_embedding"] for row in texts(records, **options)}


def digests(records, days=3, last=DAY):
    return history_digests(opened(records), DAY - timedelta(days=10), last, days)


few = settings(max_examples=20)
histories = st.lists(
    st.builds(
        record,
        account=st.sampled_from(["ada", "bob", "c/'ß"]),
        item=st.sampled_from(["Pho", "Ramen", "Taco; Verde", "🍕"]),
        vendor=st.sampled_from([None, "Saigon", "Luigi."]),
        cuisines=st.lists(st.sampled_from(["Thai", "Thai, Food", "Ñ"]), max_size=3),
        ago=st.integers(0, 6),
        hour=st.integers(0, 2),
    ),
    max_size=12,
    unique_by=lambda each: each["row_hash"],
)


def test_distinct_values_stand_in_labelled_sections_in_first_seen_order():
    history = [
        record(item="Ramen", vendor="Kyoto", cuisines=["Japanese", "Asian"], ago=2),
        record(item="Pho", vendor="Saigon", cuisines=["Vietnamese", "Asian"], ago=3),
        record(item="Ramen", vendor="Saigon", cuisines=["Japanese"], ago=0),
    ]
    assert text(history) == {
        "ada": "Items: Pho; Ramen. Vendors: Saigon; Kyoto. Cuisines: Asian, Vietnamese, Japanese."
    }


def test_values_first_seen_at_the_same_time_are_ordered_by_value():
    history = [record(item=item, hour=5) for item in ("b", "a", "B", "é")]
    assert text(history)["ada"].startswith("Items: B; a; b; é. ")


def test_a_section_without_values_is_left_out():
    assert text([record(vendor=None, cuisines=[])]) == {"ada": "Items: Pho."}
    assert text([record(vendor=None)]) == {"ada": "Items: Pho. Cuisines: Thai."}
    assert text([record(cuisines=[])]) == {"ada": "Items: Pho. Vendors: Saigon."}


def test_each_account_has_one_row_with_its_last_day_records_and_main_cuisine():
    history = [
        record("bob", cuisines=["Thai"], ago=4),
        record("ada", cuisines=["Asian", "Thai"], ago=2, hour=1),
        record("ada", "Ramen", cuisines=["Thai"], ago=1),
        record("ada", "Soup", cuisines=[], ago=1),
    ]
    rows = texts(history)
    assert [(r["account_id"], r["day"], r["records"], r["main_cuisine"]) for r in rows] == [
        ("ada", DAY - timedelta(days=1), 3, "Thai"),
        ("bob", DAY - timedelta(days=4), 1, "Thai"),
    ]
    assert texts([record(cuisines=[])])[0]["main_cuisine"] is None


def test_the_text_of_a_day_covers_the_accounts_active_on_it_up_to_that_day():
    history = [
        record("ada", "Pho", ago=1),
        record("ada", "Later", ago=0),
        record("ada", "Before", ago=3),
        record("bob", "Elsewhen", ago=2),
    ]
    found = text(history, history_days=90, day=DAY - timedelta(days=1))
    assert {name: value.split(".")[0] for name, value in found.items()} == {
        "ada": "Items: Before; Pho"
    }


@pytest.mark.parametrize("day", [DAY, None], ids=["of a day", "of the last day"])
@pytest.mark.parametrize(("ago", "inside"), [(88, True), (89, True), (90, False), (91, False)])
def test_the_window_holds_ninety_days_its_own_included(day, ago, inside):
    history = [record(item="New"), record(item="Old", ago=ago)]
    found = text(history, history_days=90, day=day)["ada"]
    assert found.startswith("Items: Old; New." if inside else "Items: New.")
    assert window_start(DAY, 90) == DAY - timedelta(days=89)


def test_without_a_window_the_whole_history_counts():
    history = [record(item="New"), record(item="Old", ago=20_000)]
    assert text(history)["ada"].startswith("Items: Old; New.")
    assert text(history, day=DAY)["ada"].startswith("Items: Old; New.")


def test_nothing_makes_no_text():
    assert texts([]) == []
    assert texts([], history_days=3, day=DAY) == []


@few
@given(histories, st.randoms(use_true_random=False), st.sampled_from([None, 3]))
def test_the_same_history_in_any_order_gives_the_same_rows(history, random, window):
    shuffled = random.sample(history, len(history))
    assert texts(shuffled, history_days=window, batch_rows=1) == texts(history, history_days=window)


@few
@given(histories)
def test_the_text_of_each_account_day_is_that_of_the_history_up_to_it(history):
    for day in {each["day"] for each in history}:
        known = [each for each in history if each["day"] <= day]
        as_of = [r for r in texts(known, history_days=3) if r["day"] == day]
        assert texts(history, history_days=3, day=day) == as_of


@few
@given(histories)
def test_history_hashes_are_those_of_the_texts(history):
    found = opened(history).execute(history_hashes_sql(3)).fetchall()
    expected = [
        (row["account_id"], row["day"], row["history_hash"])
        for day in sorted({each["day"] for each in history})
        for row in texts(history, history_days=3, day=day)
    ]
    assert sorted(found) == sorted(expected)


@few
@given(histories, histories, st.booleans())
def test_digests_of_a_day_are_equal_exactly_when_its_texts_are_drawn_from_the_same_records(
    history, other, is_same
):
    other = history[::-1] if is_same else other
    one, two = digests(history), digests(other)
    for day in {each["day"] for each in history + other}:
        drawn = [
            {(row["account_id"], row["history_hash"]) for row in rows}
            for rows in (texts(each, history_days=3, day=day) for each in (history, other))
        ]
        assert (one.get(day) == two.get(day)) == (drawn[0] == drawn[1])


def test_digests_differ_by_window_and_name_only_the_days_asked_for():
    history = [record(ago=0), record(ago=2)]
    assert set(digests(history)) == {DAY, DAY - timedelta(days=2)}
    assert set(digests(history, last=DAY - timedelta(days=1))) == {DAY - timedelta(days=2)}
    assert digests(history, days=3)[DAY] != digests(history, days=4)[DAY]
    assert digests(history)[DAY] != text_digest(3)


@pytest.mark.parametrize("options", [{}, {"history_days": 2}, {"day": DAY, "history_days": 2}])
def test_parts_of_the_accounts_give_what_all_at_once_give(monkeypatch, options):
    names = ["", "Zoë", "ada", "ada'b", "bob", "cy", "dee", "日"]
    records = [
        record(account, f"item {number}", ago=number % 4)
        for number, account in enumerate(names * 3)
    ]
    whole = texts(records, **options)
    monkeypatch.setattr(text_module, "_BYTES_AT_ONCE", 300)
    starts = text_module._starts(opened(records), "records")
    assert len(starts) > 3
    assert texts(records, **options) == whole


def test_records_without_a_description_count_too(monkeypatch):
    monkeypatch.setattr(text_module, "_BYTES_AT_ONCE", 300)
    records = [record(f"{number:02}", item=None) for number in range(12)]
    assert len(text_module._starts(opened(records), "records")) == 5


@contextmanager
def many_records(memory_mb):
    """A connection with that limit, and 400,000 records of 40,000 accounts."""
    with query_engine(memory_mb) as connection:
        connection.execute("""
            CREATE TABLE records AS SELECT
                'account ' || i % 40_000 AS account_id, 'dish ' || i AS item_description,
                'vendor ' || i AS vendor_name, ['Thai'] AS vendor_cuisines,
                TIMESTAMPTZ '2025-03-01' AS feature_timestamp, DATE '2025-03-01' AS day,
                i AS row_hash
            FROM range(400_000) AS t(i)""")
        yield connection


def test_texts_of_many_accounts_need_no_more_memory_than_those_of_few():
    with many_records(64) as connection:
        batches = account_texts(connection)
        found = [name for batch in batches for name in batch["account_id"].to_pylist()]
    assert (len(found), len(set(found)), found == sorted(found)) == (40_000, 40_000, True)


def test_a_query_that_meets_its_limit_says_which_setting_to_raise(monkeypatch):
    monkeypatch.setattr(text_module, "_BYTES_AT_ONCE", 10**12)
    with (
        pytest.raises(NotEnoughMemoryError, match="Raise .*QUERY_MEMORY_MB"),
        many_records(64) as c,
    ):
        for _ in account_texts(c):
            pass
