import json
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from embedding_assets.asset_tables import MODEL_ASSETS
from embedding_assets.cli.models import app as cli
from embedding_assets.errors import (
    InputError,
    ModelChangedError,
    NotFoundError,
    RegistryError,
    StoreLockedError,
)
from embedding_assets.experiments.controller import ABTestController
from embedding_assets.experiments.plan import UnknownExperimentError, plan_of
from embedding_assets.registry import Registry, TrainedModel
from embedding_assets.release.promote import roll_back
from embedding_assets.release.stage import catch_up, drop_challenger, stage, take_seat
from embedding_assets.release.work import Done, Price, prices
from embedding_assets.workspace import Workspace
from embedding_assets_tests.release.two_models import TOPICS, read_documents, write_documents

PARQUET = [name for name in MODEL_ASSETS if not name.startswith(("similar", "doc_c"))]


def staged(place, **more):
    opened = place.open()
    tried = take_seat(opened, str(place.second), **more)
    return opened, tried, stage(opened, tried)


def bytes_of(workspace):
    files = sorted((workspace.data_dir / "assets").rglob("*.parquet"))
    return {path.relative_to(workspace.data_dir): path.read_bytes() for path in files}


def test_a_model_is_computed_beside_the_one_that_serves_and_touches_nothing_of_it(place):
    before = bytes_of(place.open())
    index = place.open().library.served_version()
    opened, tried, done = staged(place)
    assert bytes_of(opened) == before and opened.library.served_version() == index
    for name in ("doc_vectors", "account_embeddings", "item_embeddings"):
        assert tried.rows(name) == opened.rows(name) > 0
    assert tried.library.served_version() not in (None, index)
    assert len(tried.table_rows("similar_accounts")) == len(opened.table_rows("similar_accounts"))
    assert {each.part for each in done.done} == {"documents", "accounts", "items"}
    assert done.computed == done.done[0].costs["computed"] + sum(
        each.costs["computed"] for each in done.done[1:]
    )
    assert place.open() is not None and place.open().seat.folder == ""


def test_the_price_is_told_before_the_cheapest_first_and_nothing_is_left_to_pay_after(place):
    opened = place.open()
    tried = take_seat(opened, str(place.second))
    told = []
    stage(opened, tried, tell=told.append)
    price = [each for each in told if isinstance(each, Price)]
    assert [each.seconds for each in price] == sorted(each.seconds for each in price)
    assert all(each.texts and each.tokens and each.seconds for each in price)
    assert [each.part for each in told if isinstance(each, Done)] == [each.part for each in price]
    assert {(each.texts, each.seconds) for each in prices(opened, tried)} == {(0, 0.0)}


def test_staging_again_computes_only_what_has_come_since(place):
    opened, tried, first = staged(place)
    assert first.computed > 0
    assert stage(opened, tried).computed == 0
    write_documents(place, {"tea": "Steep the leaves for four minutes and pour the tea at once."})
    read_documents(opened)
    again = stage(opened, tried)
    assert again.computed == 1
    assert "tea.json" in tried.table("doc_vectors").keys()


def test_staging_that_was_broken_off_goes_on_where_it_was(place, monkeypatch):
    opened = place.open()
    tried = take_seat(opened, str(place.second))
    real, calls = type(tried.vectors).encode, []

    def breaking(self, texts, encoder, on_progress=None):
        if calls:
            raise KeyboardInterrupt
        calls.append(len(texts))
        return real(self, texts, encoder, on_progress)

    with monkeypatch.context() as patch:
        patch.setattr(type(tried.vectors), "encode", breaking)
        with pytest.raises(KeyboardInterrupt):
            stage(opened, tried)
    assert opened.seats.challenger.staged is None
    stored = len(tried.vectors)
    assert stored > 0
    done = stage(opened, tried)
    assert done.computed == len(tried.vectors) - stored
    assert opened.seats.challenger.staged


def test_one_challenger_is_computed_at_a_time(place):
    opened = place.open()
    tried = take_seat(opened, str(place.second))
    with opened.seats_file.working(), pytest.raises(StoreLockedError):
        stage(opened, tried)


