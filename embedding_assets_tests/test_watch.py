from datetime import UTC, date, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from embedding_assets.apps.slices import APP_VECTOR_SCHEMA
from embedding_assets.documents.inventory import DocumentEntry, DocumentInventory
from embedding_assets.documents.slices import vector_schema
from embedding_assets.quality.drift import Drift
from embedding_assets.quality.drift_table import (
    DRIFT_SCHEMA,
    exchanges,
    history,
    newest,
    verdict,
    without_unit,
)
from embedding_assets.records.embed import embedding_schema
from embedding_assets.search.query_log import QUERIES, Asked, QueryLog
from embedding_assets.settings import Settings
from embedding_assets.storage.slices import digest_of, table_slice
from embedding_assets.watch import DOMAINS, SIGHTINGS, Watch
from embedding_assets.workspace import Workspace

LAST = date(2026, 3, 31)
EARLY, LATE = date(2026, 3, 1), date(2026, 3, 30)
TOPICS = np.eye(4, dtype=np.float32)


@pytest.fixture
def workspace(tmp_path, no_environment, monkeypatch):
    """A workspace in which the model `one` is known."""
    monkeypatch.setattr(Workspace, "known_fingerprint", "one")
    return Workspace(Settings(data_dir=tmp_path / "store"))


def vectors(count, topic, seed=0):
    chance = np.random.default_rng([seed, topic, count])
    return (TOPICS[topic] + chance.normal(0, 0.2, (count, 4))).astype(np.float32)


def rows(workspace, domain, last=LAST):
    return {row["measure"]: row for row in Watch(workspace, last).rows() if row["domain"] == domain}


def row(workspace, domain):
    return rows(workspace, domain)["vectors"]


def fixed(found):
    flat = pa.array(found.reshape(-1))
    return pa.FixedSizeListArray.from_arrays(flat, found.shape[1])


def store_accounts(workspace, day, found, ids=None, fingerprint="one", cuisine="thai"):
    count = len(found)
    columns = {
        "account_id": ids or [f"account {n}" for n in range(count)],
        "text_for_embedding": ["a secret"] * count,
        "embedding": fixed(found),
        "day": [day] * count,
        "main_cuisine": [cuisine] * count,
        "fingerprint": [fingerprint] * count,
    }
    schema = embedding_schema(found.shape[1])
    table = pa.table(
        {n: columns.get(n, pa.nulls(count, schema.field(n).type)) for n in schema.names}
    )
    part = table_slice(
        table.cast(schema), digest_of(str(day), found.tolist()), str(day), fingerprint=fingerprint
    )
    workspace.table("account_embeddings").write(part)


def store_documents(workspace, days, topics, fingerprint="one", prefix="doc"):
    schema, entries = vector_schema(4), []
    for n, (day, topic) in enumerate(zip(days, topics, strict=True)):
        doc_id = f"{prefix} {n}"
        at = datetime(day.year, day.month, day.day, 12, tzinfo=UTC).timestamp() * 1e9
        entries.append(DocumentEntry(doc_id, f"{prefix}{n}.txt", "txt", 1, int(at), 1, doc_id))
        found = vectors(2, topic, n)
        columns = {"doc_id": [doc_id] * 2, "embedding": fixed(found)}
        table = pa.table(
            {k: columns.get(k, pa.nulls(2, schema.field(k).type)) for k in schema.names}
        )
        part = table_slice(table.cast(schema), digest_of(doc_id), doc_id, fingerprint=fingerprint)
        workspace.table("doc_vectors").write(part)
    known = workspace.library.stored_inventory.entries
    inventory = DocumentInventory((*known, *entries))
    workspace.table("document_files").write(table_slice(inventory.to_table(), inventory.digest))


def test_a_domain_without_data_has_a_row_that_says_so(workspace):
    found = Watch(workspace, LAST).rows()
    assert [each["domain"] for each in found] == [*DOMAINS]
    assert {each["verdict"] for each in found} == {"not judged"}
    assert {each["reason"] for each in found} == {"no data in the window"}
    assert pa.Table.from_pylist(found, DRIFT_SCHEMA).num_rows == len(DOMAINS)


