import pytest

from embedding_assets.defs.resources import configured_workspace
from embedding_assets.forget import forget_document
from embedding_assets.search.postgres import DocumentTables, publish
from embedding_assets.search.postgres_server import PostgresUnreachableError
from embedding_assets.search.postgres_tables import PublishedModel
from embedding_assets_tests.forget.test_documents import (  # noqa: F401
    place,
    stocked_once,
)
from embedding_assets_tests.search.postgres_server import running


def published(workspace):
    version = workspace.model_version
    model = PublishedModel(
        version.name, version.version, version.fingerprint, workspace.model.dimension
    )
    tables = DocumentTables(workspace.table("doc_chunks"), workspace.table("doc_vectors"))
    return publish(workspace.postgres, tables, model, ["open.json", "secret.json"])


def in_postgres(receipt):
    return [step.count for step in receipt.steps if step.place == "PostgreSQL"]


@pytest.mark.usefixtures("place")
def test_published_passages_are_deleted_and_not_published_again(monkeypatch):
    with running() as server:
        monkeypatch.setenv("EMBEDDING_ASSETS_SEARCH__POSTGRES_URL", server.new_database())
        workspace = configured_workspace()
        assert published(workspace).rows == 2
        receipt = forget_document(workspace, "secret.json", delete_source=False)
        assert in_postgres(receipt) == [1]
        assert published(workspace).rows == 1
        receipt = forget_document(workspace, "secret.json", delete_source=False)
        assert in_postgres(receipt) == [0]


@pytest.mark.usefixtures("place")
def test_a_database_that_cannot_be_reached_is_named_after_all_else_is_gone(monkeypatch):
    url = "postgresql://a:b@127.0.0.1:1/d"
    monkeypatch.setenv("EMBEDDING_ASSETS_SEARCH__POSTGRES_URL", url)
    workspace = configured_workspace()
    with pytest.raises(PostgresUnreachableError):
        forget_document(workspace, "secret.json", delete_source=False)
    assert workspace.table("doc_chunks").keys() == ["open.json"]
    monkeypatch.delenv("EMBEDDING_ASSETS_SEARCH__POSTGRES_URL")
    forget_document(configured_workspace(), "secret.json", delete_source=False)
