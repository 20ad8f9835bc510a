import tracemalloc
from datetime import UTC, date, datetime, timedelta

import duckdb
import pyarrow as pa
import pytest

from embedding_assets.documents.table import CHUNK_SCHEMA
from embedding_assets.quality.pairs import Pairs, account_pairs, document_pairs, halves, sampled
from embedding_assets.records.clean import CLEAN_SCHEMA

LONG = "Wings lift in a stream of air. {n} were measured. Heat flows through slabs. It is slow."
PASSAGES = [LONG.format(n=n) for n in range(30)]


def record(account, item, ago):
    day = date(2025, 3, 31) - timedelta(days=ago)
    at = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    values = (account, item, "Saigon", ["Thai"], at, day, hash((account, item, ago)) >> 1)
    return dict(zip(CLEAN_SCHEMA.names, values, strict=True))


def opened(records):
    connection = duckdb.connect()
    connection.execute("LOAD icu; SET TimeZone = 'UTC'; SET threads = 1")
    connection.register("records", pa.Table.from_pylist(records, CLEAN_SCHEMA))
    return connection


def test_a_text_is_cut_between_sentences_near_its_middle():
    first, second = halves(PASSAGES[7])
    assert first == "Wings lift in a stream of air. 7 were measured."
    assert second == "Heat flows through slabs. It is slow."


def test_a_text_of_one_sentence_is_cut_between_words():
    text = " ".join(["word"] * 40)
    assert halves(text) == (" ".join(["word"] * 20), " ".join(["word"] * 20))


@pytest.mark.parametrize("text", ["", "Too short to have halves.", "x" * 500])
def test_a_text_without_two_halves_has_none(text):
    assert halves(text) is None


def test_the_same_passages_in_any_order_give_the_same_pairs():
    pairs = document_pairs(PASSAGES, 10)
    assert len(pairs) == 1  # they all end alike
    different = [f"{text} {n} times as slow as steel, they say." for n, text in enumerate(PASSAGES)]
    some = document_pairs(different, 10)
    assert len(some) == 10
    assert document_pairs(reversed([*different, *different]), 10) == some
    assert set(document_pairs(different, 9).answers) < set(some.answers)


def test_headings_are_in_neither_half():
    row = {"chunk_id": "1", "text": PASSAGES[0], "heading_path": ["Aerodynamics"]}
    chunks = pa.Table.from_pylist([row], CHUNK_SCHEMA)
    assert document_pairs(chunks) == document_pairs([PASSAGES[0]])
    assert len(document_pairs(CHUNK_SCHEMA.empty_table())) == 0


def test_each_half_of_a_history_is_written_like_an_account():
    items = ["Pho", "Ramen", "Pho", "Taco", "Pizza"]
    records = [record("ada", item, ago=10 - n) for n, item in enumerate(items)]
    pairs = account_pairs(opened(records[::-1]))
    assert pairs.queries == ("Items: Pho; Ramen. Vendors: Saigon. Cuisines: Thai.",)
    assert pairs.answers == ("Items: Pho; Taco; Pizza. Vendors: Saigon. Cuisines: Thai.",)


def test_accounts_with_a_short_history_are_left_out():
    records = [record("ada", f"dish {n}", n) for n in range(4)]
    records += [record("bob", f"soup {n}", n) for n in range(3)]
    assert len(account_pairs(opened(records))) == 1
    assert len(account_pairs(opened(records), history_days=3)) == 0


def test_so_many_accounts_are_drawn_by_their_ids_alone():
    accounts = [f"account {n}" for n in range(20)]
    records = [record(name, f"dish of {name} {n}", n) for name in accounts for n in range(4)]
    some = account_pairs(opened(records), 5)
    assert len(some) == 5
    assert account_pairs(opened(records[::-1]), 5) == some
    assert set(some.answers) < set(account_pairs(opened(records), 6).answers)


def test_answers_that_cannot_be_told_apart_are_asked_for_once():
    assert Pairs.of([("a", "x"), ("b", "x"), ("c", "y")]) == Pairs(("a", "c"), ("x", "y"))


def test_queries_without_answers_are_refused():
    with pytest.raises(ValueError, match="2 queries but 1 answers"):
        Pairs(("a", "b"), ("x",))


def test_the_same_texts_are_drawn_whatever_their_order_and_each_once():
    texts = [f"text {number}" for number in range(50)]
    drawn = sampled(texts, 10)
    assert len({*drawn}) == 10
    assert sampled(reversed([*texts, *texts]), 10) == drawn
    assert sampled(texts, 9) == drawn[:9]
    assert {*sampled(texts, 99)} == {*texts}


def test_no_more_texts_are_held_than_are_drawn():
    tracemalloc.start()
    sampled((f"{number:01000}" for number in range(20_000)), 100)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 1_000_000
