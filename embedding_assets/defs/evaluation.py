"""How good search is, by labelled queries: the asset and its check."""

import dagster as dg

from embedding_assets.defs.pictures import markdown_picture, markdown_table
from embedding_assets.defs.policy import columns
from embedding_assets.defs.resources import WorkspaceResource
from embedding_assets.defs.retries import retried
from embedding_assets.quality.collections import load_collection
from embedding_assets.quality.evaluation import evaluate
from embedding_assets.quality.picture import picture
from embedding_assets.quality.table import EVALUATION_SCHEMA, to_table
from embedding_assets.storage.parquet import ParquetTable
from embedding_assets.storage.slices import Slice, digest_of, table_slice


@dg.asset(
    group_name="evaluation",
    io_manager_key="parquet",
    kinds={"parquet", "mlflow"},
    metadata={"dagster/column_schema": columns(EVALUATION_SCHEMA)},
)
@retried
def search_evaluation(context: dg.AssetExecutionContext, workspace: WorkspaceResource) -> Slice:
    """Keyword, semantic and hybrid search judged by the labelled queries of `search.evaluation`:
    nDCG@10, MRR and recall with bootstrap intervals."""
    opened = workspace.open()
    folder = opened.evaluation_folder
    collection = load_collection(folder)
    version = opened.model_version
    tags = {"dagster_run_id": context.run.run_id, "collection": collection.name}
    settings = {"collection": collection.name, "queries": len(collection.queries)}
    with opened.registry.vector_run("search_evaluation", version, settings, tags) as run:
        evaluation = evaluate(collection, opened.encoder, opened.vectors)
        for mode, scores in evaluation.scores.items():
            for metric, score in scores.items():
                run.add({f"{mode}_{metric.replace('@', '_at_')}": score.mean})
        image = picture(evaluation)
        opened.registry.add_file(run.run_id, "search_evaluation.png", image)
    context.add_asset_metadata(
        {
            "model": str(version),
            "mlflow_run": dg.MetadataValue.url(run.link),
            "scores": markdown_table(evaluation.to_table()),
            "comparisons": [vars(each) for each in evaluation.comparisons],
            "picture": markdown_picture(image, "Scores of each mode"),
        }
    )
    rows = to_table(evaluation)
    digest = digest_of("search_evaluation", rows.to_pylist())
    return table_slice(rows, digest, hybrid_is_worse=evaluation.hybrid_is_worse)


@dg.asset_check(asset=search_evaluation)
def search_evaluation_hybrid_not_worse(search_evaluation: ParquetTable) -> dg.AssetCheckResult:
    """Hybrid search is not worse than keyword or semantic search beyond what chance explains
    (paired bootstrap over the queries, nDCG@10)."""
    footer = search_evaluation.footer()
    is_worse = footer is None or bool(footer.stats["hybrid_is_worse"])
    return dg.AssetCheckResult(passed=not is_worse, severity=dg.AssetCheckSeverity.WARN)
