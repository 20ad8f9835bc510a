from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embedding_assets.errors import UnreadableInputError
from embedding_assets.records.days import RecordDays, raw_slices, text_slices
from embedding_assets.records.latest import latest_slice
from embedding_assets.records.processor import EmbeddingProcessor
from embedding_assets.records.source import RAW_SCHEMA
from embedding_assets_tests.records.shop import START, Shop, row, write

DAYS = [f"2025-03-0{n}" for n in (1, 3, 4, 5)]
ASSETS = ("raw_records", "cleaned_records", "account_texts", "account_embeddings")


def test_every_day_with_records_has_its_rows_texts_and_vectors(shop):
    replaced, computed = shop.run()
    assert replaced == dict.fromkeys(ASSETS, DAYS)
    assert computed == 4  # Bob's and Eve's texts are equal
    assert shop.texts("2025-03-03") == {
        "ada": "Items: Dish 1; Dish 3. Vendors: Saigon. Cuisines: Thai.",
        "bob": "Items: Pho. Vendors: Saigon. Cuisines: Thai.",
    }
    raw = shop.tables.raw.read("2025-03-03")
    assert raw.schema == RAW_SCHEMA
    assert raw["source_file"].to_pylist() == ["ada.parquet", "rest.parquet"]


def test_nothing_changed_means_nothing_replaced_and_nothing_computed(ran):
    assert ran.run() == (dict.fromkeys(ASSETS, []), 0)
    assert {state.state for state in ran.states()} == {"fresh"}


def test_a_touched_file_replaces_nothing(ran):
    ran.touch("ada.parquet")
    assert ran.run() == (dict.fromkeys(ASSETS, []), 0)


def test_one_new_record_for_the_last_day_makes_one_text(ran):
    ran.put("new.parquet", row("bob", "Soup", at="2025-03-05"))
    replaced, computed = ran.run()
    assert replaced == dict.fromkeys(ASSETS, ["2025-03-05"])
    assert computed == 1


def test_a_late_record_touches_its_day_and_each_later_day_its_account_was_active_on(ran):
    ran.put("late.parquet", row("ada", "Late", at="2025-03-02"))
    replaced, computed = ran.run()
    assert replaced == {
        "raw_records": ["2025-03-02"],
        "cleaned_records": ["2025-03-02"],
        "account_texts": ["2025-03-02", "2025-03-03", "2025-03-05"],
        "account_embeddings": ["2025-03-02", "2025-03-03", "2025-03-05"],
    }
    assert computed == 3
    assert "Dish 1; Late; Dish 3." in ran.texts("2025-03-03")["ada"]


def test_a_late_record_outside_the_window_of_later_days_touches_its_own_day_only(tmp_path):
    shop = Shop(tmp_path, history_days=3)
    shop.put("a.parquet", row("ada", at="2025-03-01"), row("ada", at="2025-03-05"))
    shop.run()
    shop.put("late.parquet", row("ada", "Late", at="2025-03-02"))
    replaced, computed = shop.run()
    assert replaced["account_texts"] == ["2025-03-02"]
    assert computed == 1


def test_a_duplicate_of_a_record_changes_raw_rows_and_no_text(ran):
    ran.put("again.parquet", row("bob", at="2025-03-03T00:00:00Z"))
    replaced, computed = ran.run()
    assert replaced["raw_records"] == ["2025-03-03"]
    assert replaced["account_texts"] == []
    assert computed == 0


def test_a_removed_file_takes_its_texts_away(ran):
    (ran.source / "ada.parquet").unlink()
    replaced, computed = ran.run()
    assert replaced["account_texts"] == ["2025-03-01", "2025-03-03", "2025-03-05"]
    assert computed == 0
    assert [len(ran.texts(day)) for day in DAYS] == [0, 1, 1, 0]


def test_a_day_of_which_a_file_is_unreadable_is_an_error_and_stays(ran):
    (ran.source / "ada.parquet").write_bytes(b"torn")
    ran.put("new.parquet", row("bob", at="2025-03-05"))
    [part] = raw_slices(ran.days, ran.inventory(), ["2025-03-05"])
    with pytest.raises(UnreadableInputError, match="ada.parquet held 1 records of 2025-03-05"):
        ran.tables.raw.write(part)
    assert len(ran.tables.raw.read("2025-03-05")) == 1


def test_days_of_the_window_that_were_never_materialized_are_read_from_the_source(shop):
    replaced, _ = shop.run("2025-03-05")
    assert replaced["account_texts"] == ["2025-03-05"]
    assert shop.tables.cleaned.keys() == ["2025-03-05"]
    alone = shop.tables.texts.read("2025-03-05")
    assert "Dish 1; Dish 3; Dish 5." in alone["text_for_embedding"].to_pylist()[0]
    replaced, _ = shop.run()
    assert "2025-03-05" not in replaced["account_texts"]
    assert shop.tables.texts.read("2025-03-05") == alone


