"""Every asset that is kept as a table: its columns, and which assets belong to what."""

import pyarrow as pa

from embedding_assets.apps.predictions import PREDICTION_SCHEMA
from embedding_assets.apps.slices import APP_VECTOR_SCHEMA, MODEL_SCHEMA
from embedding_assets.apps.tables import CATALOGUE_SCHEMA, PERFORMANCE_SCHEMA, REJECT_SCHEMA
from embedding_assets.documents.classify.slices import CATEGORY_SCHEMA, CLASSIFIER_SCHEMA
from embedding_assets.documents.entities.slices import ENTITY_SCHEMA
from embedding_assets.documents.inventory import DOCUMENT_INVENTORY_SCHEMA
from embedding_assets.documents.slices import QUARANTINED_DOCUMENT_SCHEMA, vector_schema
from embedding_assets.documents.table import CHUNK_SCHEMA, DOCUMENT_SCHEMA
from embedding_assets.entities import ENTITY_MODEL_SCHEMA
from embedding_assets.quality.drift_table import DRIFT_SCHEMA
from embedding_assets.quality.live import LIVE_SCHEMA
from embedding_assets.quality.table import EVALUATION_SCHEMA
from embedding_assets.records.clean import CLEAN_SCHEMA, QUARANTINE_SCHEMA
from embedding_assets.records.embed import embedding_schema, wide_schema
from embedding_assets.records.inventory import INVENTORY_SCHEMA
from embedding_assets.records.latest import item_schema
from embedding_assets.records.source import RAW_SCHEMA
from embedding_assets.records.text import TEXT_SCHEMA
from embedding_assets.release.gate_table import GATES_SCHEMA, GATES_TABLE
from embedding_assets.search.query_log import QUERY_SCHEMA
from embedding_assets.search.similar import similar_schema

DAY_ASSETS = ("raw_records", "cleaned_records", "account_texts", "account_embeddings")
ACCOUNT_ASSETS = (*DAY_ASSETS, "latest_account_embeddings", "item_embeddings")
"""Parquet assets that hold, or count, what accounts did."""

MODEL_ASSETS = (
    "doc_chunks", "doc_vectors", "document_classifier", "doc_categories", "account_embeddings",
    "latest_account_embeddings", "item_embeddings", "similar_accounts", "similar_items",
)  # fmt: skip
"""Assets that depend on the embedding model: each seat has its own."""

_EMPTY_DIMENSION = 1
PARQUET_ASSETS: dict[str, pa.Schema] = {
    "record_files": INVENTORY_SCHEMA,
    "raw_records": RAW_SCHEMA,
    "cleaned_records": CLEAN_SCHEMA,
    "account_texts": TEXT_SCHEMA,
    "account_embeddings": embedding_schema(_EMPTY_DIMENSION),
    "latest_account_embeddings": wide_schema(_EMPTY_DIMENSION),
    "item_embeddings": item_schema(_EMPTY_DIMENSION),
    "document_files": DOCUMENT_INVENTORY_SCHEMA,
    "documents": DOCUMENT_SCHEMA,
    "quarantined_documents": QUARANTINED_DOCUMENT_SCHEMA,
    "doc_chunks": CHUNK_SCHEMA,
    "doc_vectors": vector_schema(_EMPTY_DIMENSION),
    "document_classifier": CLASSIFIER_SCHEMA,
    "doc_categories": CATEGORY_SCHEMA,
    "entity_model": ENTITY_MODEL_SCHEMA,
    "doc_entities": ENTITY_SCHEMA,
    "search_evaluation": EVALUATION_SCHEMA,
    GATES_TABLE: GATES_SCHEMA,
    "search_queries": QUERY_SCHEMA,
    "embedding_drift": DRIFT_SCHEMA,
    "model_performance": LIVE_SCHEMA,
    "app_predictions": PREDICTION_SCHEMA,
    "app_catalogue": CATALOGUE_SCHEMA,
    "app_vectors": APP_VECTOR_SCHEMA,
    "app_performance": PERFORMANCE_SCHEMA,
    "performance_model": MODEL_SCHEMA,
    "quarantined_app_rows": REJECT_SCHEMA,
}
"""Assets kept as Parquet, with the columns that the warehouse shows before any is made."""

DUCKDB_ASSETS: dict[str, pa.Schema] = {
    "quarantined_records": QUARANTINE_SCHEMA,
    "similar_accounts": similar_schema("account_id"),
    "similar_items": similar_schema("item_description"),
}
"""Assets kept as DuckDB tables."""
