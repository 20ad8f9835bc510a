from datetime import date, timedelta

import pytest

from embedding_assets.embedding.encoder import HashingEncoder
from embedding_assets.embedding.store import VectorStore
from embedding_assets.records.cost import TextChanges
from embedding_assets.records.plan import DayState, measured_speed
from embedding_assets_tests.records.shop import Shop, row


def planned(shop):
    return {asset.asset: asset for asset in shop.plan().assets}


def files(shop):
    return {path.name for path in shop.source.iterdir()}


def days(asset):
    return asset.missing, asset.stale, asset.fresh


BY_DAY = ("raw_records", "cleaned_records", "account_texts", "account_embeddings")
TABLES = (
    "record_files",
    "latest_account_embeddings",
    "item_embeddings",
    "similar_accounts",
    "similar_items",
)
CHANGES = {
    "nothing": lambda shop: None,
    "a touched file": lambda shop: shop.touch("ada.parquet"),
    "a new record today": lambda shop: shop.put("n.parquet", row("bob", "Soup", "2025-03-05")),
    "a late record": lambda shop: shop.put("n.parquet", row("ada", "Late", "2025-03-02")),
    "a removed file": lambda shop: (shop.source / "ada.parquet").unlink(),
    "all files removed": lambda shop: [path.unlink() for path in shop.source.iterdir()],
    "a changed record": lambda shop: shop.put(
        "rest.parquet", row("bob", "Soup", at="2025-03-03"), row("eve", at="2025-03-04")
    ),
    "a duplicate": lambda shop: shop.put("n.parquet", row("bob", at="2025-03-03T00:00:00Z")),
    "a bad record": lambda shop: shop.put("n.parquet", row("bob", "", "2025-03-03"), row(at="?")),
    "a text known already": lambda shop: shop.put("n.parquet", row("zoe", at="2025-03-04")),
    "a moved record": lambda shop: shop.put(
        "rest.parquet", row("bob", at="2025-03-04"), row("eve", at="2025-03-04")
    ),
}


@pytest.mark.parametrize(
    ("before", "change"),
    [
        *(("everything", change) for change in CHANGES),
        *(
            (before, change)
            for before in ("days only", "one day", "no embeddings", "nothing")
            for change in ("a late record", "a removed file")
        ),
        ("nothing", "all files removed"),
    ],
)
def test_a_plan_tells_what_the_run_then_does(request, change, before):
    shop = request.getfixturevalue("ran" if before == "everything" else "shop")
    {
        "everything": lambda: None,
        "days only": shop.run,
        "one day": lambda: shop.run("2025-03-03"),
        "no embeddings": lambda: shop.run(until="account_texts"),
        "nothing": lambda: None,
    }[before]()
    CHANGES[change](shop)
    plan = planned(shop)
    kept = {name: shop.footers(name) for name in plan}
    replaced, computed = shop.run_all()
    for name in plan:
        missing = [key for key in replaced[name] if key not in kept[name]]
        assert plan[name].missing == len(missing), name
        gone = 0 if name != "quarantined_records" else len(kept[name].keys() - files(shop))
        assert plan[name].stale == len(replaced[name]) - len(missing) + gone, name
        assert plan[name].blocked == 0
    to_embed = [plan[name].texts.to_embed for name in ("account_embeddings", "item_embeddings")]
    assert to_embed == [*computed]
    stored = shop.tables.texts.footers(shop.tables.texts.keys())
    texts = plan["account_texts"].texts
    assert texts.new + texts.changed + texts.unchanged == sum(f.rows for f in stored.values())
    before_rows = sum(footer.rows for footer in kept["account_texts"].values())
    assert texts.changed + texts.unchanged + texts.deleted == before_rows
    items, before_items = plan["item_embeddings"].texts, kept["item_embeddings"].get(None)
    assert items.new + items.unchanged == shop.table("item_embeddings").footer().rows
    assert items.unchanged + items.deleted == (before_items.rows if before_items else 0)
    assert {state.state for state in shop.states()} <= {"fresh"}
    assert not any(asset.is_due for asset in shop.plan().assets)


def test_the_first_plan_names_every_day_missing_and_every_text_new(shop):
    plan = shop.plan()
    assert [days(planned(shop)[name]) for name in BY_DAY] == [(4, 0, 0)] * 4
    assert [days(planned(shop)[name]) for name in TABLES] == [(1, 0, 0)] * 5
    assert days(planned(shop)["quarantined_records"]) == (2, 0, 0)
    assert plan.days_to_run == [date(2025, 3, day) for day in (1, 3, 4, 5)]
    texts = planned(shop)["account_embeddings"].texts
    assert (texts.new, texts.changed, texts.unchanged, texts.deleted) == (5, 0, 0, 0)
    # Bob's and Eve's texts are equal.
    assert (texts.to_embed, texts.reused, texts.tokens_estimated) == (4, 1, False)
    assert planned(shop)["account_embeddings"].seconds is None


def test_a_plan_after_a_run_finds_everything_fresh_and_costs_nothing(ran):
    plan = ran.plan()
    assert [days(planned(ran)[name]) for name in BY_DAY] == [(0, 0, 4)] * 4
    assert [days(planned(ran)[name]) for name in TABLES] == [(0, 0, 1)] * 5
    assert days(planned(ran)["quarantined_records"]) == (0, 0, 2)
    assert plan.days_to_run == []
    asset = planned(ran)["account_embeddings"]
    assert asset.texts == TextChanges(unchanged=5)
    assert (asset.seconds, dict(asset.why)) == (0.0, {})


