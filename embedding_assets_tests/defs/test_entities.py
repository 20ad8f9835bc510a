import shutil

import dagster as dg
import pytest

from embedding_assets.defs.document_sync import sync
from embedding_assets.defs.entities import entity_model_is_current
from embedding_assets.defs.resources import WorkspaceResource, configured_workspace
from embedding_assets.documents.entities.training import Recipe
from embedding_assets.entities import Entities
from embedding_assets.forget import forget_document
from embedding_assets.search.filters import parse_filters
from embedding_assets_tests.defs.test_documents import put, stamps

ENTITIES = "EMBEDDING_ASSETS_ENTITIES__"


@pytest.fixture
def place(inside, monkeypatch):
    monkeypatch.setattr(Entities, "recipe", Recipe(sentences=4, fewest_steps=4, most_passes=2))
    monkeypatch.setattr("embedding_assets.entities.aside", lambda work, *given: work(*given))
    monkeypatch.setenv(f"{ENTITIES}ENCODER", str(inside.model))
    monkeypatch.setenv("EMBEDDING_ASSETS_MODEL__THREADS", "1")
    put(inside, "bill.json", "Anna in Oslo pays $5.", "Due on 3 May 2026.")
    put(inside, "note.json", "Nothing here.")
    return inside


def synced():
    return sync(configured_workspace(), register_only=False, say=lambda line: None)


def stored():
    rows = configured_workspace().entities.of_document(None)
    return [(row["doc_id"], row["label"], row["text"], row["source"]) for row in rows]


def test_rules_alone_fill_the_table_and_a_new_rule_renews_just_that(place, monkeypatch):
    monkeypatch.setenv(f"{ENTITIES}PATTERNS", '["money"]')
    synced()
    assert stored() == [("bill.json", "MONEY", "$5", "rule:money")]
    # The index of the same run has them: it was built after them.
    filters = parse_filters(["entity=$5"])
    hits = configured_workspace().library.search.search("pays", mode="keyword", filters=filters)
    assert [hit.doc_id for hit in hits] == ["bill.json"]
    before = stamps(place)
    assert synced().to_run == 0
    monkeypatch.setenv(f"{ENTITIES}PATTERNS", '["money", "date"]')
    assert synced().to_run == 2
    assert [text for _, _, text, _ in stored()] == ["$5", "3 May 2026"]
    assert stamps(place) == before
    assert place.warehouse("SELECT count(*) FROM doc_entities") == [(2,)]


def test_without_settings_the_table_is_empty_and_costs_nothing(place):
    synced()
    assert stored() == []
    assert synced().to_run == 0
    assert place.warehouse("SELECT count(*) FROM doc_entities") == [(0,)]


def test_a_model_is_trained_registered_and_shown_in_the_run_of_the_documents(place, monkeypatch):
    labelled = place.folder / "labelled.conll"
    labelled.write_text("Anna B-PERSON\nlives O\nin O\nOslo B-PLACE\n\n" * 8)
    monkeypatch.setenv(f"{ENTITIES}TRAINING", str(labelled))
    synced()
    with dg.DagsterInstance.get() as instance:
        event = instance.get_latest_materialization_event(dg.AssetKey("entity_model"))
    metadata = event.asset_materialization.metadata
    assert metadata["model"].value == "entity_model v1"
    assert metadata["mlflow_run"].value.startswith("http")
    assert "sentences" in metadata
    assert configured_workspace().table("doc_entities").footer("bill.json") is not None
    assert synced().to_run == 0
    labelled.write_text("Anna\n")
    assert synced().to_run == 2  # they are tried once
    assert synced().to_run == 0
    result = entity_model_is_current(WorkspaceResource())
    assert not result.passed and "one column" in result.metadata["problem"].value


def test_a_model_whose_folder_is_gone_stops_no_documents_and_is_trained_again(place, monkeypatch):
    labelled = place.folder / "labelled.conll"
    labelled.write_text("Anna B-PERSON\nlives O\nin O\nOslo B-PLACE\n\n" * 8)
    monkeypatch.setenv(f"{ENTITIES}TRAINING", str(labelled))
    synced()
    folder = configured_workspace().entities.trained.folder
    shutil.rmtree(folder)
    assert synced().to_run == 0
    put(place, "new.json", "Anna lives in Bergen.")
    assert synced().to_run == 1
    assert folder.is_dir()
    assert configured_workspace().table("doc_entities").footer("new.json") is not None


def test_a_forgotten_document_leaves_no_entities(place, monkeypatch):
    monkeypatch.setenv(f"{ENTITIES}PATTERNS", '["money"]')
    synced()
    receipt = forget_document(configured_workspace(), "bill.json", delete_source=False)
    steps = {step.place: step.count for step in receipt.steps if step.what == "partitions removed"}
    assert steps["doc_entities"] == 1
    assert stored() == []
    assert place.warehouse("SELECT count(*) FROM doc_entities") == [(0,)]


def test_a_deleted_document_leaves_no_entities(place, monkeypatch):
    monkeypatch.setenv(f"{ENTITIES}PATTERNS", '["money"]')
    synced()
    (place.documents / "bill.json").unlink()
    synced()
    assert stored() == []
