from contextlib import contextmanager

import numpy as np
import pyarrow as pa
import pytest

from embedding_assets import accounts
from embedding_assets.embedding.encoder import HashingEncoder
from embedding_assets.embedding.store import VectorStore
from embedding_assets.errors import ModelChangedError, NotFoundError
from embedding_assets.records.clean import QUARANTINE_SCHEMA
from embedding_assets.records.inventory import Inventory
from embedding_assets.search.similar import matrix_of, similar_schema
from embedding_assets.settings import Settings
from embedding_assets.storage.slices import table_slice
from embedding_assets.workspace import Workspace
from embedding_assets_tests.records.opened import open_shop
from embedding_assets_tests.records.shop import row, stocked


@pytest.fixture(scope="module")
def made_once(tmp_path_factory):
    shop = stocked(tmp_path_factory.mktemp("shop"))
    shop.run_all()
    return shop


@pytest.fixture
def shop(made_once, tmp_path, no_environment):
    return made_once.copy(tmp_path)


@pytest.fixture
def empty(tmp_path, no_environment, monkeypatch):
    """The workspace of a shop in which nothing is made."""
    return open_shop(stocked(tmp_path), monkeypatch)


@pytest.fixture
def made(shop, monkeypatch):
    """The workspace of a shop after a run, published."""
    workspace = open_shop(shop, monkeypatch)
    workspace.require_live_model()
    workspace.warehouse.publish()
    return workspace


def test_before_anything_is_made_tables_are_empty_with_their_columns(empty):
    assert empty.table_rows("quarantined_records") == QUARANTINE_SCHEMA.empty_table()
    assert empty.table_rows("similar_items") == similar_schema("item_description").empty_table()
    assert (empty.rows("raw_records"), empty.rows("latest_account_embeddings")) == (0, 0)
    assert empty.accounts.stored_inventory == Inventory()
    assert (empty.live_model(), empty.known_fingerprint) == (None, None)


def test_rows_are_those_last_published_and_no_writer_is_waited_for(made):
    with made.tables.open():
        assert made.table_rows("similar_accounts").num_rows == 6
    assert made.rows("account_texts") == 5
    assert made.rows("latest_account_embeddings") == 3


def test_an_empty_store_takes_the_configured_model_and_keeps_it(empty):
    empty.require_live_model()
    expected = {
        "name": empty.settings.model.name, "fingerprint": empty.fingerprint, "dimension": 8,
        "precision": "float32",
    }  # fmt: skip
    assert empty.live_model() == expected
    empty.require_live_model()
    assert empty.known_fingerprint == empty.fingerprint


def test_another_model_is_refused_by_name_until_it_is_switched_to(made, shop, monkeypatch):
    first = made.fingerprint
    other = open_shop(shop, monkeypatch, HashingEncoder(16))
    refused = rf"dimension 8, float32, fingerprint {first[:12]}.*dimension 16, float32"
    with pytest.raises(ModelChangedError, match=refused):
        other.require_live_model()
    assert other.live_model()["fingerprint"] == first
    other.switch_model()
    other.require_live_model()
    assert other.live_model()["fingerprint"] == HashingEncoder(16).fingerprint
    stale = {s.asset for s in other.accounts.states() if not s.is_fresh}
    assert stale == {"account_embeddings"}


def test_days_of_two_models_are_shown_side_by_side_while_one_replaces_the_other(
    made, shop, monkeypatch
):
    shop.encoder = HashingEncoder(16)
    shop.vectors = VectorStore.of(shop.out / "vectors", shop.encoder)
    other = open_shop(shop, monkeypatch, shop.encoder)
    other.switch_model()
    shop.run("2025-03-03")
    other.warehouse.publish()
    rows = other.warehouse.read("account_embeddings")
    lengths = {(r["day"].day, len(r["embedding"])) for r in rows.to_pylist()}
    assert lengths == {(1, 8), (3, 16), (4, 8), (5, 8)}
    assert {s.day.day for s in other.accounts.states() if s.is_due} == {1, 4, 5}


def test_after_a_run_a_plan_has_nothing_to_do_and_waits_for_no_writer(made):
    with made.tables.open():
        plan = made.plan()
    assert [asset.asset for asset in plan.assets if asset.is_due] == []
    assert {asset.asset for asset in plan.assets} == {
        "record_files", "quarantined_records", "raw_records", "cleaned_records", "account_texts",
        "account_embeddings", "latest_account_embeddings", "item_embeddings", "similar_accounts",
        "similar_items",
    }  # fmt: skip


