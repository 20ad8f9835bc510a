import json
from datetime import UTC, date, datetime, timedelta
from functools import partial

import dagster as dg
import pyarrow as pa
import pytest
from typer.testing import CliRunner

from embedding_assets import domain_model
from embedding_assets.cli import app
from embedding_assets.defs.resources import WorkspaceResource
from embedding_assets.defs.training import domain_model as asset
from embedding_assets.documents.table import CHUNK_SCHEMA
from embedding_assets.embedding.model import open_encoder
from embedding_assets.errors import EmptyInputError, StoreDamagedError
from embedding_assets.records.clean import CLEAN_SCHEMA
from embedding_assets.records.forgotten import account_key
from embedding_assets.settings import load_settings
from embedding_assets.storage.slices import digest_of, table_slice
from embedding_assets.workspace import open_workspace
from embedding_assets_tests.integration.tiny import tiny_model
from embedding_assets_tests.training.words import DISHES, passages

DAY = date(2026, 3, 31)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def workspace(base, tmp_path, monkeypatch, no_environment):
    """A workspace with passages and records; the command line and the asset open the same one."""
    values = {
        "DATA_DIR": tmp_path / "store", "TRAINING__BASE": base, "TRAINING__STEPS": 4,
        "TRAINING__TOKENS": 16, "MODEL__NAME": base, "MODEL__THREADS": 1,
    }  # fmt: skip
    for name, value in values.items():
        monkeypatch.setenv(f"EMBEDDING_ASSETS_{name}", str(value))
    monkeypatch.setattr(domain_model, "aside", lambda work, *given: work(*given))
    opened = open_workspace(load_settings())
    put_passages(opened, passages(60))
    put_records(opened, accounts=20)
    return opened


def put_passages(workspace, some, doc_id="one.json"):
    rows = [{"doc_id": doc_id, "heading_path": path, "text": text} for path, text in some]
    table = pa.Table.from_pylist(rows, CHUNK_SCHEMA)
    workspace.table("doc_chunks").write(table_slice(table, digest_of(rows), doc_id))


def put_records(workspace, accounts):
    rows = [
        (f"account {n}", f"{DISHES[(n + k) % 10]} of {n}", "Kitchen", ["Food"], DAY, k)
        for n in range(accounts)
        for k in range(4)
    ]
    records = [
        dict(zip(CLEAN_SCHEMA.names, (*row[:4], at(row[5]), row[4], number), strict=True))
        for number, row in enumerate(rows)
    ]
    table = pa.Table.from_pylist(records, CLEAN_SCHEMA)
    workspace.table("cleaned_records").write(table_slice(table, digest_of(rows), str(DAY)))


def at(hour):
    return datetime(DAY.year, DAY.month, DAY.day, tzinfo=UTC) + timedelta(hours=hour)


def test_a_model_is_made_of_what_is_stored_and_can_be_used_by_its_folder(workspace):
    model = workspace.trainer.provide()
    assert model.new
    assert model.folder.name == "tiny-adapted"
    assert model.folder.is_relative_to(workspace.models_dir.resolve() / "trained")
    assert len(model.made.losses) == 4
    assert model.made.held_out.keys() == {"documents", "accounts"}
    assert model.made.before.keys() == model.made.after.keys()
    encoder = open_encoder(str(model.folder), workspace.models_dir, threads=1)
    assert encoder.encode(["pho"]).vectors.shape == (1, 32)
    assert encoder.fingerprint != workspace.fingerprint


def test_unchanged_texts_are_not_trained_on_again(workspace, monkeypatch):
    first = workspace.trainer.provide()
    monkeypatch.setattr(domain_model, "aside", None)
    put_passages(workspace, passages(60)[::-1])
    again = workspace.trainer.provide()
    assert not again.new
    assert (again.folder, again.made) == (first.folder, first.made)


def test_other_texts_and_settings_make_other_models(workspace, monkeypatch):
    order, texts = workspace.trainer.order, workspace.trainer.texts()
    put_passages(workspace, passages(61))
    assert order.digest(workspace.trainer.texts()) != order.digest(texts)
    monkeypatch.setenv("EMBEDDING_ASSETS_TRAINING__KEPT", "0.25")
    assert open_workspace(load_settings()).trainer.order.digest(texts) != order.digest(texts)


def test_an_attempt_that_ended_before_its_record_is_made_whole(workspace, monkeypatch):
    trainer = workspace.trainer
    place = trainer.folder / trainer.order.digest(trainer.texts())
    (place / "tiny-adapted").mkdir(parents=True)
    (place / "tiny-adapted" / "half").touch()
    model = trainer.provide()
    assert model.new
    assert not (model.folder / "half").exists()
    assert sorted(path.name for path in place.iterdir()) == ["made.json", "tiny-adapted"]


def test_a_damaged_record_is_named(workspace):
    model = workspace.trainer.provide()
    (model.folder.parent / "made.json").write_text("{")
    with pytest.raises(StoreDamagedError, match=r"made\.json cannot be read"):
        workspace.trainer.provide()


def test_too_little_stored_is_a_named_error(workspace):
    workspace.table("doc_chunks").remove("one.json")
    workspace.table("cleaned_records").remove(str(DAY))
    with pytest.raises(EmptyInputError, match="0 pairs of texts are too few"):
        workspace.trainer.provide()


def test_forgotten_accounts_are_not_trained_on(workspace):
    texts = workspace.trainer.texts()
    assert any("of 7" in text for pair in texts.pairs for text in pair)
    workspace.accounts.tombstones.add([account_key("account 7")])
    left = workspace.trainer.texts()
    assert not any("of 7;" in text or "of 7." in text for pair in left.pairs for text in pair)


def test_a_static_model_is_distilled_when_it_is_asked_for(workspace, monkeypatch):
    monkeypatch.setenv("EMBEDDING_ASSETS_TRAINING__KIND", "static")
    model = open_workspace(load_settings()).trainer.provide()
    assert model.folder.name == "tiny-static"
    encoder = open_encoder(str(model.folder), workspace.models_dir, threads=1)
    assert encoder.window == workspace.model.window


def test_the_asset_links_folder_version_and_curve(workspace):
    with dg.instance_for_test() as instance:
        run = partial(
            dg.materialize, [asset], instance=instance, resources={"workspace": WorkspaceResource()}
        )
        [made] = run().asset_materializations_for_node("domain_model")
        [again] = run().asset_materializations_for_node("domain_model")
    metadata = made.metadata
    assert metadata["model"].value == "domain_model v1"
    assert (metadata["unchanged"].value, again.metadata["unchanged"].value) == (False, True)
    assert again.metadata["model"].value == "domain_model v1"
    assert metadata["training"].value.startswith("![Training](data:image/png;base64,")
    assert metadata["folder"].value.endswith("/tiny-adapted")


def test_the_command_prints_the_folder_last(workspace):
    done = CliRunner().invoke(app, ["model", "train"])
    assert done.exit_code == 0, done.output
    first, *_, folder = done.stdout.splitlines()
    assert first.startswith("tiny-adapted, domain_model v1: made now;")
    told = json.loads(CliRunner().invoke(app, ["model", "train", "--json"]).stdout)
    assert told["folder"] == folder
    assert told["new"] is False
