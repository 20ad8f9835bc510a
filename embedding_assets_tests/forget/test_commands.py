import json

import dagster as dg
import pytest

from embedding_assets_tests.forget.pauses import Drawn
from embedding_assets_tests.forget.traces import traces
from embedding_assets_tests.integration.doors import EMBEDDING_ASSETS
from embedding_assets_tests.integration.faults import Killed, until
from embedding_assets_tests.integration.workplace import (
    assert_named_failure,
    leftovers,
    record,
    write_records,
)

FIRST, LAST = "2026-03-01", "2026-03-03"
WORDS = ("zelda", "Quiche", "Xanthippe")
OTHERS = [record(f"account-{n}", f"Dish {n % 3}", f"2026-03-0{1 + n % 3}") for n in range(6)]
ZELDA = [
    record("zelda", "Quiche", "2026-03-01", "Xanthippe"),
    record(" zelda", "Dish 1", "2026-03-02"),
    record("zelda", "Quiche", "2026-03-02", "Xanthippe"),
    record("zelda", "", "2026-03-02", "Xanthippe"),
    record("zelda", "Quiche", "never", "Xanthippe"),
    record("zelda", "Dish 2", "2026-03-03"),
    record("other", "Dish 2", "never"),
]


@pytest.fixture(scope="module")
def sampled(registered, tmp_path_factory):
    place = registered.copy(tmp_path_factory.mktemp("sampled") / "place")
    write_records(place.source / "all.parquet", [*OTHERS, *ZELDA])
    return place


@pytest.fixture(scope="module")
def finished(sampled, tmp_path_factory):
    place = sampled.copy(tmp_path_factory.mktemp("finished") / "place")
    assert place.materialize(FIRST, LAST).code == 0
    return place


def due(place):
    done = place.run(EMBEDDING_ASSETS, "plan", "--json")
    assert done.code == 0, done
    return {
        each["asset"]: each["missing"] + each["stale"]
        for each in json.loads(done.out)["assets"]
        if each["missing"] + each["stale"] and not each["asset"].startswith("doc")
    }


def stamps(place):
    files = sorted((place.data_dir / "assets").rglob("*.parquet"))
    return [(path, path.stat().st_ino, path.stat().st_mtime_ns) for path in files]


def forget(place, *arguments, **options):
    return place.run(EMBEDDING_ASSETS, "forget", *arguments, **options)


@pytest.mark.parametrize(
    "fault",
    [
        Killed("embedding_assets.search.snapshots:Tombstones.add", after=True),
        Killed("embedding_assets.storage.tables:DuckTables.rewrite", "similar_items"),
        Killed("os:replace", "assets/account_texts/"),
        Killed("os:replace", "assets/raw_records/2026-03-02", after=True),
        Killed("os:replace", r"tables\.duckdb"),
    ],
    ids=str,
)
def test_an_account_whose_forgetting_was_killed_is_forgotten_by_the_same_command(
    finished, tmp_path, fault
):
    place = finished.copy(tmp_path / "place")
    assert forget(place, "--account", "zelda", prepare=fault).code == -9
    done = forget(place, "--account", "zelda")
    assert done.code == 0, done
    assert traces(place.data_dir, *WORDS) == []
    assert leftovers(place.data_dir) == []
    assert due(place) == {}


def test_after_a_forgotten_account_every_run_and_check_passes(finished, tmp_path):
    place = finished.copy(tmp_path / "place")
    done = forget(place, "--account", "zelda", "--json")
    assert done.code == 0, done
    receipt = json.loads(done.out)
    assert (receipt["kind"], receipt["id"]) == ("account", "zelda")
    assert {"place": "raw_records", "what": "rows removed", "count": 5} in receipt["steps"]
    before = stamps(place)
    again = place.materialize(FIRST, LAST)
    assert again.code == 0, again
    assert stamps(place) == before
    write_records(place.source / "late.parquet", [record("zelda", "Quiche", "2026-03-03")])
    again = place.materialize(FIRST, LAST)
    assert again.code == 0, again
    assert traces(place.folder / "dagster", "Xanthippe", "Quiche") == []
    assert traces(place.data_dir, *WORDS) == []
    assert due(place) == {}


def test_a_run_at_work_does_not_bring_the_account_back(sampled, tmp_path):
    place = sampled.copy(tmp_path / "place")
    drawn, go_on = tmp_path / "drawn", tmp_path / "go_on"
    pause = Drawn("account_embeddings 2026-03-02", drawn, go_on)
    run = place.start_days(FIRST, LAST, prepare=pause)
    until(drawn.exists)
    assert forget(place, "--account", "zelda").code == 0
    go_on.touch()
    done = run.wait()
    assert done.code == 0, done
    assert traces(place.data_dir, *WORDS) == []
    again = place.materialize(FIRST, LAST)
    assert again.code == 0, again
    assert due(place) == {}


def test_a_run_at_work_does_not_bring_the_document_back(registered, tmp_path, monkeypatch):
    place = registered.copy(tmp_path / "place")
    for name, text in {"open": "Nothing to hide.", "secret": "A quagga."}.items():
        (place.documents / f"{name}.json").write_text(json.dumps({"body": [text]}))
    drawn, go_on = tmp_path / "drawn", tmp_path / "go_on"
    pause = Drawn("doc_chunks secret", drawn, go_on)
    run = place.start(EMBEDDING_ASSETS, "documents", "sync", prepare=pause)
    until(drawn.exists)
    assert forget(place, "--document", "secret.json").code == 0
    go_on.touch()
    done = run.wait()
    assert done.code == 0, done
    assert traces(place.data_dir, "quagga") == []
    monkeypatch.setenv("DAGSTER_HOME", place.environment["DAGSTER_HOME"])
    with dg.DagsterInstance.get() as instance:
        assert instance.has_dynamic_partition("doc_id", "secret.json")
        assert place.run(EMBEDDING_ASSETS, "documents", "sync").code == 0
        assert not instance.has_dynamic_partition("doc_id", "secret.json")
    found = place.run(EMBEDDING_ASSETS, "search", "hide", "--mode", "keyword", "--json")
    assert [hit["doc_id"] for hit in json.loads(found.out)] == ["open.json"]


def test_an_unknown_id_is_a_failure_with_a_name(finished):
    assert_named_failure(forget(finished, "--account", "nobody"), "No account 'nobody' is known")
    assert_named_failure(forget(finished, "--document", "no"), "No document 'no' is known")


@pytest.mark.parametrize("arguments", [(), ("--account", "a", "--document", "b")])
def test_one_of_document_and_account_is_asked_for(finished, arguments):
    done = forget(finished, *arguments)
    assert done.code == 2
    assert "either --document or --account" in done.err