def test_accounts_that_order_otherwise_have_drifted_and_go_unnamed(workspace):
    store_accounts(workspace, EARLY, vectors(60, 0))
    store_accounts(workspace, LATE, vectors(60, 1), cuisine="sushi")
    found = row(workspace, "accounts")
    assert (found["verdict"], found["reference"], found["window"]) == ("drift", 60, 60)
    assert "model stage" in found["proposal"]
    assert {tuple(each["units"]) for each in found["groups"]} == {()}
    assert {"thai", "sushi"} == {text for each in found["groups"] for text in each["texts"]}
    assert "secret" not in str(found)


def test_the_newest_vector_of_an_account_before_the_window_counts(workspace):
    for day in (EARLY, date(2026, 3, 10)):
        store_accounts(workspace, day, vectors(60, 0 if day == EARLY else 1))
    for day in (LATE, LAST):
        store_accounts(workspace, day, vectors(60, 1, seed=1))
    assert row(workspace, "accounts")["verdict"] == "stable"


LIKED = np.concatenate([vectors(140, 0), vectors(900, 1)])


def of_a_day(number):
    """140 come every second week, 900 who like something else every eighteenth: who is new in a
    week is one of these, who was there in the nine before and stays away may be any."""
    return [*range(number % 14, 140, 14), *range(140 + number % 126, 1_040, 126)]


def test_accounts_that_are_seldom_active_are_no_drift(workspace):
    for number in range(63):
        some = of_a_day(number)
        day = LAST - timedelta(days=number)
        store_accounts(workspace, day, LIKED[some], [f"account {n}" for n in some])
    found = row(workspace, "accounts")
    assert (found["verdict"], found["window"]) == ("stable", 126)
    assert 90 < found["reference"] < 160


def test_accounts_beyond_the_limit_of_one_side_are_compared_on_neither(workspace):
    """Of 300 before and 60 of these now 50 are taken: others of each side, if each by itself."""
    drift = workspace.settings.drift.model_copy(update={"most_units": 50})
    workspace.settings = workspace.settings.model_copy(update={"drift": drift})
    liked = np.concatenate([vectors(60, 0), vectors(240, 1)])
    store_accounts(workspace, EARLY, liked)
    store_accounts(workspace, LATE, liked[:60])
    store_accounts(workspace, EARLY, liked)
    found = row(workspace, "accounts")
    assert found["reference"] == 50
    assert found["window"] < 30
    assert found["p_value"] in (None, 1.0)


def test_where_less_was_stored_before_than_in_the_window_nothing_is_judged(workspace):
    for number in range(4):
        store_accounts(workspace, LATE - timedelta(days=number), vectors(60, 0))
    store_accounts(workspace, EARLY, vectors(60, 1))
    found = row(workspace, "accounts")
    assert (found["verdict"], found["proposal"]) == ("not judged", None)
    assert found["reason"] == "too few days to judge: 1 before the window have data, 4 in it"


def test_no_backfill_is_proposed_of_days_that_have_no_partition(workspace):
    store_accounts(workspace, EARLY, vectors(60, 0))
    store_accounts(workspace, LATE, np.ones((60, 8), np.float32), fingerprint="other")
    first = workspace.settings.records.start_date
    assert first > LAST - timedelta(days=97)
    assert f"--partition-range {first}...{LAST} " in row(workspace, "accounts")["proposal"]


def test_vectors_of_two_models_are_never_compared(workspace):
    store_accounts(workspace, EARLY, np.ones((60, 8), np.float32), fingerprint="other")
    store_accounts(workspace, LATE, vectors(60, 1))
    found = row(workspace, "accounts")
    assert (found["verdict"], found["p_value"]) == ("not judged", None)
    assert found["reason"].startswith("another model made vectors")
    assert "60 before and 0 now" in found["reason"]
    assert "account_embeddings" in found["proposal"]


