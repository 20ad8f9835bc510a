import json
import shutil
from dataclasses import replace

import pytest

from embedding_assets.documents.entities.model import EntityModel
from embedding_assets.documents.entities.training import Recipe
from embedding_assets.entities import Entities
from embedding_assets.entity_report import entities_text
from embedding_assets.errors import (
    InputNotFoundError,
    ModelDamagedError,
    NotFoundError,
    SchemaError,
    SettingsError,
)
from embedding_assets.settings import EntitySettings, ModelSettings, Settings
from embedding_assets.workspace import Workspace
from embedding_assets_tests.integration.tiny import tiny_model

LABELLED = "Anna B-PERSON\nlives O\nin O\nOslo B-PLACE\n\n" * 8
RECIPE = Recipe(sentences=4, fewest_steps=4, most_passes=2)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return str(tiny_model(tmp_path_factory.mktemp("encoder") / "tiny"))


@pytest.fixture
def make(tmp_path, no_environment, encoder, monkeypatch):
    """A workspace with settings of entities; trains in this process."""
    monkeypatch.setattr(Entities, "recipe", RECIPE)
    monkeypatch.setattr("embedding_assets.entities.aside", lambda work, *given: work(*given))
    file = tmp_path / "labelled.conll"
    file.write_text(LABELLED)

    def made(**settings):
        entities = EntitySettings(**{"encoder": encoder, **settings})
        model = ModelSettings(threads=1)
        return Workspace(Settings(data_dir=tmp_path / "store", entities=entities, model=model))

    made.file = file
    return made


def materialized(workspace):
    return workspace.table("entity_model").write(workspace.entities.model_slice())


def test_nothing_configured_is_empty_and_no_problem(make):
    workspace = make()
    entities = workspace.entities
    assert materialized(workspace).footer.rows == 0
    assert (entities.trained, entities.problem) == (None, None)
    with pytest.raises(NotFoundError, match=r"Nothing finds .* Set entities\.training, entities\."):
        entities.of_text("Anna paid $5 in Oslo.")
    assert not entities.expected_finder()


def test_a_trained_model_is_kept_with_scores_by_type_and_not_trained_again(make, monkeypatch):
    workspace = make(training=str(make.file))
    assert materialized(workspace).replaced
    rows = workspace.table("entity_model").read().to_pylist()
    assert [(row["label"], row["support"] + row["taught"]) for row in rows] == [
        ("PERSON", 8), ("PLACE", 8),
    ]  # fmt: skip
    trained = workspace.entities.trained
    assert {path.name for path in trained.folder.iterdir()} == {
        "model.json", "model.safetensors", "tokenizer.json",
    }  # fmt: skip
    assert not [*(workspace.data_dir / "entities").rglob("checkpoint*")]
    monkeypatch.setattr("embedding_assets.entities.aside", None)
    assert not materialized(workspace).replaced
    assert workspace.entities.expected_finder().digest == workspace.entities.finder().digest


def test_other_labels_make_another_model_and_the_old_one_goes_with_the_next(make):
    workspace = make(training=str(make.file))
    materialized(workspace)
    first = workspace.entities.trained
    make.file.write_text(LABELLED.replace("PLACE", "CITY"))
    expected = workspace.entities.expected_finder().digest
    assert expected != workspace.entities.finder().digest
    materialized(workspace)
    assert workspace.entities.finder().digest == expected
    assert EntityModel.load(workspace.entities.trained.folder, 1).types == ("CITY", "PERSON")
    make.file.write_text(LABELLED.replace("PLACE", "TOWN"))
    materialized(workspace)
    assert not first.folder.exists()


@pytest.mark.parametrize("content", ["Anna\n", "Anna O\n", None], ids=["torn", "empty", "absent"])
def test_labels_that_cannot_be_used_leave_the_last_good_model(make, content):
    workspace = make(training=str(make.file))
    materialized(workspace)
    good = workspace.entities.trained
    if content is None:
        make.file.unlink()
    else:
        make.file.write_text(content)
    assert not materialized(workspace).replaced
    assert workspace.entities.trained == good
    assert "labelled.conll" in workspace.entities.problem
    # What cannot be trained makes no document stale, or every look would ask for a run.
    assert workspace.entities.expected_finder().digest == workspace.entities.finder().digest
    make.file.write_text(LABELLED)
    assert workspace.entities.problem is None


def test_a_model_that_is_not_trained_yet_is_named(make):
    workspace = make(training=str(make.file))
    with pytest.raises(NotFoundError, match=r"not trained yet.* Materialize entity_model"):
        workspace.entities.of_text("Anna")
    make.file.write_text("Anna\n")
    materialized(workspace)
    with pytest.raises(NotFoundError, match=r"not trained yet.* one column"):
        workspace.entities.of_text("Anna")


def damage(folder, how):
    if how == "gone":
        shutil.rmtree(folder)
    else:
        path = folder / how
        path.write_bytes(path.read_bytes()[:-40])


