import json
from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from embedding_assets.embedding.store import text_keys
from embedding_assets.errors import NotFoundError
from embedding_assets.forget import forget_account, receipt_text
from embedding_assets.records.days import clean_slices, embedding_slices, raw_slices
from embedding_assets.records.forgotten import account_key
from embedding_assets.records.latest import item_slice
from embedding_assets.records.quarantine import FORGOTTEN_ROWS, of_no_day
from embedding_assets.search.similar import similar_slice
from embedding_assets.storage.parquet import ParquetTable
from embedding_assets.storage.tables import DuckTables
from embedding_assets_tests.forget.traces import traces
from embedding_assets_tests.records.opened import open_shop
from embedding_assets_tests.records.shop import SIMILAR, TABLES, Shop, row

TOMORROW = str(datetime.now(UTC).date() + timedelta(days=1))
OTHERS = [
    row("ada", "Pho", "2025-03-01T10:00:00Z"),
    row("ada", "Ramen", "2025-03-03", vendor="Tokyo", cuisines="Japanese"),
    row("cleo", "Pho", "2025-03-02"),
    row("cleo", "Soup", "2025-03-05"),
    row("dan", "Ramen", "2025-03-03", vendor="Tokyo", cuisines="Japanese"),
    row("ellen", "Bun", "2025-03-04"),
    row("", "Nothing", "2025-03-04"),
    row("fay", "Bun", "never"),
]
ZELDA = [
    row("zelda", "Quiche", "2025-03-01", vendor="Xanthippe"),
    row("zelda", "Pho", "2025-03-03"),
    row("zelda", "Pho", "2025-03-03"),
    row(" zelda\t", "Ramen", "2025-03-04"),
    row("zelda", "", "2025-03-04", vendor="Xanthippe"),
    row("zelda", "Quiche", "2025-03-08", vendor="Xanthippe"),
    row("zelda", "Quiche", "never", vendor="Xanthippe"),
    row("zelda ", "Quiche", TOMORROW, vendor="Xanthippe"),
]
WORDS = ("zelda", "Quiche", "Xanthippe")


def stocked(root, *files):
    shop = Shop(root)
    for name, rows in files:
        shop.put(name, *rows)
    return shop


def opened(shop, monkeypatch):
    """The shop's workspace, and the shop with its guarded tables."""
    workspace = open_shop(shop, monkeypatch)
    shop.days, shop.tables = workspace.accounts.days, workspace.accounts.tables
    shop.duck = workspace.tables
    shop.table = workspace.table
    return workspace


@pytest.fixture(scope="module")
def ran_once(tmp_path_factory):
    root = tmp_path_factory.mktemp("shop")
    shop = stocked(root, ("a.parquet", [*OTHERS[:4], *ZELDA]), ("b.parquet", OTHERS[4:]))
    shop.run_all()
    return shop


@pytest.fixture
def shop(ran_once, tmp_path):
    return ran_once.copy(tmp_path / "shop")


@pytest.fixture
def workspace(shop, monkeypatch):
    workspace = opened(shop, monkeypatch)
    workspace.warehouse.publish()
    return workspace


@pytest.fixture(scope="module")
def without_zelda(tmp_path_factory):
    """What all runs leave when the account was never there."""
    root = tmp_path_factory.mktemp("without")
    shop = stocked(root, ("a.parquet", OTHERS[:4]), ("b.parquet", OTHERS[4:]))
    shop.run_all()
    return state(shop)


def state(shop):
    """The rows of every asset, those of no interest to a comparison left out."""
    found = {}
    for name in (*TABLES, "latest_account_embeddings", "item_embeddings"):
        table = shop.table(name)
        for key in [None] if table.footer() else table.keys():
            rows = table.read(key)
            if "source_row" in rows.column_names:
                rows = rows.drop_columns("source_row")
            if len(rows):
                found[name, key] = rows.to_pylist()
    for name, (_, column) in SIMILAR.items():
        keys = [(column, "ascending"), ("rank", "ascending")]
        rows = shop.duck.read(name).sort_by(keys).to_pylist()
        found[name, None] = [{**each, "score": round(each["score"], 5)} for each in rows]
    bad = shop.duck.read("quarantined_records").drop_columns("source_row")
    found["quarantined_records", None] = sorted(map(repr, bad.to_pylist()))
    return found


def is_fresh(plan):
    return [(a.asset, a.missing, a.stale) for a in plan.assets if a.is_due or a.blocked] == []


