"""Documents for others: the vectors in a managed store."""

import dagster as dg

from embedding_assets.defs.resources import WorkspaceResource
from embedding_assets.defs.retries import retried
from embedding_assets.storage.parquet import ParquetTable


@dg.asset(group_name="publishing", kinds={"postgres"})
@retried
def pgvector_documents(
    doc_chunks: ParquetTable, doc_vectors: ParquetTable, workspace: WorkspaceResource
) -> dg.MaterializeResult[None]:
    """All passages with their vectors in PostgreSQL with pgvector, at `search.postgres_url`.

    Optional: written in bulk, a document only when it has changed; gone ones are deleted there.
    """
    from embedding_assets.search.postgres import DocumentTables, publish
    from embedding_assets.search.postgres_tables import PublishedModel

    opened = workspace.open()
    version = opened.model_version
    model = PublishedModel(
        version.name, version.version, version.fingerprint, opened.model.dimension
    )
    tables = DocumentTables(doc_chunks, doc_vectors)
    present = opened.library.searchable()
    published = publish(opened.postgres, tables, model, present)
    return dg.MaterializeResult(metadata={"dagster/row_count": published.rows, **vars(published)})