def test_a_late_record_is_one_new_and_two_changed_texts_with_their_reasons(ran):
    ran.put("late.parquet", row("ada", "Late", at="2025-03-02"))
    plan = planned(ran)
    assert days(plan["raw_records"]) == (1, 0, 4)
    assert days(plan["account_texts"]) == (1, 2, 2)
    assert plan["account_texts"].texts == TextChanges(new=1, changed=2, unchanged=3)
    assert dict(plan["account_texts"].why) == {
        "never materialized": 1, "an account's history changed": 2,
    }  # fmt: skip
    assert plan["account_embeddings"].texts.to_embed == 3


def test_tokens_are_those_of_the_texts_to_embed(ran):
    ran.put("n.parquet", row("bob", "Soup", "2025-03-05"))
    texts = planned(ran)["account_embeddings"].texts
    text = "Items: Pho; Soup. Vendors: Saigon. Cuisines: Thai."
    assert texts.tokens == ran.encoder.count_tokens([text])[0]


def test_tokens_of_very_many_texts_are_estimated_from_a_sample(shop, monkeypatch):
    monkeypatch.setattr("embedding_assets.records.cost._SAMPLED_TEXTS", 2)
    texts = planned(shop)["account_embeddings"].texts
    assert (texts.to_embed, texts.tokens_estimated) == (4, True)
    assert 20 <= texts.tokens <= 40


def test_seconds_follow_the_speed_that_was_measured(shop):
    assert measured_speed(shop.tables.embeddings) is None
    shop.run()
    speed = measured_speed(shop.tables.embeddings)
    shop.put("n.parquet", row("bob", "Soup", "2025-03-05"))
    asset = planned(shop)["account_embeddings"]
    assert asset.seconds == pytest.approx(asset.texts.tokens / speed)


def test_another_model_makes_every_embedding_stale_and_no_text(shop):
    shop.run()
    shop.encoder = HashingEncoder(16)
    shop.vectors = VectorStore.of(shop.out / "vectors", shop.encoder)
    plan = planned(shop)
    assert days(plan["account_texts"]) == (0, 0, 4)
    assert days(plan["account_embeddings"]) == (0, 4, 0)
    assert dict(plan["account_embeddings"].why) == {"texts or model changed": 4}
    assert plan["account_embeddings"].texts.to_embed == 4


def test_records_before_the_start_and_in_the_future_are_no_days(shop):
    future = date.today() + timedelta(days=3)
    shop.put("odd.parquet", row(at="2020-01-01"), row(at=str(future)))
    assert {state.day for state in shop.states()} == {date(2025, 3, day) for day in (1, 3, 4, 5)}


def test_an_empty_source_has_no_plan(tmp_path):
    shop = Shop(tmp_path)
    plan = planned(shop)
    assert [days(plan[name]) for name in (*BY_DAY, "quarantined_records")] == [(0, 0, 0)] * 5
    assert shop.states() == []


@pytest.mark.parametrize(
    ("state", "is_fresh", "is_due"),
    [("fresh", True, False), ("stale", False, True), ("missing", False, True),
     ("blocked", False, False)],
)  # fmt: skip
def test_only_a_fresh_state_is_fresh_and_a_blocked_one_is_not_due(state, is_fresh, is_due):
    found = DayState("a", date(2025, 3, 1), state, "")
    assert (found.is_fresh, found.is_due) == (is_fresh, is_due)


def test_tables_without_days_follow_what_they_are_drawn_from(ran):
    ran.put("n.parquet", row("bob", "Soup", "2025-03-05"))
    plan = planned(ran)
    assert [(days(plan[name]), [*plan[name].why]) for name in TABLES] == [
        ((0, 1, 0), ["record files changed"]),
        ((0, 1, 0), ["account_embeddings will change"]),
        ((0, 1, 0), ["cleaned_records will change"]),
        ((0, 1, 0), ["latest_account_embeddings will change"]),
        ((0, 1, 0), ["item_embeddings will change"]),
    ]
    items = plan["item_embeddings"].texts
    assert (items.new, items.unchanged, items.to_embed) == (1, 4, 1)
    assert items.tokens == ran.encoder.count_tokens(["Soup"])[0]
    assert dict(plan["quarantined_records"].why) == {"never looked at": 1}


def test_a_table_that_missed_a_change_says_so(ran):
    ran.put("n.parquet", row("bob", "Soup", "2025-03-05"))
    ran.run()
    plan = planned(ran)
    assert [*plan["latest_account_embeddings"].why] == ["account_embeddings or model changed"]
    assert [*plan["similar_accounts"].why] == ["latest_account_embeddings will change"]


def test_another_number_of_neighbours_makes_only_the_neighbours_stale(ran, monkeypatch):
    monkeypatch.setattr("embedding_assets_tests.records.shop.TOP", 2)
    due = {asset.asset: [*asset.why] for asset in ran.plan().assets if asset.is_due}
    assert due == {
        "similar_accounts": ["latest_account_embeddings or top changed"],
        "similar_items": ["item_embeddings or top changed"],
    }


def test_items_whose_vectors_were_dropped_are_embedded_again_only_when_the_table_is_made(ran):
    for path in ran.vectors.folder.iterdir():
        path.unlink()
    assert planned(ran)["item_embeddings"].texts == TextChanges(unchanged=4)
    ran.put("n.parquet", row("bob", "Soup", "2025-03-05"))
    assert planned(ran)["item_embeddings"].texts.to_embed == 5


def test_the_wait_for_items_follows_the_measured_speed(ran):
    ran.put("n.parquet", row("bob", "Soup", "2025-03-05"))
    asset = planned(ran)["item_embeddings"]
    assert asset.seconds == pytest.approx(1 / measured_speed(ran.tables.embeddings))