def test_documents_of_a_new_topic_have_drifted_and_are_named(workspace):
    days = [EARLY] * 60 + [LATE] * 40
    store_documents(workspace, days, [0] * 60 + [0] * 20 + [2] * 20)
    found = row(workspace, "documents")
    assert (found["verdict"], found["reference"], found["window"]) == ("drift", 60, 40)
    new = max(found["groups"], key=lambda each: each["now"] - each["before"])
    assert all(int(unit.removeprefix("doc ")) >= 80 for unit in new["units"])
    assert new["texts"][0].endswith(".txt")


def test_equal_files_count_once_and_forgotten_ones_not_at_all(workspace):
    store_documents(workspace, [EARLY] * 30 + [LATE] * 30, [0] * 60)
    inventory = workspace.library.stored_inventory
    copy = DocumentEntry("copy", "copy.txt", "txt", 1, 2**61, 1, "doc 3")
    both = DocumentInventory((*inventory.entries, copy))
    workspace.table("document_files").write(table_slice(both.to_table(), both.digest))
    workspace.library.snapshots.tombstones.add(["doc 31"])
    found = row(workspace, "documents")
    assert (found["reference"], found["window"]) == (30, 29)


def test_one_document_is_too_few_to_judge(workspace):
    store_documents(workspace, [EARLY] * 30 + [LATE], [0] * 31)
    found = row(workspace, "documents")
    assert found["verdict"] == "not judged"
    assert "30 before and 1 now" in found["reason"]


def ask(workspace, day, found, fingerprint="one", score=0.8):
    at = datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()
    log = QueryLog(workspace.table(QUERIES), clock=lambda: at)
    scores = np.broadcast_to(score, len(found)) - np.arange(len(found)) / 1000
    for vector, own in zip(found, scores.tolist(), strict=True):
        log.note(Asked("hybrid", 3, own, "m v1", fingerprint, "i", vector))
    log.flush()


def test_queries_and_their_scores_drift(workspace):
    ask(workspace, EARLY, vectors(60, 0))
    ask(workspace, LATE, vectors(60, 3), score=0.3)
    found = rows(workspace, "queries")
    assert found["vectors"]["verdict"] == "drift"
    assert "experiment create" in found["vectors"]["proposal"]
    scores = found["top score, hybrid"]
    assert scores["verdict"] == "drift"
    assert scores["now"] < 0.4 < scores["before"]
    assert found["top score, keyword"]["reason"] == "no data in the window"


def test_queries_that_are_seldom_asked_are_no_drift(workspace):
    scores = np.where(np.arange(1_040) < 140, 0.9, 0.4)
    for number in range(63):
        some = of_a_day(number)
        ask(workspace, LAST - timedelta(days=number), LIKED[some], score=scores[some])
    found = rows(workspace, "queries")
    for measure in ("vectors", "top score, hybrid"):
        assert (found[measure]["verdict"], found[measure]["window"]) == ("stable", 126)
        assert 90 < found[measure]["reference"] < 160


def test_queries_of_another_model_are_not_compared(workspace):
    ask(workspace, EARLY, vectors(60, 0), fingerprint="other")
    ask(workspace, LATE, vectors(60, 3))
    found = rows(workspace, "queries")["vectors"]
    assert found["reason"].startswith("another model")
    assert "60 before and 0 now" in found["reason"]
    assert found["proposal"] is None  # nobody asks them anew


def test_queries_that_come_again_are_no_evidence(workspace):
    """The same few queries each day: as many units as queries, each on both sides."""
    found = vectors(30, 0)
    for day in range(20):
        ask(workspace, EARLY + timedelta(days=day), found)
    for day in range(7):
        ask(workspace, LAST - timedelta(days=day), found)
    both = rows(workspace, "queries")
    for measure in ("vectors", "top score, hybrid"):
        assert (both[measure]["reference"], both[measure]["window"]) == (30, 30)
        assert both[measure]["p_value"] == 1.0