@pytest.mark.parametrize("how", ["gone", "model.json", "model.safetensors"])
def test_a_damaged_model_is_named_and_trained_again(make, how):
    workspace = make(training=str(make.file))
    materialized(workspace)
    entities = workspace.entities
    good, digest = entities.trained, entities.finder().digest
    damage(good.folder, how)
    with pytest.raises(ModelDamagedError, match="Materialize entity_model"):
        entities.of_text("Anna")
    assert "cannot be read" in entities.problem
    assert list(entities.slices(None, ["a"])) == []
    assert entities.expected_finder().digest == digest, "what is stored is right"
    materialized(workspace)
    assert entities.trained.digest == good.digest
    assert entities.problem is None
    assert EntityModel.load(good.folder, 1).types == ("PERSON", "PLACE")


def test_a_damaged_model_that_cannot_be_trained_again_leaves_what_is_stored(make):
    workspace = make(training=str(make.file))
    materialized(workspace)
    damage(workspace.entities.trained.folder, "gone")
    make.file.write_text("Anna\n")
    assert not materialized(workspace).replaced
    assert list(workspace.entities.slices(None, ["a"])) == []
    assert workspace.entities.expected_finder() is None


def test_labels_that_cannot_be_used_from_the_beginning_leave_the_rules(make):
    make.file.write_text("Anna\n")
    workspace = make(training=str(make.file), patterns=("money",))
    assert materialized(workspace).footer.rows == 0
    [row] = workspace.entities.of_text("Anna paid $5.")
    assert (row["text"], row["source"]) == ("$5", "rule:money")
    assert "one column" in workspace.entities.problem


def test_what_the_registry_is_told_names_metrics_that_it_takes(make):
    make.file.write_text(LABELLED.replace("PLACE", "PLÄ/CE:1"))
    workspace = make(training=str(make.file))
    materialized(workspace)
    told = workspace.entities.registered(workspace.entities.trained)
    assert told.digest == workspace.entities.trained.digest
    assert {"model/model.json", "model/model.safetensors", "model/tokenizer.json"} == {*told.files}
    assert all(set(name) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZÄ0123456789/_")
               for name in told.metrics)  # fmt: skip


@pytest.mark.parametrize(
    ("settings", "error", "why"),
    [
        ({"patterns": ("monney",)}, SettingsError, "no built-in pattern"),
        ({"expressions": ("INVOICE",)}, SettingsError, "LABEL=EXPRESSION"),
        ({"expressions": ("INVOICE=(",)}, SettingsError, "cannot be read"),
        ({"gazetteer": "nothing.csv"}, InputNotFoundError, "does not exist"),
    ],
    ids=["pattern", "no label", "expression", "gazetteer"],
)
def test_rules_that_cannot_be_used_are_named_and_stop_no_documents(make, settings, error, why):
    entities = make(**settings).entities
    with pytest.raises(error, match=why):
        entities.of_text("a")
    assert why in entities.problem
    assert entities.expected_finder() is None
    assert list(entities.slices(None, ["a"])) == []


def test_a_gazetteer_that_cannot_be_read_is_told_by_the_check_and_stops_no_documents(
    make, tmp_path
):
    names = tmp_path / "names.csv"
    names.write_text("Name;Label\nAcme Corp;ORG\n")
    entities = make(gazetteer=str(names)).entities
    with pytest.raises(SchemaError, match="has the columns"):
        entities.of_text("a")
    assert "has the columns" in entities.problem
    assert entities.expected_finder() is None
    assert list(entities.slices(None, ["a"])) == []
    names.write_text("name,label\nAcme Corp,ORG\n")
    assert entities.problem is None
    assert [row["label"] for row in entities.of_text("acme corp")] == ["ORG"]


def test_a_file_with_text_is_read_and_a_text_is_taken_as_it_is(make, tmp_path):
    entities = make(
        expressions=("INVOICE=INV-[0-9]+", "DUE=due in [0-9]+ days", "INVOICE=RE[0-9]+")
    ).entities
    note = tmp_path / "note.txt"
    note.write_text("INV-77 is due in 3 days.")
    rows = entities.of_text(str(note))
    assert [(row["label"], row["text"]) for row in rows] == [
        ("INVOICE", "INV-77"), ("DUE", "due in 3 days"),
    ]  # fmt: skip
    document = tmp_path / "letter.json"
    document.write_text(json.dumps({"title": "A letter", "body": ["About INV-5."]}))
    assert [row["text"] for row in entities.of_text(str(document))] == ["INV-5"]
    assert entities.of_text(f"{note} INV-9\n")[0]["text"] == "INV-9"
    assert [row["text"] for row in entities.of_text("INV-9 or RE7")] == ["INV-9", "RE7"]


def test_entities_of_an_unknown_document_are_an_error(make):
    with pytest.raises(NotFoundError, match="No entities are stored of 'x'"):
        make().entities.of_document("x")
    assert make().entities.of_document(None) == []


def test_entities_for_people():
    row = {"doc_id": "a.pdf", "text": "Acme\nInc " * 9, "label": "ORG", "page": 3, "score": 0.97,
           "source": "model"}  # fmt: skip
    text = entities_text([row, {**row, "page": None}])
    assert text.splitlines()[0] == "a.pdf"
    assert "page 3" in text and "Acme Inc" in text and "…" in text and "2 ORG" in text
    assert entities_text([]) == "No entities."


def test_the_seed_is_part_of_the_model(make):
    one, other = (make(training=str(make.file), seed=seed).entities.fitting for seed in (1, 2))
    assert one.digest() != other.digest()
    assert replace(one, threads=1).digest() == one.digest()
