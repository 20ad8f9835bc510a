"""The same steps as assets, jobs and a sensor, over a folder of two models."""

from dataclasses import replace

import dagster as dg
import pytest

from embedding_assets.defs.io_managers import DuckDBIOManager, ParquetIOManager
from embedding_assets.defs.maintenance import vector_store
from embedding_assets.defs.model_automation import challenger_alias_moved, roll_back_model
from embedding_assets.defs.models import challenger, champion, gates_open, model_gates
from embedding_assets.defs.resources import WorkspaceResource
from embedding_assets.errors import RegistryError
from embedding_assets.registry import Registry, TrainedModel
from embedding_assets.release.gate_table import GATES
from embedding_assets.release.stage import drop_challenger, stage, take_seat
from embedding_assets.search.query_log import QUERY_SCHEMA
from embedding_assets.storage.slices import Slice, table_slice

RESOURCES = {
    "workspace": WorkspaceResource(),
    "parquet": ParquetIOManager(),
    "duckdb": DuckDBIOManager(),
}
LENIENT = {"MARGIN": "1", "OVERLAP": "0", "DUPLICATES": "1"}


@pytest.fixture
def configured(place, monkeypatch):
    """The folder as the settings of this process name it."""
    variables = {
        "DATA_DIR": place.folder / "store",
        "DOCUMENTS__SOURCE": place.folder / "documents",
        "RECORDS__SOURCE": place.folder / "records",
        "RECORDS__START_DATE": "2026-02-20",
        "APPS__SOURCE": place.folder / "apps",
        "MODEL__NAME": place.first,
    }
    for name, value in variables.items():
        monkeypatch.setenv(f"EMBEDDING_ASSETS_{name}", str(value))
    return place


def release(place, *assets, **kwargs):
    config = {"ops": {"challenger": {"config": {"model": str(place.second)}}}}
    return dg.materialize(
        [*(assets or (challenger, model_gates, champion)), gates_open],
        resources=RESOURCES,
        run_config=config,
        raise_on_error=False,
        **kwargs,
    )


def opened():
    return WorkspaceResource().open()


def checks_of(result):
    found = result.get_asset_check_evaluations()
    return {each.check_name.removeprefix("model_gates_"): each.passed for each in found}


def test_one_run_stages_judges_and_promotes_where_every_gate_lets_it(configured, monkeypatch):
    for name, value in LENIENT.items():
        monkeypatch.setenv(f"EMBEDDING_ASSETS_RELEASE__{name}", value)
    first = opened()
    result = release(configured)
    assert result.success
    assert checks_of(result) == dict.fromkeys(GATES, True)
    assert opened().fingerprint != first.fingerprint
    [shown] = result.asset_materializations_for_node("challenger")
    assert shown.metadata["computed"].value > 0
    assert roll_back_model.execute_in_process(resources=RESOURCES).success
    assert opened().fingerprint == first.fingerprint


def test_a_closed_gate_stops_the_run_before_the_champion_and_tells_why(configured, monkeypatch):
    monkeypatch.setenv("EMBEDDING_ASSETS_RELEASE__OVERLAP", "1")
    first = opened()
    result = release(configured)
    assert not result.success
    checks = checks_of(result)
    assert not checks["neighbour_overlap"] and checks["norms"]
    assert result.asset_materializations_for_node("champion") == []
    assert opened().fingerprint == first.fingerprint


def test_a_run_keeps_the_model_that_it_began_with(configured):
    first = opened()
    tried = take_seat(first, str(configured.second))
    stage(first, tried)
    seen = []

    @dg.asset
    def writes(context: dg.AssetExecutionContext, workspace: WorkspaceResource) -> None:
        seen.append(workspace.open().seat)
        with first.seats_file.locked():
            first.seats_file.write(first.seats.promoted())
        seen.append(workspace.open().seat)

    assert dg.materialize([writes], resources=RESOURCES).success
    assert seen[0] == seen[1]
    assert opened().seat == tried.seat


def test_a_run_that_began_before_a_promotion_publishes_what_serves_at_its_end(configured):
    first = opened()
    tried = take_seat(first, str(configured.second))
    stage(first, tried)

    @dg.asset(io_manager_key="parquet")
    def search_queries(workspace: WorkspaceResource) -> Slice:
        with first.seats_file.locked():
            first.seats_file.write(first.seats.promoted())
        return table_slice(QUERY_SCHEMA.empty_table(), "none")

    assert dg.materialize([search_queries], resources=RESOURCES).success
    shown = opened().warehouse.read("doc_vectors")["fingerprint"].to_pylist()
    assert {*shown} == {tried.fingerprint}