def test_a_day_of_the_window_whose_file_is_unreadable_is_an_error_not_a_gap(shop):
    known = shop.inventory()
    (shop.source / "ada.parquet").write_bytes(b"torn")
    shop.known = known
    inventory = shop.inventory()
    with pytest.raises(UnreadableInputError, match="ada.parquet held 1 records of 2025-03-01"):
        list(text_slices(shop.days, shop.tables, inventory, ["2025-03-04"]))


def test_a_day_without_records_is_materialized_empty(shop):
    replaced, _ = shop.run("2025-03-02")
    assert replaced == dict.fromkeys(ASSETS, ["2025-03-02"])
    assert shop.tables.texts.footer("2025-03-02").rows == 0
    assert shop.run("2025-03-02") == (dict.fromkeys(ASSETS, []), 0)


def test_keys_in_any_order_give_the_same_partitions(shop, tmp_path):
    shop.run(*DAYS[::-1])
    other = Shop(tmp_path / "other")
    other.days = shop.days
    for day in DAYS:
        other.run(day)
    for day in DAYS:
        assert shop.tables.texts.read(day) == other.tables.texts.read(day)
        assert shop.tables.embeddings.read(day) == other.tables.embeddings.read(day)


def test_no_day_asked_for_is_no_slice(shop):
    assert list(text_slices(shop.days, shop.tables, shop.inventory(), [])) == []
    assert list(raw_slices(shop.days, shop.inventory(), [])) == []


def test_bad_rows_of_a_day_are_counted_and_left_out(tmp_path):
    shop = Shop(tmp_path)
    shop.put("a.parquet", row(), row(), row("bob", item=""), row("bob"))
    shop.run()
    footer = shop.tables.cleaned.footer("2025-03-01")
    assert footer.rows == 2
    assert footer.stats == {"raw": 4, "quarantined": 1, "duplicates": 1}


def test_the_window_of_a_day_begins_no_earlier_than_the_records():
    days = RecordDays("in", START, history_days=90)
    assert days.window(START + timedelta(days=2)) == [START + timedelta(days=n) for n in range(3)]
    late = days.window(START + timedelta(days=200))
    assert (len(late), late[0]) == (90, START + timedelta(days=111))


def test_the_days_reach_from_the_start_to_today_included():
    days = RecordDays("in", START, 90).range
    assert START in days and datetime.now(UTC).date() in days
    assert START - timedelta(days=1) not in days
    assert datetime.now(UTC).date() + timedelta(days=1) not in days


orders = st.lists(
    st.builds(
        row,
        st.sampled_from(["ada", "bob", "a/ß"]),
        st.sampled_from(["Pho", "Ramen", "🍕", " "]),
        st.sampled_from(["2025-03-01", "2025-03-01T12:00:00+14:00", "2025-05-30", "2025-06-01"]),
        st.sampled_from([None, "Saigon"]),
        st.sampled_from(["Thai, Asian", "Asian", None]),
    ),
    min_size=1,
    max_size=8,
).filter(lambda rows: any(row["item_description"] != " " for row in rows))


@settings(max_examples=4)
@given(orders, st.integers(0, 8), st.randoms(use_true_random=False))
def test_one_file_day_partitions_and_any_split_and_order_give_the_same_texts_and_vectors(
    tmp_path_factory, rows, cut, random
):
    folder = tmp_path_factory.mktemp("shop")
    shop = Shop(folder)
    shuffled = random.sample(rows, len(rows))
    shop.put("one.parquet", *shuffled[:cut])
    shop.run()
    shop.put("two.parquet", *shuffled[cut:])
    shop.run()
    latest = latest_slice(shop.tables.embeddings, shop.encoder.fingerprint, 8)
    by_days = pa.Table.from_batches(latest.batches(), latest.schema).sort_by("account_id")
    processor = EmbeddingProcessor(shop.encoder, folder / "store", history_days=90)
    processor.process(write(folder / "all.parquet", rows), folder / "out.parquet")
    assert pq.read_table(folder / "out.parquet").sort_by("account_id") == by_days


def test_a_day_is_a_utc_day(tmp_path):
    shop = Shop(tmp_path)
    shop.put("a.parquet", row(at="2025-03-01T23:30:00-02:00"), row(at="2025-03-02T00:30:00+02:00"))
    shop.run()
    assert shop.tables.raw.keys() == ["2025-03-01", "2025-03-02"]
    assert shop.known.days() == {date(2025, 3, 1), date(2025, 3, 2)}
