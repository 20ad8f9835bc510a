import dagster as dg
import pytest

from embedding_assets.definitions import defs
from embedding_assets.errors import SettingsError
from embedding_assets_tests.defs.test_documents import Watch, put
from embedding_assets_tests.search.postgres_server import execute, running


def publish(instance):
    job = dg.define_asset_job("publish", dg.AssetSelection.assets("pgvector_documents"))
    resolved = dg.Definitions(
        assets=defs.assets, jobs=[job], resources=defs.resources
    ).resolve_job_def("publish")
    return resolved.execute_in_process(instance=instance)


def test_what_the_folder_holds_stands_in_postgres(inside, instance, monkeypatch):
    watch = Watch(instance)
    put(inside, "kept.json", "Kept words.")
    gone = put(inside, "gone.json", "Other words.")
    with running() as server:
        url = server.new_database()
        monkeypatch.setenv("EMBEDDING_ASSETS_SEARCH__POSTGRES_URL", url)
        query = "SELECT DISTINCT doc_id FROM embedding_assets.chunks ORDER BY doc_id"
        watch.act()
        assert publish(instance).success
        assert execute(url, query) == [("gone.json",), ("kept.json",)]
        gone.unlink()
        watch.act()
        assert publish(instance).success
        assert execute(url, query) == [("kept.json",)]


def test_without_a_database_the_mend_is_named(inside, instance):
    with pytest.raises(SettingsError, match="search.postgres_url"):
        publish(instance)
