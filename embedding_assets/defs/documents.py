"""Documents to vectors to search: the assets, by document and over all documents."""

from collections.abc import Iterator
from dataclasses import asdict

import dagster as dg

from embedding_assets.asset_tables import PARQUET_ASSETS
from embedding_assets.defs.classifier_runs import logged_classifier
from embedding_assets.defs.partitions import doc_ids
from embedding_assets.defs.policy import DAILY, columns, document_asset
from embedding_assets.defs.resources import WorkspaceResource
from embedding_assets.defs.retries import retried
from embedding_assets.defs.vector_runs import logged_vectors
from embedding_assets.documents.classify.slices import CATEGORY_SCHEMA, CLASSIFIER_SCHEMA
from embedding_assets.documents.inventory import DOCUMENT_INVENTORY_SCHEMA
from embedding_assets.documents.slices import QUARANTINED_DOCUMENT_SCHEMA, vector_slices
from embedding_assets.documents.table import CHUNK_SCHEMA, DOCUMENT_SCHEMA
from embedding_assets.storage.parquet import ParquetTable
from embedding_assets.storage.slices import Slice, Slices, table_slice


@document_asset(DOCUMENT_INVENTORY_SCHEMA, freshness_policy=DAILY)
def document_files(workspace: WorkspaceResource) -> Slice:
    """The files of `documents.source` with the hash of their content.

    What was made of files that are gone disappears with this asset, from every other one.
    """
    library = workspace.open().library
    inventory = library.inventory()
    library.drop_deleted(inventory)
    return table_slice(inventory.to_table(), inventory.digest, documents=len(inventory.entries))


@dg.multi_asset(
    outs={
        "documents": dg.AssetOut(
            io_manager_key="parquet",
            kinds={"parquet"},
            group_name="documents",
            is_required=False,
            metadata={"dagster/column_schema": columns(DOCUMENT_SCHEMA)},
            description="What was read from each file: blocks in reading order with kind, text, "
            "pages and boxes. A file that cannot be read keeps what its last good version held.",
        ),
        "quarantined_documents": dg.AssetOut(
            io_manager_key="parquet",
            kinds={"parquet"},
            group_name="documents",
            is_required=False,
            metadata={"dagster/column_schema": columns(QUARANTINED_DOCUMENT_SCHEMA)},
            description="Documents that could not be read, each with the reason and the mend. "
            "`transient` ones are tried again by every run, `permanent` ones when the file, the "
            "passwords or the limits change; `embedding-assets documents redrive` tries all.",
        ),
    },
    partitions_def=doc_ids,
    backfill_policy=dg.BackfillPolicy.single_run(),
    deps=[document_files],
)
@retried
def read_documents(
    context: dg.AssetExecutionContext, workspace: WorkspaceResource
) -> Iterator[dg.Output[Slices]]:
    """Reads the files, each in a worker process with limits."""
    reading = workspace.open().library.reading(context.partition_keys)
    yield dg.Output(Slices(reading.document_slices(), small=True), "documents")
    failed = reading.quarantine_slices()
    if failed:
        context.log.warning(
            f"Documents that could not be read: {len(failed)}; see their quarantine."
        )
        yield dg.Output(Slices(failed, small=True), "quarantined_documents")


@document_asset(CHUNK_SCHEMA, partitions_def=doc_ids)
def doc_chunks(
    context: dg.AssetExecutionContext, documents: ParquetTable, workspace: WorkspaceResource
) -> Slices:
    """Passages that fit the model, never across a heading, tables not torn, each with its heading
    path, pages and boxes."""
    library = workspace.open().library
    return Slices(library.chunk_slices(documents, context.partition_keys), small=True)


@document_asset(PARQUET_ASSETS["doc_vectors"], partitions_def=doc_ids, kinds={"mlflow"})
def doc_vectors(
    context: dg.AssetExecutionContext, doc_chunks: ParquetTable, workspace: WorkspaceResource
) -> Slices:
    """The vector of each chunk, unit length; a changed document computes only its changed ones."""
    opened = workspace.open()
    slices = vector_slices(
        doc_chunks, opened.table("doc_vectors"), context.partition_keys, opened.encoder,
        opened.vectors,
    )  # fmt: skip
    return Slices(logged_vectors(context, opened, slices), small=True)


@document_asset(CLASSIFIER_SCHEMA, kinds={"mlflow"})
def document_classifier(context: dg.AssetExecutionContext, workspace: WorkspaceResource) -> Slices:
    """What tells the category of a document, learnt from `classification.labels` and
    `classification.categories`, and judged on texts that were left out; empty without both. Labels
    that nothing can be learnt from leave the last good one."""
    return Slices(logged_classifier(context, workspace.open()))


@document_asset(CATEGORY_SCHEMA, partitions_def=doc_ids, deps=[doc_chunks, doc_vectors])
def doc_categories(
    context: dg.AssetExecutionContext,
    document_classifier: ParquetTable,
    workspace: WorkspaceResource,
) -> Slices:
    """The category of each document with its probability, from its passages' words and vectors;
    none where no category is probable enough. A new classifier embeds nothing anew."""
    slices = workspace.open().categories.slices(context.partition_keys)
    return Slices(slices, small=True)


@dg.asset(
    group_name="documents",
    backfill_policy=dg.BackfillPolicy.single_run(),
    freshness_policy=DAILY,
    deps=[doc_categories, dg.AssetKey("doc_entities")],
)
@retried
def document_index(
    doc_chunks: ParquetTable, doc_vectors: ParquetTable, workspace: WorkspaceResource
) -> dg.MaterializeResult[None]:
    """The snapshot that is searched: published whole, swapped in without dropping a search."""
    built = workspace.open().library.build_index()
    manifest = asdict(built.manifest)
    model = manifest.pop("model")
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": built.manifest.rows,
            **manifest,
            "model": f"{model['name']} v{model['version']}",
            "fingerprint": model["fingerprint"],
            "unchanged": not built.new,
        }
    )
