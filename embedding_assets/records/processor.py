"""One file of order records to one file of account embeddings, without Dagster."""

import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from embedding_assets.errors import EmptyInputError, NotWritableError
from embedding_assets.records.clean import CLEAN_SCHEMA, QUARANTINE_SCHEMA, DayRange, clean
from embedding_assets.records.embed import Progress, embed_accounts, to_wide, wide_schema
from embedding_assets.records.source import RAW_SCHEMA, raw_records_sql, readable
from embedding_assets.records.text import account_texts
from embedding_assets.storage.duck import query_engine, quoted
from embedding_assets.storage.files import published
from embedding_assets.storage.slices import Stats

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from embedding_assets.embedding.encoder import Encoder
    from embedding_assets.embedding.store import VectorStore

_BATCH_ROWS = 65_536
_BATCH_TEXTS = 4_096


@dataclass(frozen=True)
class ProcessingReport:
    """What became of an input file."""

    output: Path
    records: int
    duplicates: int
    accounts: int
    quarantined: int
    quarantine: Path | None
    tokens: int
    windowed: int
    truncated_tokens: int
    reused: int
    computed: int
    seconds: float
    fingerprint: str


class EmbeddingProcessor:
    """Reads a Parquet file of order records, builds one text per account, embeds it and writes a
    Parquet file with `account_id`, `text_for_embedding`, `embedding_0` … `embedding_N`.

    model: packaged name, Sentence Transformers folder, `.tar.gz` archive or cached hub name.
    data_dir: where computed vectors are kept and found again.
    history_days: how far an account's text looks back from its last order; None: all of it.
    """

    def __init__(
        self,
        model: "str | Encoder" = "all-MiniLM-L6-v2",
        data_dir: str | Path = "data/store",
        *,
        history_days: int | None = None,
        precision: str = "auto",
        device: str = "auto",
        threads: int | None = None,
        query_memory_mb: int = 384,
    ) -> None:
        self.data_dir = Path(data_dir)
        self.history_days = history_days
        self.query_memory_mb = query_memory_mb
        self._model = model
        self._precision, self._device, self._threads = precision, device, threads

    @cached_property
    def encoder(self) -> "Encoder":
        """The encoder, loaded once at its first use.

        Raises ModelLoadError, ModelDamagedError.
        """
        if not isinstance(self._model, str):
            return self._model
        from embedding_assets.embedding.first_use import remember, require_unchanged
        from embedding_assets.embedding.model import load_encoder, resolve_model
        from embedding_assets.embedding.precision import pin

        models_dir = self.data_dir / "models"
        model = resolve_model(self._model, models_dir)
        require_unchanged(model, models_dir)
        report = pin(model, models_dir, self._precision)
        encoder = load_encoder(model, report, device=self._device, threads=self._threads)
        remember(model, models_dir)
        return encoder

    @cached_property
    def vectors(self) -> "VectorStore":
        """The store of the encoder's vectors below `data_dir`."""
        from embedding_assets.embedding.store import VectorStore
        from embedding_assets.storage.version import ensure_store

        ensure_store(self.data_dir)
        return VectorStore.of(self.data_dir / "vectors", self.encoder)

    def process(
        self,
        input_path: str | Path,
        output_path: str | Path,
        *,
        on_start: Progress | None = None,
        on_progress: Progress | None = None,
    ) -> ProcessingReport:
        """Embed the accounts of one record file; the output appears whole or not at all.

        Rows that cannot be used stand, with the reason, in `<output>.quarantined.parquet`.
        on_start gets the number of accounts, on_progress the accounts of each finished batch.

        Raises InputError, ModelError, OutputError and StoreError subclasses.
        """
        source, output = Path(input_path), Path(output_path)
        query = raw_records_sql(source)
        check_writable(output)
        _refuse_input_as_target(source, output)
        with ExitStack() as stack:
            work = Path(
                stack.enter_context(tempfile.TemporaryDirectory(prefix="embedding_assets-"))
            )
            connection = stack.enter_context(query_engine(self.query_memory_mb))
            with readable(source):
                raw = connection.sql(query).to_arrow_reader(_BATCH_ROWS)
                records, bad = _part(raw, work)
            quarantine = _publish_quarantine(work / "bad.parquet", output, is_empty=not bad)
            _refuse_nothing(source, records, bad, quarantine)
            accounts, distinct = _load(connection, work / "good.parquet")
            if on_start:
                on_start(accounts)
            stats: Stats = {}
            self._write(connection, output, stats, on_progress)
        return ProcessingReport(
            output=output,
            records=records,
            duplicates=records - sum(bad.values()) - distinct,
            accounts=accounts,
            quarantined=sum(bad.values()),
            quarantine=quarantine,
            **{name: stats[name] for name in _REPORTED},
        )

    def _write(
        self,
        connection: "DuckDBPyConnection",
        output: Path,
        stats: Stats,
        on_progress: Progress | None,
    ) -> None:
        texts = account_texts(connection, history_days=self.history_days, batch_rows=_BATCH_TEXTS)
        schema = wide_schema(self.vectors.dimension)  # the store's version is checked first
        with published(output) as staged, pq.ParquetWriter(staged, schema) as writer:
            for batch in embed_accounts(texts, self.encoder, self.vectors, stats, on_progress):
                writer.write_batch(to_wide(batch))


