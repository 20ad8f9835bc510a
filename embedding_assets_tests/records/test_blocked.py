from datetime import date

import pytest

from embedding_assets.errors import UnreadableInputError
from embedding_assets.records.blocked import blocked_days, unblocked
from embedding_assets.records.days import text_slices
from embedding_assets_tests.records.shop import TABLES, Shop, row

MARCH = {day: date(2025, 3, day) for day in range(1, 11)}


@pytest.fixture
def torn(ran):
    """Ada's file is torn after the run, and new records have come for the 3rd and 5th."""
    ran.known = ran.inventory()
    (ran.source / "ada.parquet").write_bytes(b"torn")
    ran.put("new.parquet", row("bob", "Soup", "2025-03-03"), row("bob", "Stew", "2025-03-05"))
    return ran


@pytest.fixture
def unmade(shop):
    """Nothing is made; Ada's file held the 1st, 3rd and 5th when it was last read."""
    shop.known = shop.inventory()
    (shop.source / "ada.parquet").write_bytes(b"torn")
    return shop


def states(shop):
    found = {}
    for state in shop.states():
        found.setdefault(state.asset, {})[state.day.day] = state.state
    return found


def counts(shop):
    return {a.asset: (a.missing, a.stale, a.blocked, a.fresh) for a in shop.plan().assets}


def test_an_unreadable_file_alone_blocks_no_day_that_is_stored_as_it_held_it(ran):
    ran.known = ran.inventory()
    (ran.source / "ada.parquet").write_bytes(b"torn")
    assert {state.state for state in ran.states()} == {"fresh"}
    assert ran.run() == (dict.fromkeys(TABLES, []), 0)


def test_a_stale_day_with_an_unreadable_file_is_blocked_and_names_it(torn):
    expected = {1: "fresh", 3: "blocked", 4: "fresh", 5: "blocked"}
    assert states(torn) == dict.fromkeys(TABLES, expected)
    [why, *others] = {s.why for s in torn.states() if s.state == "blocked" and s.day.day == 3}
    assert "ada.parquet held 1 records of 2025-03-03 and cannot be read now" in why
    assert others == []
    assert counts(torn)["raw_records"] == (0, 0, 2, 2)
    assert torn.plan().days_to_run == []


def test_a_blocked_day_keeps_its_rows_and_the_other_days_go_on(torn):
    torn.put("more.parquet", row("eve", "Cake", "2025-03-04"), row("eve", "Tea", "2025-03-06"))
    before = torn.tables.raw.read("2025-03-03")
    assert torn.plan().days_to_run == [MARCH[4], MARCH[6]]
    replaced, computed = torn.run()
    assert replaced == dict.fromkeys(TABLES, ["2025-03-04", "2025-03-06"])
    assert computed == 2
    assert torn.tables.raw.read("2025-03-03") == before
    assert "Dish 3" in torn.texts("2025-03-03")["ada"]
    assert {state.state for state in torn.states()} == {"fresh", "blocked"}


def test_a_day_that_looks_back_on_a_blocked_one_has_its_stored_rows_and_gets_the_new_ones_later(
    torn,
):
    torn.put("today.parquet", row("bob", "Cake", "2025-03-07"))
    torn.run()
    assert torn.texts("2025-03-07")["bob"].startswith("Items: Pho; Cake.")
    torn.put("ada.parquet", *(row("ada", f"Dish {n}", f"2025-03-0{n}") for n in (1, 3, 5)))
    assert states(torn)["account_texts"][7] == "stale"
    torn.run()
    assert torn.texts("2025-03-07")["bob"].startswith("Items: Pho; Soup; Stew; Cake.")
    assert {state.state for state in torn.states()} == {"fresh"}


@pytest.mark.parametrize("mend", ["restored", "deleted"])
def test_a_mended_file_frees_its_days(torn, mend):
    if mend == "restored":
        torn.put("ada.parquet", *(row("ada", f"Dish {n}", f"2025-03-0{n}") for n in (1, 3, 5)))
    else:
        (torn.source / "ada.parquet").unlink()
    due = {day for day, state in states(torn)["raw_records"].items() if state == "stale"}
    assert due == ({3, 5} if mend == "restored" else {1, 3, 5})
    torn.run()
    assert {state.state for state in torn.states()} == {"fresh"}
    assert ("ada" in torn.texts("2025-03-03")) is (mend == "restored")


