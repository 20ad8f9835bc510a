"""A data folder, a source of records and a Dagster home of a test's own, and the doors to them."""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from embedding_assets_tests.integration.doors import (
    DAGSTER,
    EMBEDDING_ASSETS,
    Command,
    Finished,
    spawn,
)

GENERATOR = Path(__file__).parents[2] / "data" / "generate_data.py"
DAY_ASSETS = ("raw_records", "cleaned_records", "account_texts", "account_embeddings")
COLUMNS = (
    "account_id",
    "item_description",
    "vendor_name",
    "vendor_cuisines",
    "feature_timestamp",
)


@dataclass(frozen=True)
class Workplace:
    """Everything that a test's commands touch lies below `folder`."""

    folder: Path
    model: Path

    @property
    def data_dir(self) -> Path:
        return self.folder / "store"

    @property
    def source(self) -> Path:
        return self.folder / "source"

    @property
    def documents(self) -> Path:
        return self.folder / "documents"

    @property
    def apps(self) -> Path:
        return self.folder / "apps"

    @property
    def environment(self) -> dict[str, str]:
        return {
            "DAGSTER_HOME": str(self.folder / "dagster"),
            "EMBEDDING_ASSETS_APPS__SOURCE": str(self.apps),
            "EMBEDDING_ASSETS_AUTOMATION__RETRY_SECONDS": "0",
            "EMBEDDING_ASSETS_DATA_DIR": str(self.data_dir),
            "EMBEDDING_ASSETS_DOCUMENTS__SETTLE_SECONDS": "0",
            "EMBEDDING_ASSETS_DOCUMENTS__SOURCE": str(self.documents),
            "EMBEDDING_ASSETS_DOCUMENTS__WORKERS": "1",
            "EMBEDDING_ASSETS_MODEL__NAME": str(self.model),
            "EMBEDDING_ASSETS_RECORDS__SOURCE": str(self.source),
            "HF_HUB_OFFLINE": "1",
        }

    @classmethod
    def new(cls, folder: Path, model: Path) -> "Workplace":
        place = cls(folder, model)
        place.source.mkdir(parents=True)
        place.documents.mkdir()
        (folder / "dagster").mkdir()
        (folder / "dagster" / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
        return place

    def copy(self, folder: Path) -> "Workplace":
        shutil.copytree(self.folder, folder)
        return Workplace(folder, self.model)

    def start(
        self,
        name: str,
        *arguments: object,
        prepare: Callable[[], None] | None = None,
        **environment: object,
    ) -> Command:
        settings = self.environment | {key: str(value) for key, value in environment.items()}
        return Command(name, list(arguments), settings, self.folder / "said", prepare)

    def run(self, name: str, *arguments: object, **options: object) -> Finished:
        return self.start(name, *arguments, **options).wait()

    def embed(self, *arguments: object, **options: object) -> Finished:
        return self.run(EMBEDDING_ASSETS, "embed", *arguments, **options)

    def start_days(
        self, first: object, last: object, select: str = "group:records", **options: object
    ) -> Command:
        """`dagster asset materialize` over those days, running."""
        return self.start(
            DAGSTER, "asset", "materialize", "--select", select,
            "--partition-range", f"{first}...{last}", "-m", "embedding_assets.definitions",
            **options,
        )  # fmt: skip

    def materialize(self, first: object, last: object, **options: object) -> Finished:
        return self.start_days(first, last, **options).wait()

    def spawn(self, wrapper: list[str], *arguments: object, **environment: object) -> Finished:
        """`embedding-assets` from nothing, inside `wrapper`."""
        settings = self.environment | {key: str(value) for key, value in environment.items()}
        return spawn(EMBEDDING_ASSETS, list(arguments), settings, wrapper)

    def table(self, asset: str) -> pa.Table:
        """All rows of a Parquet asset."""
        files = sorted((self.data_dir / "assets" / asset).glob("*.parquet"))
        return pa.concat_tables([pq.read_table(path) for path in files])

    def warehouse(self, query: str) -> list[tuple]:
        path = self.data_dir / "warehouse.duckdb"
        with duckdb.connect(str(path), read_only=True) as connection:
            return connection.execute(query).fetchall()

    def computed(self) -> dict[str, int]:
        """How many texts of each day the last run that touched it had to embed."""
        return {key: stats["computed"] for key, stats in self.stats("account_embeddings").items()}

    def stats(self, asset: str) -> dict[str, dict]:
        """What the footers of an asset's partitions say."""
        from embedding_assets.storage.parquet import ParquetTable

        table = ParquetTable.at(self.data_dir / "assets" / asset)
        return {key: footer.stats for key, footer in table.footers(table.keys()).items()}

    def stored_keys(self) -> list[bytes]:
        """The key of every vector in the store, twice when it was computed twice."""
        return [
            key
            for path in sorted((self.data_dir / "vectors").glob("*/*.parquet"))
            for key in pq.read_table(path, columns=["key"])["key"].to_pylist()
        ]


def generate(out: Path, *arguments: object) -> Path:
    """Sample records by the project's own generator."""
    command = [sys.executable, str(GENERATOR), "--out", str(out), *map(str, arguments)]
    subprocess.run(command, check=True, capture_output=True)
    return out


def record(
    account: str | None = "account-1",
    item: str | None = "Margherita pizza",
    at: str | None = "2026-03-01T12:00:00+00:00",
    vendor: str | None = "Da Mario",
    cuisines: str | None = "italian, pizza",
) -> dict[str, str | None]:
    """One order record, good unless told otherwise."""
    return dict(zip(COLUMNS, (account, item, vendor, cuisines, at), strict=True))


def write_records(path: Path, records: list[dict[str, str | None]], **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    schema = pa.schema([(name, pa.string()) for name in COLUMNS])
    pq.write_table(pa.Table.from_pylist(records, schema), path, **options)
    return path


def today() -> str:
    return datetime.now(UTC).date().isoformat()


def contents(folder: Path) -> dict[str, str]:
    """Every file below `folder` with the hash of its bytes."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def leftovers(folder: Path) -> list[str]:
    """Staged files that nobody will finish."""
    return [str(path) for path in folder.rglob("*.tmp")]


def assert_named_failure(done: Finished, *words: str) -> None:
    """Exit code 1, and on standard error the problem and its mend: no traceback, nothing else."""
    assert done.code == 1, done
    assert done.out == ""
    problem, mend, *rest = done.err.splitlines()
    assert problem.startswith("error: ") and problem.endswith("."), done.err
    assert mend.startswith("       ") and mend.endswith("."), done.err
    assert rest == []
    for word in words:
        assert word in done.err


def assert_same_vectors(one: pa.Table, other: pa.Table, least_cosine: float = 0.9999) -> None:
    """The same rows in both, ids and texts equal, vectors as close as `least_cosine`."""
    keys = ["account_id", "day"] if "account_id" in one.column_names else ["item_description"]
    one, other = (table.sort_by([(key, "ascending") for key in keys]) for table in (one, other))
    plain = [name for name in one.column_names if not name.startswith("embedding")]
    assert one.select(plain).equals(other.select(plain))
    cosines = (_matrix(one) * _matrix(other)).sum(axis=1)
    assert cosines.min() >= least_cosine


def _matrix(table: pa.Table) -> np.ndarray:
    if "embedding" in table.column_names:
        return np.stack(table["embedding"].to_numpy(zero_copy_only=False))
    names = [name for name in table.column_names if name.startswith("embedding_")]
    return np.stack([table[name].to_numpy() for name in names], axis=1)


def is_root() -> bool:
    return os.geteuid() == 0
