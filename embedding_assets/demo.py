"""`make demo`: sample input, the records pipeline over it in one run, the documents made searchable
with categories and names, the apps comparable, two experiments at work, a second embedding model
tried, and a summary."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

from embedding_assets.defs.document_sync import sync
from embedding_assets.demo_experiments import provide_experiments
from embedding_assets.demo_models import provide_release
from embedding_assets.demo_summary import Outcome, Records, summary_text
from embedding_assets.documents.folder import list_document_files
from embedding_assets.embedding.store import VectorStore
from embedding_assets.errors import EmbeddingAssetsError, InputNotFoundError
from embedding_assets.records.source import list_record_files
from embedding_assets.settings import DEFAULT_ENTITIES, DEFAULT_LABELS, load_settings
from embedding_assets.workspace import Workspace, open_workspace

ROOT = Path(__file__).resolve().parent.parent
DAGSTER_HOME = ROOT / "data" / "dagster"
_STEP = re.compile(r" - (?P<step>\w+) - STEP_SUCCESS - .* in (?P<time>[\d.]+m?s)")


def main() -> None:
    """Run the demo; exits with 1 and a reason when it cannot."""
    os.chdir(ROOT)
    os.environ.setdefault("DAGSTER_HOME", str(DAGSTER_HOME))
    try:
        workspace = open_workspace(load_settings())
        _provide_records(workspace)
        _provide_labels(workspace)
        _provide_documents(workspace)
        _provide_apps(workspace)
        records = materialize(workspace)
        documents = sync(workspace, register_only=False, say=_say)
        materialize_apps(workspace)
        experiments = provide_experiments(workspace, _say)
        released = provide_release(workspace, _say)
        outcome = Outcome(records, documents, experiments, released, _log(workspace))
        print(summary_text(workspace, outcome))
    except EmbeddingAssetsError as error:
        raise SystemExit(f"error: {error.problem}\n       {error.mend}") from None


def materialize(workspace: Workspace) -> Records:
    """Materialize every record asset over all days with records, through the Dagster CLI.

    Raises EmbeddingAssetsError, with the end of the log, when the run fails.
    """
    accounts = workspace.accounts
    days = sorted(day for day in accounts.inventory().days() if day in accounts.days.range)
    if not days:
        source, start = accounts.days.source, accounts.days.start
        raise InputNotFoundError(
            f"No record in {source} falls on a day since {start}.",
            "Put record files there, or move the folder away for fresh sample input.",
        )
    _say(f"Materializing {days[0]} to {days[-1]} in one run ...")
    known, started = _stored_vectors(workspace), time.monotonic()
    _log(workspace).write_text("")
    _run(_log(workspace), "records", f"{days[0]}...{days[-1]}")
    computed = _stored_vectors(workspace) - known
    embedded = workspace.rows("account_embeddings") + workspace.rows("item_embeddings")
    seconds = time.monotonic() - started
    return Records((str(days[0]), str(days[-1])), computed, embedded - computed, seconds)


def materialize_apps(workspace: Workspace) -> None:
    """Materialize every app asset in all versions, through the Dagster CLI.

    Raises EmbeddingAssetsError, with the end of the log, when the run fails.
    """
    versions = workspace.catalogue.versions
    _say(f"Materializing apps, versions {' and '.join(versions)}, in one run ...")
    _run(_log(workspace), "apps", f"{versions[0]}...{versions[-1]}")


def _run(log: Path, group: str, partition_range: str) -> None:
    command = [
        sys.executable, "-m", "dagster", "asset", "materialize", "--select", f"group:{group}",
        "--partition-range", partition_range, "-m", "embedding_assets.definitions",
    ]  # fmt: skip
    with (
        log.open("a") as file,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as run,
    ):
        for line in run.stdout or ():
            file.write(line)
            if step := _STEP.search(line):
                _say(f"  {step['step']:<60} {step['time']:>8}")
    if run.returncode:
        end = "".join(log.read_text().splitlines(keepends=True)[-15:])
        raise EmbeddingAssetsError(f"The run failed:\n{end}", f"The whole log is {log}.")


def _provide_records(workspace: Workspace) -> None:
    source = Path(workspace.accounts.days.source)
    if source.exists() and list_record_files(str(source)):
        _say(f"Keeping the records in {source}.")
        return
    _generate("--out", source / "records.parquet")


def _provide_documents(workspace: Workspace) -> None:
    folder = workspace.library.folder
    if folder.exists() and list_document_files(folder):
        _say(f"Keeping the documents in {folder}.")
        return
    _generate("--documents", folder)


def _provide_labels(workspace: Workspace) -> None:
    """Labelled samples for the two models that are trained here, unless there are any."""
    settings = workspace.settings
    if settings.classification.labels == DEFAULT_LABELS and not settings.classification.labelled:
        _generate("--labels", DEFAULT_LABELS)
    if settings.entities.training == DEFAULT_ENTITIES and not settings.entities.labelled:
        _generate("--entities", Path(DEFAULT_ENTITIES) / "samples.jsonl")


def _provide_apps(workspace: Workspace) -> None:
    catalogue = workspace.catalogue
    missing = catalogue.missing()
    if not missing:
        _say(f"Keeping the apps in {catalogue.files.folder}.")
        return
    if any(path.exists() for path in catalogue.files.all(catalogue.versions)):
        raise InputNotFoundError(
            f"Files of apps are missing: {', '.join(map(str, missing))}.",
            "Put them there, or move the folder away for fresh sample input.",
        )
    _generate("--apps", catalogue.files.folder)


def _generate(*options: object) -> None:
    generator = ROOT / "data" / "generate_data.py"
    subprocess.run([sys.executable, generator, *map(str, options)], check=True)


def _say(line: str) -> None:
    print(line, file=sys.stderr)


def _log(workspace: Workspace) -> Path:
    return workspace.data_dir / "demo.log"


def _stored_vectors(workspace: Workspace) -> int:
    if workspace.known_fingerprint is None:
        return 0
    return len(VectorStore(workspace.data_dir / "vectors", workspace.fingerprint, 0))


if __name__ == "__main__":
    main()