def test_where_nothing_is_stored_of_a_day_those_that_look_back_on_it_are_blocked_too(unmade):
    found = states(unmade)
    assert found["raw_records"] == {1: "blocked", 3: "blocked", 4: "missing", 5: "blocked"}
    assert found["account_texts"] == dict.fromkeys((1, 3, 4, 5), "blocked")
    whys = {s.why for s in unmade.states() if s.asset == "account_texts"}
    assert len(whys) == 1 and "ada.parquet held 1 records of 2025-03-01" in whys.pop()
    replaced, computed = unmade.run()
    assert replaced["raw_records"] == replaced["cleaned_records"] == ["2025-03-04"]
    assert (replaced["account_texts"], computed) == ([], 0)
    with pytest.raises(UnreadableInputError, match="ada.parquet held 1 records of 2025-03-01"):
        list(text_slices(unmade.days, unmade.tables, unmade.known, ["2025-03-04"]))


def test_days_beyond_the_window_of_a_gap_are_made(tmp_path):
    shop = Shop(tmp_path, history_days=3)
    shop.put("a.parquet", row("ada", at="2025-03-02"))
    shop.put("b.parquet", *(row("bob", f"Dish {n}", at=f"2025-03-0{n}") for n in (1, 4, 5)))
    shop.known = shop.inventory()
    (shop.source / "a.parquet").write_bytes(b"torn")
    expected = {1: "missing", 2: "blocked", 4: "blocked", 5: "missing"}
    assert states(shop)["account_texts"] == expected
    replaced, computed = shop.run()
    assert replaced["account_embeddings"] == ["2025-03-01", "2025-03-05"]
    assert computed == 2


def test_clean_rows_lost_are_made_again_from_the_raw_ones_that_are_stored(torn):
    for day in ("2025-03-01", "2025-03-03"):
        torn.tables.cleaned.remove(day)
    found = states(torn)
    assert found["cleaned_records"] == {1: "missing", 3: "missing", 4: "fresh", 5: "blocked"}
    assert found["account_texts"] == {1: "fresh", 3: "blocked", 4: "fresh", 5: "blocked"}
    replaced, _ = torn.run()
    assert replaced["cleaned_records"] == ["2025-03-01", "2025-03-03"]
    assert replaced["account_texts"] == []


def test_clean_rows_without_raw_ones_stand_for_a_blocked_day(torn):
    torn.tables.raw.remove("2025-03-03")
    found = states(torn)
    assert {asset: found[asset][3] for asset in TABLES} == dict.fromkeys(TABLES, "blocked")
    assert found["account_texts"][4] == "fresh"
    replaced, _ = torn.run()
    assert replaced == dict.fromkeys(TABLES, [])


def test_embeddings_lost_of_a_day_without_history_are_made_from_its_stored_texts(ran):
    ran.known = ran.inventory()
    (ran.source / "ada.parquet").write_bytes(b"torn")
    for table in (ran.tables.raw, ran.tables.cleaned):
        table.remove("2025-03-01")
    ran.tables.embeddings.remove("2025-03-04")
    found = states(ran)
    assert found["account_texts"] == dict.fromkeys((1, 3, 4, 5), "blocked")
    assert found["account_embeddings"][4] == "missing"
    assert counts(ran)["account_texts"] == (0, 0, 4, 0)
    replaced, _ = ran.run()
    assert replaced["account_embeddings"] == ["2025-03-04"]


def test_what_is_drawn_from_all_days_is_made_of_the_stored_ones(torn):
    torn.put("more.parquet", row("eve", "Cake", "2025-03-04"))
    plan = {asset.asset: asset for asset in torn.plan().assets}
    assert plan["item_embeddings"].texts.new == 1
    torn.run_all()
    assert not any(asset.is_due for asset in torn.plan().assets)


def test_only_the_wanted_days_are_told(torn):
    blocked = blocked_days(torn.days, torn.tables, torn.inventory(), [MARCH[3], MARCH[4]])
    assert blocked.days.keys() == {MARCH[3]}
    assert blocked.histories == {}


def test_keys_are_left_out_unless_what_they_are_made_from_is_stored(ran):
    keys = ["2025-03-09", "2025-03-05", "2025-03-04"]
    blocked = {MARCH[9]: "why", MARCH[5]: "why"}
    assert unblocked(keys, blocked) == ["2025-03-04"]
    assert unblocked(keys, blocked, ran.tables.raw) == ["2025-03-04", "2025-03-05"]
    assert unblocked(keys, {}) == sorted(keys)
