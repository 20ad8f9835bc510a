from datetime import date
from pathlib import Path

import pytest

from embedding_assets.errors import SettingsError
from embedding_assets.settings import Group, Settings, load_settings, setting_names

pytestmark = pytest.mark.usefixtures("no_environment")


def yaml(text, name="embedding_assets.yaml"):
    Path(name).write_text(text)


def test_without_anything_the_defaults_hold():
    settings = load_settings()
    assert settings.data_dir == Path("data/store")
    assert settings.records.history_days == 90
    assert settings.model.name == "all-MiniLM-L6-v2"
    assert settings.storage.query_memory_mb == 384


def test_the_environment_outranks_the_file_and_the_file_the_defaults(monkeypatch):
    yaml("records: {source: from_file, history_days: 7}\ndata_dir: there\n")
    monkeypatch.setenv("EMBEDDING_ASSETS_RECORDS__SOURCE", "from_environment")
    settings = load_settings()
    assert settings.records.source == "from_environment"
    assert settings.records.history_days == 7
    assert settings.records.start_date == date(2026, 1, 1)
    assert settings.data_dir == Path("there")


def test_arguments_outrank_the_environment(monkeypatch):
    monkeypatch.setenv("EMBEDDING_ASSETS_DATA_DIR", "there")
    assert load_settings(data_dir="here").data_dir == Path("here")


def test_another_file_can_be_named(monkeypatch):
    yaml("data_dir: ignored\n")
    yaml("data_dir: named\n", "other.yaml")
    monkeypatch.setenv("EMBEDDING_ASSETS_CONFIG", "other.yaml")
    assert load_settings().data_dir == Path("named")


def test_a_named_file_that_is_absent_is_refused(monkeypatch):
    monkeypatch.setenv("EMBEDDING_ASSETS_CONFIG", "absent.yaml")
    with pytest.raises(SettingsError, match="EMBEDDING_ASSETS_CONFIG names absent.yaml"):
        load_settings()


@pytest.mark.parametrize(
    "name",
    ["EMBEDDING_ASSETS_RECORD__SOURCE", "EMBEDDING_ASSETS_RECORDS_SOURCE", "EMBEDDING_ASSETS_X"],
)
def test_a_misspelled_variable_is_refused_by_name(monkeypatch, name):
    monkeypatch.setenv(name, "x")
    with pytest.raises(SettingsError, match=f"variable {name} names no setting"):
        load_settings()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("recrods: {source: x}", "'recrods' is not a setting"),
        ("records: {sorce: x}", r"'records\.sorce' is not a setting"),
        ("records: {history_days: many}", r"records\.history_days = 'many'"),
        ("records: {history_days: 0}", r"records\.history_days = 0: .*greater than or equal to 1"),
        ("records: {start_date: someday}", r"records\.start_date"),
        ("model: {precision: float64}", r"model\.precision = 'float64'"),
        ("records: just text", "records = 'just text'"),
        ("log: {level: LOUD}\nalerts: {x: 1}", r"'alerts\.x' is not a setting; log\.level"),
        ("- a\n- b\n", "settings cannot be read|dictionary"),
        ("records: {source: [unclosed\n", "settings cannot be read"),
        ("a: b: c", "settings cannot be read"),
        ("records:\n\tsource: x\n", "settings cannot be read"),
    ],
)  # fmt: skip
def test_a_file_that_is_wrong_is_refused_with_what_is_wrong(text, words):
    yaml(text)
    with pytest.raises(SettingsError, match=words):
        load_settings()


def test_a_file_that_is_no_text_is_refused():
    Path("embedding_assets.yaml").write_bytes(b"\xff\xfe\x00records")
    with pytest.raises(SettingsError):
        load_settings()


def test_an_empty_file_changes_nothing():
    yaml("# nothing yet\n")
    assert load_settings() == Settings()


def test_a_wrong_value_in_the_environment_is_refused(monkeypatch):
    monkeypatch.setenv("EMBEDDING_ASSETS_SIMILARITY__TOP", "ten")
    with pytest.raises(SettingsError, match=r"similarity\.top = 'ten'"):
        load_settings()


def test_a_whole_group_can_be_given_as_json(monkeypatch):
    monkeypatch.setenv("EMBEDDING_ASSETS_RECORDS", '{"history_days": 3}')
    assert load_settings().records.history_days == 3
    monkeypatch.setenv("EMBEDDING_ASSETS_RECORDS", "{broken")
    with pytest.raises(SettingsError, match="settings cannot be read"):
        load_settings()


def test_the_registry_is_the_setting_then_the_variable_of_mlflow_then_a_local_file(monkeypatch):
    here = Path("data/store/mlflow.db").resolve()
    assert load_settings().tracking_uri == f"sqlite:///{here}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://theirs")
    assert load_settings().tracking_uri == "http://theirs"
    monkeypatch.setenv("EMBEDDING_ASSETS_MLFLOW__TRACKING_URI", "http://ours")
    assert load_settings().tracking_uri == "http://ours"


def test_every_setting_is_described_and_has_a_default():
    for name, field in Settings.model_fields.items():
        group = getattr(Settings(), name)
        inner = type(group).model_fields if isinstance(group, Group) else {name: field}
        for key, each in inner.items():
            assert each.description, f"{name}.{key}"
            assert not each.is_required(), f"{name}.{key}"


def test_settings_are_named_as_the_environment_names_them():
    assert {"data_dir", "records__source", "mlflow__tracking_uri"} <= set(setting_names())


def test_settings_do_not_change_once_loaded():
    settings = load_settings()
    assert hash(settings) == hash(load_settings())
    with pytest.raises(ValueError, match="frozen"):
        settings.records.source = "other"