def called(monkeypatch, fingerprint, then=lambda: None):
    """Whichever model is asked for has that fingerprint; something happens while it is measured."""

    def of(self, model, precision):
        then()
        return fingerprint

    monkeypatch.setattr(Workspace, "fingerprint_of", of)


def promoted(opened):
    with opened.seats_file.locked():
        opened.seats_file.write(opened.seats.promoted())


def test_a_promotion_while_a_model_is_fetched_stays(place, monkeypatch):
    opened, tried, _ = staged(place)
    called(monkeypatch, "another", lambda: promoted(opened))
    take_seat(opened, str(place.first))
    assert opened.seats.champion == tried.seat
    assert opened.seats.challenger.seat.fingerprint == "another"
    assert [left.seat.model for left in opened.seats.earlier] == [str(place.first)]


def test_a_rollback_while_a_model_is_fetched_stays(place, monkeypatch):
    opened, tried, _ = staged(place)
    promoted(opened)
    called(monkeypatch, "another", lambda: roll_back(place.open()))
    take_seat(place.open(), "another")
    assert place.open().fingerprint == opened.fingerprint


def test_a_model_that_begins_to_serve_while_it_is_fetched_is_not_tried(place, monkeypatch):
    opened, tried, _ = staged(place)
    called(monkeypatch, tried.fingerprint, lambda: promoted(opened))
    with pytest.raises(InputError, match="serves already"):
        take_seat(opened, str(place.second))
    assert opened.seats.champion == tried.seat


def test_nobody_takes_the_place_of_a_model_that_is_computed(place, monkeypatch):
    opened, tried, _ = staged(place)
    called(monkeypatch, "another")
    with opened.seats_file.working():
        with pytest.raises(StoreLockedError):
            take_seat(opened, "another")
        with pytest.raises(StoreLockedError):
            drop_challenger(opened)
    assert opened.seats.challenger.seat == tried.seat


def test_a_model_that_is_no_longer_the_challenger_is_not_called_staged(place, monkeypatch):
    opened, tried, _ = staged(place)
    with monkeypatch.context() as patch:
        called(patch, "another")
        other = take_seat(opened, "another").seat
    with pytest.raises(NotFoundError, match="no longer the challenger: another is"):
        stage(opened, tried)
    with pytest.raises(NotFoundError, match="no longer the challenger"):
        catch_up(opened, tried)
    assert opened.seats.challenger.seat == other


def test_asking_for_the_price_changes_nothing(place, monkeypatch):
    opened, tried, _ = staged(place)
    before = opened.seats_file.path.read_bytes()
    monkeypatch.setattr("embedding_assets.cli.models.workspace", lambda: opened)
    called(monkeypatch, "another")
    told = CliRunner().invoke(cli, ["stage", str(place.second), "--price"])
    assert told.exit_code == 0 and "in all about" in told.output
    assert opened.seats_file.path.read_bytes() == before
    assert not (opened.data_dir / "spaces" / "another").exists()


def experiment_on(opened, endpoint="search", settings=("champion", "challenger")):
    controller = ABTestController(f"sqlite:///{opened.data_dir / 'service.db'}")
    variants = [
        {"name": f"v{n}", "weight": 1, "setting": setting} for n, setting in enumerate(settings)
    ]
    metrics = [{"name": "click", "kind": "rate"}]
    plan = {"id": "models-1", "endpoint": endpoint, "variants": variants, "metrics": metrics}
    controller.create(plan_of(plan))


def test_an_experiment_that_there_is_not_is_refused_before_anything_is_computed(place):
    opened = place.open()
    experiment_on(opened)
    with pytest.raises(UnknownExperimentError):
        take_seat(opened, str(place.second), experiment="models-2")
    assert opened.seats.challenger is None
    take_seat(opened, str(place.second), experiment="models-1")
    assert opened.seats.challenger.experiment == "models-1"


