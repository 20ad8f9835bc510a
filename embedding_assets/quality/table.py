"""An evaluation as rows of a table, and back to what a check asks of it."""

import pyarrow as pa

from embedding_assets.quality.evaluation import Evaluation

EVALUATION_SCHEMA = pa.schema(
    [
        pa.field("collection", pa.string()),
        pa.field("mode", pa.string()),
        pa.field("metric", pa.string()),
        pa.field("mean", pa.float64()),
        pa.field("low", pa.float64()),
        pa.field("high", pa.float64()),
        pa.field("queries", pa.int32()),
        pa.field("fingerprint", pa.string()),
    ]
)
"""One row per mode of search and metric; low and high: the 95 % bootstrap interval."""


def to_table(evaluation: Evaluation) -> pa.Table:
    """The scores of an evaluation (EVALUATION_SCHEMA)."""
    rows = [
        {
            "collection": evaluation.collection,
            "mode": mode,
            "metric": metric,
            **vars(score),
            "queries": evaluation.queries,
            "fingerprint": evaluation.fingerprint,
        }
        for mode, scores in evaluation.scores.items()
        for metric, score in scores.items()
    ]
    return pa.Table.from_pylist(rows, EVALUATION_SCHEMA)
