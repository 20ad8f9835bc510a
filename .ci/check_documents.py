"""Checks what the materialization of all sample documents has made searchable."""

import json
import os
import sys
from pathlib import Path

import duckdb

turn, partition_range, log, answer = sys.argv[1:]
store = Path(os.environ["EMBEDDING_ASSETS_DATA_DIR"])
source = Path(os.environ["EMBEDDING_ASSETS_DOCUMENTS__SOURCE"])
lines = Path(log).read_text().splitlines()
warnings = [line for line in lines if "Warning" in line and "Supersession" not in line]
assert not warnings, warnings
assert bool(partition_range) == (turn == "first"), f"{turn} run: {partition_range!r}"

files = {path.name for path in source.iterdir()} - {"pages_12345.csv", "texts_12345.json"}
with duckdb.connect(str(store / "warehouse.duckdb"), read_only=True) as warehouse:
    found = {row[0] for row in warehouse.sql("SELECT doc_id FROM documents").fetchall()}
    assert found == files | {"12345"}, found ^ (files | {"12345"})
    assert warehouse.sql("SELECT count(*) FROM quarantined_documents").fetchall() == [(0,)]
    chunks, vectors = (
        warehouse.sql(f"SELECT count(*) FROM {name}").fetchall()[0][0]
        for name in ("doc_chunks", "doc_vectors")
    )
    assert chunks == vectors > len(found), (chunks, vectors)

hits = json.loads(Path(answer).read_text())
assert hits[0]["path"] == "refund-policy.pdf" and hits[0]["pages"] == [1], hits[0]
print(f"{turn} run: {len(found)} documents, {chunks} passages")