@pytest.mark.parametrize(
    "more", [{"endpoint": "find-similar"}, {"settings": ("hybrid", "keyword")}]
)
def test_an_experiment_on_something_else_is_refused(place, more):
    opened = place.open()
    experiment_on(opened, **more)
    with pytest.raises(InputError, match="does not compare the two models"):
        take_seat(opened, str(place.second), experiment="models-1")


def test_another_challenger_takes_the_alias_from_the_one_before(place, monkeypatch):
    opened, tried, _ = staged(place)
    called(monkeypatch, "another")
    take_seat(opened, "another")
    assert opened.registry.aliased("challenger") == []
    assert opened.seats.aliased


def test_a_version_that_is_the_challenger_already_is_known_as_its_wish(place, monkeypatch):
    opened, tried, _ = staged(place)
    theirs = opened.registry.ensure_trained(
        TrainedModel("theirs", "t1", {}, {}, {"model/modules.json": b"[]"})
    )
    opened.registry.client.set_registered_model_alias("theirs", "challenger", theirs.version)
    called(monkeypatch, tried.fingerprint)
    assert take_seat(opened, theirs.source).seat == tried.seat
    assert opened.seats.challenger.is_for(theirs.source, "")
    assert opened.registry.aliased("challenger") == [tried.model_version]


def test_a_challenger_is_dropped_though_the_registry_is_away(place, monkeypatch):
    opened, tried, done = staged(place)

    def away(self, *args):
        raise RegistryError("The model registry is gone.", "Start it.")

    with monkeypatch.context() as patch:
        patch.setattr(Registry, "give_alias", away)
        with pytest.raises(RegistryError):
            drop_challenger(opened)
    assert opened.seats.challenger is None and not opened.seats.aliased
    assert opened.registry.aliased("challenger") == [done.version]


def test_the_model_that_serves_cannot_be_tried_nor_none(place):
    with pytest.raises(InputError, match="serves already"):
        take_seat(place.open(), str(place.first))
    with pytest.raises(NotFoundError, match="No model is staged"):
        take_seat(place.open(), None)


def test_the_registry_says_who_serves_and_who_is_tried(place):
    opened, tried, done = staged(place)
    assert opened.registry.aliased("champion") == [opened.model_version]
    assert opened.registry.aliased("challenger") == [done.version]
    drop_challenger(opened)
    assert opened.registry.aliased("challenger") == []
    assert [left.seat for left in opened.seats.retired] == [tried.seat]


def test_a_version_of_the_registry_is_found_by_its_files_on_this_machine(place):
    opened, tried, done = staged(place)
    drop_challenger(opened)
    again = take_seat(opened, f"models:/{done.version.name}/{done.version.version}")
    assert again.seat == tried.seat
    assert stage(opened, again).computed == 0


def test_a_setting_that_names_another_model_is_refused_with_the_way_to_stage_it(place):
    other = place.open(model={"name": str(place.second), "threads": 1})
    with pytest.raises(ModelChangedError, match="model stage"):
        _ = other.encoder


def test_the_challenger_has_a_classifier_of_its_own_and_its_categories(place):
    described = place.folder / "categories.json"
    described.write_text(json.dumps({"cooking": "soup and cake", "law": "courts", "space": "moon"}))
    more = {"classification": {"categories": str(described)}}
    opened = place.open(**more)
    tried = take_seat(opened, str(place.second))
    stage(opened, tried)
    rows = {row["doc_id"]: row for row in tried.categories.stored()}
    assert rows.keys() == {f"{name}.json" for name in TOPICS}
    assert {row["fingerprint"] for row in rows.values()} == {tried.fingerprint}
    assert opened.categories.stored() == []
    assert tried.library.search.facets().documents == len(TOPICS)


def test_the_model_made_of_the_stored_texts_has_a_name_of_its_own(place, monkeypatch):
    opened = place.open()
    with pytest.raises(NotFoundError, match="model train"):
        take_seat(opened, "domain_model")
    made = SimpleNamespace(folder=place.second)
    monkeypatch.setattr(type(opened.trainer), "latest", lambda self: made)
    assert take_seat(opened, "domain_model").seat.model == str(place.second)
