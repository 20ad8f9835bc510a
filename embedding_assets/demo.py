"""`make demo`: sample input, the records pipeline over it in one run, the documents made
searchable, and a summary."""

import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from embedding_assets.defs.document_sync import Synced, sync
from embedding_assets.document_report import hits_text
from embedding_assets.documents.folder import list_document_files
from embedding_assets.embedding.store import VectorStore
from embedding_assets.errors import EmbeddingAssetsError, InputNotFoundError
from embedding_assets.records.source import list_record_files
from embedding_assets.report import table
from embedding_assets.settings import load_settings
from embedding_assets.workspace import DUCKDB_ASSETS, PARQUET_ASSETS, Workspace, open_workspace

ROOT = Path(__file__).resolve().parent.parent
DAGSTER_HOME = ROOT / "data" / "dagster"
QUESTION = "how long does a refund take"
_STEP = re.compile(r" - (?P<step>\w+) - STEP_SUCCESS - .* in (?P<time>[\d.]+m?s)")


@dataclass(frozen=True)
class Outcome:
    """What one run over all days with records did."""

    days: tuple[str, str]
    computed: int
    reused: int
    seconds: float
    log: Path


def main() -> None:
    """Run the demo; exits with 1 and a reason when it cannot."""
    os.chdir(ROOT)
    os.environ.setdefault("DAGSTER_HOME", str(DAGSTER_HOME))
    try:
        workspace = open_workspace(load_settings())
        _provide_records(workspace)
        _provide_documents(workspace)
        outcome = materialize(workspace)
        synced = sync(workspace, register_only=False, say=_say)
        print(_summary(workspace, outcome, synced))
    except EmbeddingAssetsError as error:
        raise SystemExit(f"error: {error.problem}\n       {error.mend}") from None


def materialize(workspace: Workspace) -> Outcome:
    """Materialize every record asset over all days with records, through the Dagster CLI.

    Raises EmbeddingAssetsError, with the end of the log, when the run fails.
    """
    days = sorted(day for day in workspace.inventory().days() if day in workspace.days.range)
    if not days:
        raise InputNotFoundError(
            f"No record in {workspace.days.source} falls on a day since {workspace.days.start}.",
            "Put record files there, or move the folder away for fresh sample input.",
        )
    command = [
        sys.executable, "-m", "dagster", "asset", "materialize", "--select", "group:records",
        "--partition-range", f"{days[0]}...{days[-1]}", "-m", "embedding_assets.definitions",
    ]  # fmt: skip
    print(f"Materializing {days[0]} to {days[-1]} in one run ...", file=sys.stderr)
    known, started = _stored_vectors(workspace), time.monotonic()
    log = workspace.data_dir / "demo.log"
    with (
        log.open("w") as file,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as run,
    ):
        for line in run.stdout or ():
            file.write(line)
            if step := _STEP.search(line):
                print(f"  {step['step']:<60} {step['time']:>8}", file=sys.stderr)
    if run.returncode:
        end = "".join(log.read_text().splitlines(keepends=True)[-15:])
        raise EmbeddingAssetsError(f"The run failed:\n{end}", f"The whole log is {log}.")
    computed = _stored_vectors(workspace) - known
    embedded = workspace.rows("account_embeddings") + workspace.rows("item_embeddings")
    seconds = time.monotonic() - started
    return Outcome((str(days[0]), str(days[-1])), computed, embedded - computed, seconds, log)


def _provide_records(workspace: Workspace) -> None:
    source = Path(workspace.days.source)
    if source.exists() and list_record_files(workspace.days.source):
        _say(f"Keeping the records in {source}.")
        return
    _generate("--out", source / "records.parquet")


def _provide_documents(workspace: Workspace) -> None:
    folder = workspace.library.folder
    if folder.exists() and list_document_files(folder):
        _say(f"Keeping the documents in {folder}.")
        return
    _generate("--documents", folder)


def _generate(*options: object) -> None:
    generator = ROOT / "data" / "generate_data.py"
    subprocess.run([sys.executable, generator, *map(str, options)], check=True)


def _say(line: str) -> None:
    print(line, file=sys.stderr)


def _stored_vectors(workspace: Workspace) -> int:
    if workspace.known_fingerprint is None:
        return 0
    return len(VectorStore(workspace.data_dir / "vectors", workspace.fingerprint, 0))


def _summary(workspace: Workspace, outcome: Outcome, synced: Synced) -> str:
    version = workspace.registry.version_of(workspace.settings.model.name, workspace.fingerprint)
    rows: list[tuple[object, ...]] = [
        (name, f"{workspace.rows(name):,}", workspace.table(name).folder) for name in PARQUET_ASSETS
    ]
    rows += [
        (name, f"{sum(f.rows for f in workspace.tables.footers(name)):,}", "warehouse.duckdb")
        for name in DUCKDB_ASSETS
    ]
    vectors = f"{outcome.computed:,} computed, {outcome.reused:,} reused"
    hits = workspace.library.search.search(QUESTION, k=2)
    return f"""
{table(("asset", "rows", "where"), rows)}

days       {outcome.days[0]} to {outcome.days[1]}, in {outcome.seconds:.0f} s
vectors    {vectors}
model      {version} ({workspace.precision.precision}, fingerprint {workspace.fingerprint[:12]})
documents  {synced.documents} in {workspace.library.folder}, {synced.to_run} read by this run
query      {workspace.warehouse.path} (every asset by its name)
runs       {workspace.settings.tracking_uri}
log        {outcome.log}

$ embedding-assets search "{QUESTION}" -k 2

{hits_text(hits)}

Look at it:  make ui"""


if __name__ == "__main__":
    main()
