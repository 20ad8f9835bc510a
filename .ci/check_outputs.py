"""Checks what `dagster asset materialize` over ten days has written, with DuckDB alone."""

import os
import sys
from pathlib import Path

import duckdb

turn, log = sys.argv[1], Path(sys.argv[2]).read_text()
store = Path(os.environ["EMBEDDING_ASSETS_DATA_DIR"])
source = Path(os.environ["EMBEDDING_ASSETS_RECORDS__SOURCE"]) / "records.parquet"
warnings = [line for line in log.splitlines() if "Warning" in line and "Supersession" not in line]
assert not warnings, warnings

with duckdb.connect(str(store / "warehouse.duckdb"), read_only=True) as warehouse:

    def one(query: str) -> object:
        return warehouse.sql(query).fetchall()[0][0]

    accounts = one(f"SELECT count(DISTINCT account_id) FROM '{source}'")
    assert one("SELECT count(*) FROM cleaned_records") == 500
    assert one("SELECT count(*) FROM quarantined_records") == 0
    assert one("SELECT count(*) FROM latest_account_embeddings") == accounts
    texts = one("SELECT count(*) FROM account_texts")
    assert one("SELECT count(*) FROM account_embeddings") == texts
    assert one("SELECT count(*) FROM similar_accounts") == accounts * min(10, accounts - 1)
    lengths = one(
        "SELECT max(abs(sqrt(list_sum(list_transform(embedding, lambda x: x * x))) - 1)) "
        "FROM account_embeddings"
    )
    assert lengths < 1e-4, lengths
    columns = [row[0] for row in warehouse.sql("DESCRIBE latest_account_embeddings").fetchall()]
    assert columns[:3] == ["account_id", "text_for_embedding", "embedding_0"], columns[:3]

days = sorted(path.name for path in (store / "assets" / "account_embeddings").iterdir())
assert days == [f"2026-03-{day:02}.parquet" for day in range(1, 11)], days
vectors = list((store / "vectors").glob("*/*.parquet"))
marker = store / "vectors_after_first"
if turn == "first":
    marker.write_text(str(len(vectors)))
else:
    assert len(vectors) == int(marker.read_text()), "the second run computed vectors again"
assert not list(store.rglob("*.tmp"))
print(f"{turn} run: {accounts} accounts, {len(days)} days, {len(vectors)} vector segments")
