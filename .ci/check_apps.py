"""Checks what the materialization of all sample apps has made, with DuckDB alone."""

import json
import os
import sys
from pathlib import Path

import duckdb

turn, app_id, log, answer = sys.argv[1:]
store = Path(os.environ["EMBEDDING_ASSETS_DATA_DIR"])
source = Path(os.environ["EMBEDDING_ASSETS_APPS__SOURCE"])
lines = Path(log).read_text().splitlines()
warnings = [line for line in lines if "Warning" in line and "Supersession" not in line]
assert not warnings, warnings

with duckdb.connect(str(store / "warehouse.duckdb"), read_only=True) as warehouse:

    def rows(query: str) -> list[tuple[object, ...]]:
        return warehouse.sql(query).fetchall()

    ids = f"SELECT DISTINCT app_id FROM read_csv('{source}/sample_apps.csv')"
    [(apps,)] = rows(f"SELECT count(*) FROM ({ids})")
    assert rows(
        f"SELECT count(*), count(DISTINCT app_id) FROM app_catalogue WHERE app_id IN ({ids})"
    ) == [(apps, apps)]
    versions = rows(
        "SELECT version, count(DISTINCT app_id), min(len(vector)), max(len(vector)) "
        "FROM app_vectors GROUP BY 1 ORDER BY 1"
    )
    assert versions == [("v1", apps, 64, 64), ("v2", apps, 128, 128)], versions
    sums = "SELECT sum(clicks), sum(impressions) FROM"
    observed = rows(f"{sums} read_csv('{source}/historical_performance.csv')")
    assert rows(f"{sums} app_performance") == observed, observed
    assert rows("SELECT DISTINCT version FROM performance_model ORDER BY 1") == [("v1",), ("v2",)]
    assert rows("SELECT count(*) FROM quarantined_app_rows") == [(0,)]
    [(category,)] = rows(f"SELECT super_category FROM app_catalogue WHERE app_id = '{app_id}'")

found = json.loads(Path(answer).read_text())
scores = [each["score"] for each in found["results"]]
alike = [each["category"] == category for each in found["results"]]
assert found["version"] == "v2" and found["placed_by"] == "known", found
assert len(scores) == 10 and scores == sorted(scores, reverse=True), scores
assert app_id not in {each["app_id"] for each in found["results"]}
assert sum(alike) > len(alike) / 2, found["results"]

assets = ("app_catalogue", "app_vectors", "app_performance", "performance_model")
files = [path for name in assets for path in sorted((store / "assets" / name).iterdir())]
state = repr([found["index_version"], *((path.name, path.stat().st_mtime_ns) for path in files)])
marker = store / "apps_after_first"
if turn == "first":
    marker.write_text(state)
else:
    assert state == marker.read_text(), "the second run made something again"
print(f"{turn} run: {apps} apps in 2 versions, {sum(alike)} of {len(alike)} similar ones alike")