def test_queries_by_vector_are_not_crowded_out_by_words_alone(workspace):
    log = QueryLog(workspace.table(QUERIES), clock=lambda: 1_774_958_400.0, most_per_day=5_000)
    for number in range(4_000):
        log.note(Asked("keyword", 3, 0.5, "m v1", "one", "i", None, f"query {number}"))
    log.flush()
    ask(workspace, EARLY, vectors(60, 0))
    ask(workspace, LAST, vectors(60, 3))
    assert rows(workspace, "queries")["vectors"]["window"] == 60


def store_apps(workspace, found, digest):
    ids = [f"app {n}" for n in range(len(found))]
    columns = {"app_id": ids, "vector": [*found], "meta": [None] * len(ids)}
    table = pa.table(columns | {"version": ["v1"] * len(ids)}).cast(APP_VECTOR_SCHEMA)
    workspace.table("app_vectors").write(table_slice(table, digest, "v1"))


TODAY = datetime.now(UTC).date()


def night(workspace):
    for part in Watch(workspace, TODAY).slices():
        part.batches()
    return rows(workspace, "apps", TODAY)["vectors, v1"]


def test_apps_that_came_since_are_compared_with_those_before(workspace):
    first = vectors(60, 0)
    store_apps(workspace, first, "a")
    assert night(workspace)["reason"] == "no data in the window"
    store_apps(workspace, np.concatenate([first, vectors(40, 1)]), "b")
    found = night(workspace)
    assert (found["verdict"], found["reference"], found["window"]) == ("drift", 60, 40)
    assert rows(workspace, "apps", TODAY)["vectors, v1"] == found
    store_apps(workspace, vectors(100, 2), "c")  # all replaced: another model made them
    assert night(workspace)["reason"] == "no data in the window"


def test_a_measurement_by_hand_does_not_make_apps_known(workspace):
    store_apps(workspace, vectors(60, 0), "a")
    Watch(workspace).rows()
    assert workspace.table(SIGHTINGS).footer("v1") is None


def test_groups_are_told_by_the_level_of_the_settings(workspace, monkeypatch):
    levels = []

    def measured(*_, level, **__):
        levels.append(level)
        return Drift(None, None, (), 0, 0)

    monkeypatch.setattr("embedding_assets.quality.drift_sources.measure_drift", measured)
    drift = workspace.settings.drift.model_copy(update={"level": 0.2})
    workspace.settings = workspace.settings.model_copy(update={"drift": drift})
    workspace.table(QUERIES).folder.mkdir(parents=True)
    store_apps(workspace, vectors(60, 0), "a")
    Watch(workspace, LAST).rows()
    assert levels == [0.2] * 4


def test_windows_are_kept_and_judged_once_while_nothing_changes(workspace):
    store_documents(workspace, [EARLY] * 60 + [LATE] * 40, [0] * 100)
    table = workspace.table("embedding_drift")

    def write(last):
        return [table.write(part).replaced for part in Watch(workspace, last).slices()]

    assert write(LAST) == [True] * len(DOMAINS)
    assert write(LAST) == [False] * len(DOMAINS)
    write(LAST + timedelta(days=1))
    assert [each["window_end"] for each in history(table, "documents")] == [
        LAST, LAST + timedelta(days=1),
    ]  # fmt: skip
    assert {each["window_end"] for each in newest(table)} == {LAST + timedelta(days=1)}


def test_a_forgotten_document_is_in_no_row(workspace):
    store_documents(workspace, [EARLY] * 60 + [LATE] * 40, [0] * 60 + [2] * 40)
    table = workspace.table("embedding_drift")
    for part in Watch(workspace, LAST).slices():
        table.write(part)
    [found] = history(table, "documents")
    named = found["groups"][0]["units"][0]
    assert without_unit(table, "documents", named) == 1
    assert history(table, "documents")[0]["groups"] == []
    assert history(table, "documents")[0]["verdict"] == "drift"


def test_a_drift_can_be_called_one_whatever_the_settings():
    for level, days in ((0.05, 1), (0.05, 31), (0.01, 31)):
        smallest = 1 / (exchanges(level, days) + 1)
        assert verdict(smallest, level, days) == "drift"
    assert [verdict(p, 0.05, 7) for p in (0.05, 0.06, None)] == ["watch", "stable", "not judged"]