def to_embed(plan):
    return sum(asset.texts.to_embed for asset in plan.assets if asset.texts)


def counts(receipt):
    return {step.place: step.count for step in receipt.steps if step.count}


def test_nothing_below_the_data_folder_holds_a_forgotten_account(shop, workspace):
    before = traces(shop.out, *WORDS)
    assert {path.split("/")[0] for path in before} == {
        "assets", "tables.duckdb", "warehouse.duckdb",
    }  # fmt: skip
    forget_account(workspace, "zelda")
    assert traces(shop.out, *WORDS) == []


def test_what_is_left_is_what_runs_without_the_account_would_have_made(
    shop, workspace, without_zelda
):
    forget_account(workspace, "zelda")
    assert state(shop) == without_zelda


def test_afterwards_everything_is_fresh_and_nothing_is_to_be_embedded(shop, workspace):
    assert is_fresh(shop.plan())
    forget_account(workspace, "zelda")
    plan = shop.plan()
    assert is_fresh(plan)
    assert to_embed(plan) == 0


def test_a_run_afterwards_changes_nothing(shop, workspace, without_zelda):
    forget_account(workspace, "zelda")
    replaced, computed = shop.run_all()
    assert {name: keys for name, keys in replaced.items() if keys} == {}
    assert computed == (0, 0)
    assert state(shop) == without_zelda


def test_late_records_do_not_bring_it_back_however_its_id_is_written(
    shop, workspace, without_zelda
):
    forget_account(workspace, " zelda ")
    shop.put("c.parquet", row("zelda", "Quiche", "2025-03-02"), row("\u2003zelda ", at="never"))
    replaced, _ = shop.run_all()
    assert replaced["raw_records"] == ["2025-03-02"]
    assert replaced["account_texts"] == []
    assert traces(shop.out, *WORDS) == []
    assert state(shop) == without_zelda


def test_every_day_made_anew_does_not_bring_it_back(shop, workspace, without_zelda):
    forget_account(workspace, "zelda")
    for name in TABLES:
        for key in shop.table(name).keys():
            shop.table(name).remove(key)
    shop.duck.forget_digests("quarantined_records", ["a.parquet", "b.parquet"])
    shop.run_all()
    assert traces(shop.out, *WORDS) == []
    now = state(shop)
    assert {k: v for k, v in now.items() if k[0] != "quarantined_records"} == {
        k: v for k, v in without_zelda.items() if k[0] != "quarantined_records"
    }


@pytest.mark.parametrize("anew", [False, True], ids=["patched", "made anew"])
def test_the_numbers_of_what_became_of_the_rows_still_add_up(shop, workspace, anew):
    forget_account(workspace, "zelda")
    if anew:
        for key in shop.tables.raw.keys():
            shop.tables.raw.remove(key)
            shop.tables.cleaned.remove(key)
        shop.duck.forget_digests("quarantined_records", ["a.parquet", "b.parquet"])
        shop.run_all()
    for key, footer in shop.footers("cleaned_records").items():
        accounted = footer.rows + footer.stats["quarantined"] + footer.stats["duplicates"]
        assert shop.footers("raw_records")[key].rows == accounted
    entries = shop.known.entries
    of_none = sum(e.rows for e in entries if e.day is None or str(e.day) == TOMORROW)
    slices = shop.footers("quarantined_records").values()
    left_out = sum(footer.stats.get(FORGOTTEN_ROWS, 0) for footer in slices)
    assert (of_none, left_out) == (3, 2)
    assert of_no_day(shop.duck.read("quarantined_records")) == of_none - left_out


def test_the_vectors_of_its_texts_go_and_those_that_others_need_stay(shop, workspace):
    fingerprint = shop.encoder.fingerprint
    own = shop.texts("2025-03-08")["zelda"]
    others = [shop.texts("2025-03-05")["cleo"], "Pho", "Bun"]
    keys = text_keys([own, "Quiche", *others], fingerprint)
    other_model = type(shop.vectors)(shop.out / "vectors", "f" * 64, 8)
    more = text_keys([own, "Pho"], "f" * 64)
    other_model.put(more, shop.encoder.encode(["a", "b"]))
    assert shop.vectors.contains(keys).all()
    before = len(shop.vectors)
    receipt = forget_account(workspace, "zelda")
    assert shop.vectors.contains(keys).tolist() == [False, False, True, True, True]
    assert other_model.contains(more).tolist() == [False, True]
    assert counts(receipt)["vectors"] == before - len(shop.vectors) + 1