def test_a_plan_of_an_empty_store_makes_everything(empty):
    assert all(asset.is_due and not asset.fresh for asset in empty.plan().assets)


def test_the_most_similar_items_of_any_text_leave_nothing_in_the_store(made):
    before = len(made.vectors), made.models_dir.joinpath("live.json").read_bytes()
    found = made.accounts.similar_items("dish", 2)
    assert [each.rank for each in found] == [1, 2]
    assert found[0].text.startswith("Dish") and found[0].score > 0.5
    assert (len(made.vectors), made.models_dir.joinpath("live.json").read_bytes()) == before


def test_a_stored_item_is_found_without_the_model_and_is_not_its_own_neighbour(made):
    del made.__dict__["encoder"]
    found = {each.id for each in made.accounts.similar_items("Dish 1", 3)}
    assert found == {"Dish 3", "Dish 5", "Pho"}
    assert "encoder" not in made.__dict__


def test_without_items_a_query_is_refused_and_no_model_becomes_the_live_one(empty):
    with pytest.raises(NotFoundError, match="item_embeddings"):
        empty.accounts.similar_items("Pho", 3)
    assert empty.live_model() is None
    assert not (empty.data_dir / "vectors").exists()


def test_items_of_another_model_are_not_compared_with_the_configured_one(made, shop, monkeypatch):
    other = open_shop(shop, monkeypatch, HashingEncoder(16))
    other.switch_model()
    with pytest.raises(ModelChangedError, match="item_embeddings were made by another model"):
        other.accounts.similar_items("Pho", 3)


def test_the_most_similar_accounts_are_others(made):
    assert [each.id for each in made.accounts.similar("bob", 2)] == ["eve", "ada"]
    with pytest.raises(NotFoundError, match="'zoe' has no embedding"):
        made.accounts.similar("zoe", 2)


def test_similar_accounts_have_their_own_texts_while_a_run_replaces_the_table(made, monkeypatch):
    table = made.table("latest_account_embeddings")
    rows, original = table.read(), np.memmap
    texts = {r["account_id"]: r["text_for_embedding"] for r in rows.to_pylist()}

    def replacing(*args, **options):
        table.replace(table_slice(rows.take([2, 1, 0]), "reversed"))
        return original(*args, **options)

    monkeypatch.setattr(np, "memmap", replacing)
    found = made.accounts.similar("bob", 2)
    assert [(each.id, each.text) for each in found] == [(n, texts[n]) for n in ("eve", "ada")]


def test_items_that_another_model_embedded_before_the_read_ended_are_read_again(made, monkeypatch):
    table = made.table("item_embeddings")
    rows, footer = table.read(), table.footer()
    expected = made.accounts.similar_items("Pho", 3)
    shorter = rows.set_column(
        1, "embedding", pa.array([[1.0, 0.0]] * len(rows), pa.list_(pa.float32(), 2))
    )
    table.replace(table_slice(shorter, "other", fingerprint="other"))
    waiting = [table_slice(rows, footer.digest, **footer.stats)]

    @contextmanager
    def replaced_meanwhile(*args):
        with matrix_of(*args) as found:
            while waiting:
                table.replace(waiting.pop())
            yield found

    monkeypatch.setattr(accounts, "matrix_of", replaced_meanwhile)
    assert made.accounts.similar_items("Pho", 3) == expected


def test_a_folder_below_the_home_is_found_there(no_environment, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    settings = Settings(data_dir="~/store", records={"source": "~/records"})
    workspace = Workspace(settings).ensure()
    assert workspace.data_dir == tmp_path / "store"
    assert workspace.accounts.days.source == str(tmp_path / "records")
    assert workspace.settings.tracking_uri == f"sqlite:///{tmp_path / 'store' / 'mlflow.db'}"
    assert (tmp_path / "store" / "schema.json").exists()


def test_unreadable_files_block_days_in_a_workspace_too(made, shop):
    (shop.source / "ada.parquet").write_bytes(b"torn")
    shop.put("n.parquet", row("bob", "Soup", "2025-03-05"))
    found = made.accounts
    blocked = found.blocked(found.inventory().days())
    assert [str(day) for day in blocked.days] == ["2025-03-05"]
    assert {s.state for s in found.states()} == {"fresh", "blocked"}
