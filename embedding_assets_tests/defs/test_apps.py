import csv
import os
import pickle

import dagster as dg
import numpy as np
import pytest

from embedding_assets.apps.metadata import AppQuery
from embedding_assets.definitions import defs
from embedding_assets.defs.app_automation import (
    app_files_changed,
    apps_job,
    backfill_apps,
    daily_apps,
)
from embedding_assets.defs.resources import WorkspaceResource, configured_workspace
from embedding_assets.errors import InputNotFoundError

IDS = [f"APP_{n}" for n in range(48)]
KINDS = ("Games", "Tools", "Music")
PARQUET = ("app_catalogue", "app_vectors", "app_performance", "performance_model",
           "quarantined_app_rows")  # fmt: skip


def write_csv(path, head, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([head, *rows])


def write_apps(folder):
    """Three kinds of apps: their vectors lie apart, and one kind is clicked far more often."""
    folder.mkdir(exist_ok=True)
    chance = np.random.default_rng(0)
    kinds = [n % 3 for n in range(len(IDS))]
    catalogue = [
        (app_id, f"{KINDS[kind]} number{n}", KINDS[kind], ("ios", "android")[n % 2])
        for n, (app_id, kind) in enumerate(zip(IDS, kinds, strict=True))
    ]
    head = ("app_id", "app_name", "super_category", "app_platform")
    write_csv(folder / "sample_apps.csv", head, [*catalogue, catalogue[0]])
    for version, dimension in (("v1", 4), ("v2", 6)):
        vectors = np.eye(dimension)[kinds] + 0.1 * chance.normal(size=(len(IDS), dimension))
        rows = dict(zip(IDS, vectors.astype(np.float32), strict=True))
        (folder / f"mock_embeddings_{version}.pkl").write_bytes(pickle.dumps(rows))
    write_performance(folder, kinds)
    return folder


def write_performance(folder, kinds, rows=()):
    shown = [(app_id, (10, 20, 200)[kind], 1_000) for app_id, kind in zip(IDS, kinds, strict=True)]
    path = folder / "historical_performance.csv"
    write_csv(path, ("app_id", "clicks", "impressions"), [*shown, *rows])


JOB = dg.Definitions(
    assets=defs.assets, asset_checks=defs.asset_checks, jobs=[apps_job], resources=defs.resources
).resolve_job_def("apps")


def run(instance, first="v1", last="v2"):
    tags = {
        "dagster/asset_partition_range_start": first,
        "dagster/asset_partition_range_end": last,
    }
    return JOB.execute_in_process(instance=instance, tags=tags)


def enter(place, monkeypatch):
    """Let this process read the settings of a workplace."""
    for name, value in place.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("EMBEDDING_ASSETS_APPS__SOURCE", str(place.folder / "apps"))
    return place


@pytest.fixture(scope="module")
def first_run(registered, tmp_path_factory):
    """A workplace after one run over all apps, and what that run said."""
    place = registered.copy(tmp_path_factory.mktemp("apps") / "place")
    write_apps(place.folder / "apps")
    with pytest.MonkeyPatch.context() as patch, dg.instance_for_test() as instance:
        enter(place, patch)
        return place, run(instance)


@pytest.fixture
def place(first_run, tmp_path, monkeypatch):
    return enter(first_run[0].copy(tmp_path / "place"), monkeypatch)


@pytest.fixture
def bare(inside, monkeypatch):
    """A workplace with files of which nothing is made."""
    write_apps(inside.folder / "apps")
    return enter(inside, monkeypatch)


@pytest.fixture
def source(place):
    return place.folder / "apps"


def look(instance, cursor=None):
    context = dg.build_sensor_context(
        instance=instance, cursor=cursor, resources={"workspace": WorkspaceResource()}
    )
    return app_files_changed(context)


def backfill(instance):
    context = dg.build_schedule_context(
        instance=instance, resources={"workspace": WorkspaceResource()}
    )
    return backfill_apps(context)


def nightly(instance):
    context = dg.build_schedule_context(
        instance=instance, resources={"workspace": WorkspaceResource()}
    )
    return daily_apps(context)


def checks(done):
    return {
        each.check_name: (each.passed, each.metadata) for each in done.get_asset_check_evaluations()
    }


def stamps(place):
    folder = place.data_dir / "assets"
    return {
        str(path.relative_to(folder)): path.stat().st_mtime_ns
        for asset in PARQUET
        for path in (folder / asset).glob("*.parquet")
    }


def similar(app_id, version):
    found = configured_workspace().catalogue.service.find_similar(app_id, version, 15)
    return {each.category for each in found.results}


def test_four_files_become_an_index_that_answers_for_both_versions(first_run, place):
    done = first_run[1]
    assert done.success
    assert {name for name, (passed, _) in checks(done).items() if not passed} == set()
    assert len(checks(done)) == 8
    assert place.warehouse("SELECT count(*) FROM app_catalogue") == [(48,)]
    query = "SELECT version, count(*) FROM app_vectors GROUP BY 1 ORDER BY 1"
    assert place.warehouse(query) == [("v1", 48), ("v2", 48)]
    for version in ("v1", "v2"):
        assert similar("APP_1", version) == {"Tools"}
    service = configured_workspace().catalogue.service
    assert service.predict("APP_2").rate > 3 * service.predict("APP_0").rate
    new = service.find_similar(app=AppQuery("Music number7", "Music", "ios"), k=5)
    assert {each.category for each in new.results} == {"Music"}


def test_a_second_run_computes_and_publishes_nothing(place, instance):
    before, served = stamps(place), configured_workspace().catalogue.served()
    done = run(instance)
    assert stamps(place) == before
    assert configured_workspace().catalogue.served() == served
    [event] = done.asset_materializations_for_node("app_index")
    assert event.metadata["unchanged"].value is True


def test_outcomes_that_arrive_fit_the_models_anew_and_nothing_else(place, source, instance):
    before, was = stamps(place), look(instance).cursor
    expected = configured_workspace().catalogue.service.predict("APP_0").rate
    rows = [(app_id, 900, 1_000) for app_id in IDS[::3]]
    write_csv(source / "outcomes" / "november.csv", ("app_id", "clicks", "impressions"), rows)
    found = look(instance, was)
    assert len(found.run_requests) == 1
    assert run(instance).success
    changed = {name.split("/")[0] for name, at in stamps(place).items() if before.get(name) != at}
    assert changed == {"app_performance", "performance_model", "quarantined_app_rows"}
    assert configured_workspace().catalogue.service.predict("APP_0").rate > 5 * expected
    assert isinstance(look(instance, found.cursor), dg.SkipReason)
    assert isinstance(backfill(instance), dg.SkipReason)


def test_the_sensor_asks_for_one_run_over_all_versions(bare, instance):
    found = look(instance)
    [request] = found.run_requests
    assert request.tags["dagster/asset_partition_range_start"] == "v1"
    assert request.tags["dagster/asset_partition_range_end"] == "v2"
    assert isinstance(look(instance, found.cursor), dg.SkipReason)
    assert backfill(instance).tags == request.tags


def test_a_request_has_no_run_key_as_dagster_launches_one_only_once(bare, instance):
    assert [request.run_key for request in look(instance).run_requests] == [None]


def test_each_night_one_run_finds_everything_as_it_should_be(place, source, instance):
    assert nightly(instance).tags == {
        "dagster/asset_partition_range_start": "v1", "dagster/asset_partition_range_end": "v2",
    }  # fmt: skip
    (source / "mock_embeddings_v2.pkl").unlink()
    assert isinstance(nightly(instance), dg.SkipReason)


def test_files_that_hold_the_same_ask_for_nothing(place, source, instance):
    was = look(instance).cursor
    path = source / "sample_apps.csv"
    os.utime(path, ns=(1, 1))
    found = look(instance, was)
    assert not found.run_requests and "hold the same" in found.skip_reason.skip_message
    assert found.cursor != was


def test_the_sensor_waits_while_a_file_is_missing(place, source, instance):
    (source / "mock_embeddings_v2.pkl").unlink()
    assert "mock_embeddings_v2.pkl" in look(instance).skip_message
    assert "mock_embeddings_v2.pkl" in backfill(instance).skip_message


def test_a_missing_file_is_named(place, source, instance):
    (source / "historical_performance.csv").unlink()
    with pytest.raises(InputNotFoundError, match=r"historical_performance\.csv does not exist"):
        run(instance)


def test_a_damaged_file_keeps_what_was_last_read_of_it_and_the_others_go_on(
    place, source, instance
):
    (source / "mock_embeddings_v2.pkl").write_bytes(b"\x80\x04torn")
    path = source / "mock_embeddings_v1.pkl"
    rows = pickle.loads(path.read_bytes())
    path.write_bytes(pickle.dumps({**rows, "APP_0": rows["APP_1"]}))
    done = run(instance)
    assert done.success
    passed, metadata = checks(done)["app_files_readable"]
    assert not passed and list(metadata["files"].value) == ["mock_embeddings_v2.pkl"]
    assert similar("APP_0", "v1") == {"Tools"}
    assert similar("APP_0", "v2") == {"Games"}


def test_a_damaged_file_of_which_nothing_was_read_yet_leaves_the_other_versions(bare, instance):
    (bare.folder / "apps" / "mock_embeddings_v2.pkl").write_bytes(b"\x80\x04torn")
    assert run(instance).success
    assert list(configured_workspace().catalogue.served().versions) == ["v1"]


def test_outcomes_without_a_usable_row_change_nothing(place, source, instance):
    expected = configured_workspace().catalogue.service.predict("APP_0").rate
    write_csv(source / "outcomes" / "empty.csv", ("app_id", "clicks", "impressions"), [])
    assert run(instance).success
    assert configured_workspace().catalogue.service.predict("APP_0").rate == expected


def test_rows_that_cannot_be_used_are_quarantined_and_missing_vectors_warned_of(
    place, source, instance
):
    write_performance(source, [n % 3 for n in range(48)], [("APP_0", "many", 5), ("APP_1", -1, 5)])
    path = source / "mock_embeddings_v2.pkl"
    rows = pickle.loads(path.read_bytes())
    path.write_bytes(pickle.dumps({k: v for k, v in rows.items() if k != "APP_0"}))
    done = run(instance)
    assert done.success
    assert place.warehouse("SELECT file, app_id FROM quarantined_app_rows ORDER BY line") == [
        ("historical_performance.csv", "APP_0"),
        ("historical_performance.csv", "APP_1"),
    ]
    passed, metadata = checks(done)["app_vectors_cover_catalogue"]
    assert (passed, metadata["missing"].value) == (False, {"v1": 0, "v2": 1})


def test_a_model_is_logged_with_its_figures(place):
    registry = configured_workspace().registry
    experiment = [registry.experiment_id]
    found = registry.client.search_runs(experiment, "tags.asset = 'performance_model'")
    assert sorted(each.data.params["version"] for each in found) == ["v1", "v2"]
    assert all(each.data.metrics["apps"] == 48 for each in found)
    assert {each.info.status for each in found} == {"FINISHED"}