def look(cursor=None):
    return watch(cursor)[0]


def watch(cursor=None):
    """What the sensor does, and what it remembers."""
    with dg.DagsterInstance.ephemeral() as instance:
        context = dg.build_sensor_context(
            instance, cursor=cursor, resources={"workspace": WorkspaceResource()}
        )
        return challenger_alias_moved(context), context.cursor


def call(registry, alias, version):
    """What a person does in MLflow."""
    registry.client.set_registered_model_alias(version.name, alias, version.version)


@pytest.fixture
def dropped(configured):
    """A version that was tried, and is no more."""
    first = opened()
    version = stage(first, take_seat(first, str(configured.second))).version
    drop_challenger(first)
    return first, version


def test_a_version_that_is_called_challenger_in_the_registry_is_staged_once(configured):
    assert "put back" in look().skip_message, "nobody was called champion yet"
    assert "No other version" in look().skip_message
    first = opened()
    tried = take_seat(first, str(configured.second))
    version = stage(first, tried).version
    assert "No other version" in look().skip_message
    drop_challenger(first)
    call(first.registry, "challenger", version)
    request, seen = watch()
    assert request.run_config["ops"]["challenger"]["config"]["model"] == version.source
    assert request.run_key == look(seen).run_key
    take_seat(first, version.source)
    assert isinstance(look(), dg.SkipReason)


def test_a_version_that_is_called_challenger_once_more_is_staged_once_more(dropped):
    first, version = dropped
    call(first.registry, "challenger", version)
    once, seen = watch()
    first.registry.client.delete_registered_model_alias(version.name, "challenger")
    _, seen = watch(seen)
    call(first.registry, "challenger", version)
    assert look(seen).run_key != once.run_key


def test_an_alias_that_was_left_behind_is_no_wish(dropped):
    first, version = dropped
    call(first.registry, "challenger", version)
    with first.seats_file.locked():  # as it is when the registry was away meanwhile
        first.seats_file.write(replace(first.seats, aliased=False))
    assert "put back" in look().skip_message
    assert first.registry.aliased("challenger") == []


def test_the_alias_stays_with_the_version_whose_wish_is_under_way(dropped):
    first, version = dropped
    call(first.registry, "challenger", version)
    take_seat(first, version.source)
    assert first.registry.aliased("challenger") == [version]


def test_a_champion_that_is_called_challenger_is_not_staged(configured):
    first = opened()
    call(first.registry, "challenger", first.model_version)
    assert "put back" in look().skip_message
    assert first.registry.aliased("challenger") == []


def test_no_wish_is_granted_while_a_model_is_computed(dropped):
    first, version = dropped
    call(first.registry, "challenger", version)
    with first.seats_file.working():
        assert "being staged" in look().skip_message
    assert isinstance(look(), dg.RunRequest)


def test_models_of_others_in_the_same_registry_keep_their_aliases(dropped):
    first, _ = dropped
    theirs = first.registry.ensure_trained(
        TrainedModel("theirs", "t1", {}, {}, {"model/weights.bin": b"0"})
    )
    for alias in ("champion", "challenger"):
        call(first.registry, alias, theirs)
    assert "No other version" in look().skip_message
    client = first.registry.client
    assert client.get_registered_model("theirs").aliases.keys() == {"champion", "challenger"}


def test_aliases_that_were_moved_by_hand_are_put_back(configured):
    first = opened()
    tried = take_seat(first, str(configured.second))
    version = stage(first, tried).version
    call(first.registry, "champion", version)
    assert "put back" in look().skip_message
    assert first.registry.aliased("champion") == [first.model_version]


def test_the_alias_champion_is_put_back_where_nothing_is_tried(dropped):
    first, version = dropped
    call(first.registry, "champion", version)
    assert "put back" in look().skip_message
    assert first.registry.aliased("champion") == [first.model_version]


def test_the_sensor_says_that_the_registry_is_away(configured, monkeypatch):
    def away(self, alias):
        raise RegistryError("The model registry is gone.", "Start it.")

    monkeypatch.setattr(Registry, "aliased", away)
    assert look().skip_message == "The model registry is gone."


def test_the_nightly_upkeep_removes_models_that_left(configured, monkeypatch):
    first = opened()
    tried = take_seat(first, str(configured.second))
    stage(first, tried)
    drop_challenger(first)
    assert tried.seat_dir.exists()
    result = dg.materialize([vector_store], resources=RESOURCES)
    assert result.success and not tried.seat_dir.exists()
    assert opened().seats.retired == ()
