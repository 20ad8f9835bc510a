import pyarrow as pa
import pytest

from embedding_assets.embedding.encoder import HashingEncoder
from embedding_assets.embedding.store import VectorStore
from embedding_assets.errors import ModelChangedError
from embedding_assets.records.latest import item_schema, item_slice, latest_slice
from embedding_assets_tests.records.shop import Shop, row


@pytest.fixture(scope="module")
def stock():
    return ordered_twice


def ordered_twice(tmp_path):
    shop = Shop(tmp_path)
    shop.put(
        "a.parquet",
        row("ada", "Pho", "2025-03-01", cuisines="Thai"),
        row("bob", "Pho", "2025-03-02", cuisines="Asian"),
        row("ada", "Ramen", "2025-03-03", cuisines="Asian"),
        row("ada", "Pho", "2025-03-03", cuisines="Asian"),
    )
    return shop


def latest(shop, encoder=None):
    encoder = encoder or shop.encoder
    return latest_slice(shop.tables.embeddings, encoder.fingerprint, encoder.dimension)


def rows(part):
    return pa.Table.from_batches(part.batches(), part.schema).to_pylist()


def items(shop):
    return item_slice(shop.tables.cleaned, shop.encoder, shop.vectors, 384)


def test_each_account_has_the_row_of_its_newest_day(ran):
    part = latest(ran)
    assert [(r["account_id"], str(r["day"]), r["records"]) for r in rows(part)] == [
        ("bob", "2025-03-02", 1), ("ada", "2025-03-03", 3),
    ]  # fmt: skip
    assert part.stats == {"days": 3}
    assert part.schema.names[:4] == [
        "account_id",
        "text_for_embedding",
        "embedding_0",
        "embedding_1",
    ]


def test_an_account_whose_newest_day_went_away_has_the_one_before(ran):
    ran.put("a.parquet", row("ada", "Pho", "2025-03-01", cuisines="Thai"))
    ran.run()
    assert [(r["account_id"], str(r["day"])) for r in rows(latest(ran))] == [("ada", "2025-03-01")]


def test_the_digest_changes_with_the_days_and_not_with_empty_ones(ran):
    before = latest(ran).digest
    ran.run("2025-02-01")
    assert latest(ran).digest == before
    ran.put("b.parquet", row("eve", at="2025-03-02"))
    ran.run()
    assert latest(ran).digest != before


def test_days_of_another_model_are_refused_by_name(ran):
    other = HashingEncoder(16)
    with pytest.raises(ModelChangedError, match=r"3 days.*2025-03-01 to 2025-03-03"):
        latest(ran, other)
    ran.encoder, first = other, ran.encoder
    ran.vectors = VectorStore.of(ran.out / "vectors", other)
    ran.run("2025-03-01", "2025-03-02")
    with pytest.raises(ModelChangedError, match=r"2 days.*2025-03-01\.\.\.2025-03-02"):
        latest(ran, first)


def test_nothing_embedded_gives_no_rows(shop):
    assert rows(latest(shop)) == []
    assert rows(items(shop)) == []
    shop.run("2025-02-01")
    assert rows(latest(shop)) == []


def test_each_distinct_item_has_a_vector_and_its_orders_accounts_and_cuisine(shop):
    shop.run()
    part = items(shop)
    found = rows(part)
    assert part.schema == item_schema(8)
    assert [
        (r["item_description"], r["orders"], r["accounts"], r["main_cuisine"]) for r in found
    ] == [("Pho", 3, 2, "Asian"), ("Ramen", 1, 1, "Asian")]
    assert found[0]["embedding"] == shop.encoder.encode(["Pho"]).vectors[0].tolist()
    assert (part.stats["texts"], part.stats["computed"]) == (2, 2)


def test_an_item_without_a_cuisine_is_an_item(tmp_path):
    shop = Shop(tmp_path)
    shop.put("a.parquet", row(cuisines=None))
    shop.run(until="cleaned_records")
    assert [(r["item_description"], r["main_cuisine"]) for r in rows(items(shop))] == [
        ("Pho", None)
    ]


def test_the_digest_of_items_follows_the_clean_days_and_the_model(ran):
    before = items(ran).digest
    assert items(ran).digest == before
    ran.put("b.parquet", row("eve", "Soup", at="2025-03-02"))
    ran.run()
    after = items(ran).digest
    ran.encoder = HashingEncoder(16)
    assert len({before, after, items(ran).digest}) == 3