def test_a_vector_that_two_accounts_share_stays(tmp_path, monkeypatch):
    shop = stocked(tmp_path, ("a.parquet", [row("ada"), row("zelda")]))
    workspace = opened(shop, monkeypatch)
    shop.run_all()
    keys = text_keys([shop.texts("2025-03-01")["ada"], "Pho"], shop.encoder.fingerprint)
    assert counts(forget_account(workspace, "zelda")).get("vectors") is None
    assert shop.vectors.contains(keys).all()


def test_the_receipt_tells_what_went_where_and_is_kept_without_the_id(shop, workspace):
    receipt = forget_account(workspace, "zelda")
    assert counts(receipt) == {
        "tombstones": 1,
        "similar_accounts": 3,
        "latest_account_embeddings": 1,
        "similar_items": 3,
        "item_embeddings": 1,
        "quarantined_records": 3,
        "account_embeddings": 4,
        "account_texts": 4,
        "cleaned_records": 4,
        "raw_records": 7,
        "vectors": 4,
        "warehouse": 1,
    }
    text = receipt_text(receipt)
    assert text.startswith("The account zelda is forgotten (")
    assert "  raw_records                7  rows removed" in text
    [kept] = (shop.out / "forgotten" / "receipts").iterdir()
    entry = json.loads(kept.read_text())
    assert entry["steps"][0]["place"] == "tombstones"
    assert entry["at"] == receipt.at.isoformat(timespec="seconds")


def test_the_same_command_again_finds_nothing_and_is_no_error(shop, workspace, without_zelda):
    forget_account(workspace, "zelda")
    assert counts(forget_account(workspace, "zelda")) == {"warehouse": 1}
    assert state(shop) == without_zelda


@pytest.mark.parametrize("account", ["nobody", "", " \t"])
def test_an_unknown_account_is_an_error_that_leaves_nothing(shop, workspace, account):
    with pytest.raises(NotFoundError, match="is known"):
        forget_account(workspace, account)
    assert workspace.accounts.days.forgotten() == frozenset()


def test_an_account_that_only_the_record_files_know_never_comes_in(tmp_path, monkeypatch):
    shop = stocked(tmp_path, ("a.parquet", [*OTHERS, *ZELDA]))
    (shop.source / "torn.parquet").write_bytes(b"torn")
    workspace = opened(shop, monkeypatch)
    assert counts(forget_account(workspace, "zelda")) == {"tombstones": 1, "warehouse": 1}
    shop.run_all()
    assert traces(shop.out, *WORDS) == []


def test_an_account_with_quarantined_rows_alone_can_be_forgotten(shop, workspace):
    assert counts(forget_account(workspace, "fay"))["quarantined_records"] == 1
    assert traces(shop.out, "fay") == []
    assert is_fresh(shop.plan())


def test_two_accounts_can_be_forgotten_one_after_the_other(shop, workspace):
    forget_account(workspace, "zelda")
    forget_account(workspace, "ellen")
    assert is_fresh(shop.plan())
    assert traces(shop.out, *WORDS, "ellen") == []
    assert workspace.accounts.days.forgotten() == {account_key("zelda"), account_key("ellen")}


def test_the_only_account_can_be_forgotten(tmp_path, monkeypatch):
    shop = stocked(tmp_path, ("a.parquet", ZELDA))
    workspace = opened(shop, monkeypatch)
    shop.run_all()
    forget_account(workspace, "zelda")
    assert traces(shop.out, *WORDS) == []
    assert is_fresh(shop.plan())
    assert len(shop.vectors) == 0


def test_what_was_stale_stays_stale_and_a_run_makes_it_right(shop, workspace, tmp_path):
    late = row("ada", "Tacos", "2025-03-02"), row("zelda", "Quiche", "2025-03-02")
    shop.put("c.parquet", *late)
    due = {s.day for s in shop.plan().states if s.is_due}
    forget_account(workspace, "zelda")
    assert {s.day for s in shop.plan().states if s.is_due} == due - {
        date(2025, 3, 4), date(2025, 3, 8),
    }  # fmt: skip
    shop.run_all()
    other = stocked(
        tmp_path / "other", ("a.parquet", OTHERS[:4]), ("b.parquet", OTHERS[4:]),
        ("c.parquet", late[:1]),
    )  # fmt: skip
    other.run_all()
    assert state(shop) == state(other)
    assert is_fresh(shop.plan())