def check_writable(target: Path) -> None:
    """Refuse a target that cannot be written before any work is done for it.

    Raises NotWritableError.
    """
    folder = target.parent
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    if target.is_dir():
        raise NotWritableError(f"{target} is a folder.", "Name a file, such as embeddings.parquet.")
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        raise NotWritableError(
            f"{target} cannot be written: {folder} is not a writable folder.",
            "Change its permissions or choose another path.",
        )


def _part(raw: pa.RecordBatchReader, work: Path) -> tuple[int, Counter[str]]:
    """Good rows to good.parquet, bad ones to bad.parquet; all rows, and the bad ones by reason."""
    rows, reasons = 0, Counter[str]()
    days = DayRange(date(1, 1, 2), datetime.now(UTC).date())
    with (
        pq.ParquetWriter(work / "good.parquet", CLEAN_SCHEMA) as good,
        pq.ParquetWriter(work / "bad.parquet", QUARANTINE_SCHEMA) as bad,
    ):
        for part in clean(_cast(raw), days):
            rows += len(part.good) + len(part.bad)
            good.write_batch(part.good)
            bad.write_batch(part.bad)
            reasons.update(part.bad["reason"].to_pylist())
    return rows, reasons


def _cast(raw: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    for batch in raw:
        yield batch.select(RAW_SCHEMA.names).cast(RAW_SCHEMA)


def _load(connection: "DuckDBPyConnection", good: Path) -> tuple[int, int]:
    """Make the distinct good rows the table `records`; (accounts, rows)."""
    connection.execute(
        f"CREATE TABLE records AS SELECT DISTINCT * FROM {quoted(good)} ORDER BY account_id"
    )
    query = "SELECT count(DISTINCT account_id), count(*) FROM records"
    [(accounts, rows)] = connection.execute(query).fetchall()
    return accounts, rows


def _publish_quarantine(bad: Path, output: Path, *, is_empty: bool) -> Path | None:
    """Put the bad rows beside the output; those of an earlier run go away."""
    target = output.with_suffix(".quarantined.parquet")
    if is_empty:
        target.unlink(missing_ok=True)
        return None
    with published(target) as staged:
        shutil.copyfile(bad, staged)
    return target


def _refuse_input_as_target(source: Path, output: Path) -> None:
    if source.resolve() in (output.resolve(), output.with_suffix(".quarantined.parquet").resolve()):
        raise NotWritableError(
            f"{output} would overwrite the input {source}.", "Choose another path for the output."
        )


def _refuse_nothing(source: Path, rows: int, bad: Counter[str], quarantine: Path | None) -> None:
    if rows == 0:
        raise EmptyInputError(f"{source} holds no records.", "Give a file with at least one row.")
    if rows == sum(bad.values()):
        reasons = ", ".join(f"{reason} ({count})" for reason, count in bad.most_common(3))
        raise EmptyInputError(
            f"None of the {rows} records in {source} can be used: {reasons}.",
            f"Mend the rows listed in {quarantine}.",
        )


_REPORTED = (
    "tokens", "windowed", "truncated_tokens", "reused", "computed", "seconds", "fingerprint",
)  # fmt: skip