def test_a_forgotten_account_is_similar_to_nobody_from_the_tombstone_on(shop, workspace):
    assert "zelda" in [each.id for each in workspace.accounts.similar("cleo", 4)]
    workspace.accounts.tombstones.add([account_key("zelda")])
    assert sorted(each.id for each in workspace.accounts.similar("cleo", 4)) == [
        "ada",
        "dan",
        "ellen",
    ]
    with pytest.raises(NotFoundError, match="no embedding"):
        workspace.accounts.similar("zelda", 3)


def killed_at(monkeypatch, owner, name, call):
    """The process ends at that call of a function, and writes nothing more."""
    original, left = getattr(owner, name), [call]

    def deadly(*arguments, **named):
        left[0] -= 1
        if left[0] < 0:
            raise SystemExit
        return original(*arguments, **named)

    monkeypatch.setattr(owner, name, deadly)


@pytest.mark.parametrize(
    ("owner", "name", "calls"),
    [
        (ParquetTable, "replace", [0, 1, 5, 13]),
        (DuckTables, "rewrite", range(3)),
        (DuckTables, "compact", [0]),
    ],
)
def test_an_end_at_any_moment_is_mended_by_the_same_command(
    ran_once, tmp_path, without_zelda, owner, name, calls
):
    for call in calls:
        shop = ran_once.copy(tmp_path / f"{call}")
        with pytest.MonkeyPatch.context() as patch:
            workspace = opened(shop, patch)
            with pytest.MonkeyPatch.context() as deadly, pytest.raises(SystemExit):
                killed_at(deadly, owner, name, call)
                forget_account(workspace, "zelda")
            forget_account(workspace, "zelda")
            assert state(shop) == without_zelda
            assert traces(shop.out, *WORDS) == []
            assert is_fresh(shop.plan())
            own = text_keys(["Quiche"], shop.encoder.fingerprint)
            assert not shop.vectors.contains(own).any()
            assert [*(shop.out / "forgotten" / "unfinished").iterdir()] == []


def begun_before(shop, workspace):
    """Slices of every kind of table, made before the account was forgotten."""
    days, tables = shop.days, shop.tables
    encoder, vectors = shop.encoder, shop.vectors
    keys = tables.raw.keys()
    yield from ((tables.raw, part) for part in raw_slices(days, shop.inventory(), keys))
    yield from ((tables.cleaned, part) for part in clean_slices(days, tables.raw, keys))
    yield from (
        (tables.embeddings, part) for part in embedding_slices(tables.texts, keys, encoder, vectors)
    )
    items = item_slice(tables.cleaned, encoder, vectors, 384, days.forgotten)
    yield shop.table("item_embeddings"), items


def test_a_writer_that_began_before_does_not_bring_it_back(shop, workspace):
    begun = [*begun_before(shop, workspace)]
    forget_account(workspace, "zelda")
    for table, part in begun:
        table.replace(part)
    assert traces(shop.out, *WORDS) == []


def test_rows_drawn_before_the_tombstone_are_drawn_again(shop, workspace):
    table = shop.tables.embeddings
    [part] = embedding_slices(shop.tables.texts, ["2025-03-03"], shop.encoder, shop.vectors)
    draws = []

    def drawing():
        draws.append(1)
        yield from part.batches()
        if len(draws) == 1:
            workspace.accounts.tombstones.add([account_key("zelda")])

    written = table.replace(type(part)(part.key, part.digest, part.schema, drawing, part.stats))
    assert (len(draws), written.footer.rows) == (2, 2)
    assert pq.read_table(table.path("2025-03-03").path)["account_id"].to_pylist() == ["ada", "dan"]


def test_neighbours_drawn_before_are_written_without_it(shop, workspace):
    part = similar_slice(shop.table("latest_account_embeddings"), "account_id", 3)
    rows = pa.Table.from_batches(part.batches())
    late = type(part)(None, "another", part.schema, rows.to_batches, part.stats)
    forget_account(workspace, "zelda")
    shop.duck.write("similar_accounts", late)
    left = shop.duck.read("similar_accounts")
    ids = {*left["account_id"].to_pylist(), *left["similar_account_id"].to_pylist()}
    assert ids == {"ada", "cleo", "dan", "ellen"}
