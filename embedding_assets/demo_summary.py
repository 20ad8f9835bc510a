"""What `make demo` ends with."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from embedding_assets.app_report import prediction_text, similar_text
from embedding_assets.asset_tables import DUCKDB_ASSETS, PARQUET_ASSETS
from embedding_assets.category_report import categories_of, categories_text
from embedding_assets.defs.document_sync import Synced
from embedding_assets.demo_models import Released, release_lines
from embedding_assets.document_report import hits_text
from embedding_assets.entity_report import entities_text
from embedding_assets.errors import NotFoundError
from embedding_assets.experiments.analysis import Analysis
from embedding_assets.experiments.report import decision_text
from embedding_assets.report import table
from embedding_assets.workspace import Workspace

_FEW = 10
QUESTION = "how long does a refund take"


@dataclass(frozen=True)
class Records:
    """What one run over all days with records did."""

    days: tuple[str, str]
    computed: int
    reused: int
    seconds: float


@dataclass(frozen=True)
class Outcome:
    """What the demo did. log: of its runs."""

    records: Records
    documents: Synced
    experiments: Sequence[Analysis]
    released: Released
    log: Path


def summary_text(workspace: Workspace, outcome: Outcome) -> str:
    """What there is now, an example of each part, and how to go on."""
    hits = workspace.library.search.search(QUESTION, k=2)
    return f"""
{_assets(workspace)}

{_facts(workspace, outcome)}

$ embedding-assets search "{QUESTION}" -k 2

{hits_text(hits)}

{_labelled(workspace)}

{_apps(workspace)}

Experiments, whose users called demo-... are simulated:

{_experiments(outcome.experiments)}

A second embedding model, {outcome.released.staged.version}, made here and judged by the gates:

{_lines(release_lines(outcome.released))}

Look at it:  make ui
Use it:      embedding-assets serve
             and its page, http://127.0.0.1:8000/"""


def _assets(workspace: Workspace) -> str:
    rows: list[tuple[object, ...]] = [
        (name, f"{workspace.rows(name):,}", workspace.table(name).folder) for name in PARQUET_ASSETS
    ]
    rows += [
        (name, f"{sum(f.rows for f in workspace.tables.footers(name)):,}", "warehouse.duckdb")
        for name in DUCKDB_ASSETS
    ]
    return table(("asset", "rows", "where"), rows)


def _facts(workspace: Workspace, outcome: Outcome) -> str:
    records, documents, catalogue = outcome.records, outcome.documents, workspace.catalogue
    model = workspace.registry.version_of(workspace.settings.model.name, workspace.fingerprint)
    apps, versions = workspace.rows("app_catalogue"), " and ".join(catalogue.versions)
    return f"""\
days       {records.days[0]} to {records.days[1]}, in {records.seconds:.0f} s
vectors    {records.computed:,} computed, {records.reused:,} reused
model      {model} ({workspace.precision.precision}, fingerprint {workspace.fingerprint[:12]})
documents  {documents.documents} in {workspace.library.folder}, {documents.to_run} read by this run
apps       {apps:,} in {catalogue.files.folder}, versions {versions}
query      {workspace.warehouse.path} (every asset by its name)
runs       {workspace.settings.tracking_uri}
log        {outcome.log}"""


def _labelled(workspace: Workspace) -> str:
    """The categories of the documents, and names that were found in them."""
    entities = workspace.entities.of_document(None)
    labels: dict[str, set[str]] = {}
    for each in entities:
        labels.setdefault(each["doc_id"], set()).add(each["label"])
    doc_id = max(labels, key=lambda document: len(labels[document]), default="")
    found = {(e["label"], e["text"]): e for e in entities if e["doc_id"] == doc_id}
    more = f"\n  ... and {len(found) - _FEW} more" if len(found) > _FEW else ""
    return f"""\
$ embedding-assets documents categories

{categories_text(categories_of(workspace))}

$ embedding-assets documents entities {doc_id}

{entities_text([*found.values()][:_FEW])}{more}"""


def _apps(workspace: Workspace) -> str:
    """Apps similar to one of them, and what to expect of it."""
    service, version = workspace.catalogue.service, workspace.catalogue.versions[-1]
    app_id = _well_known(workspace)
    similar = service.find_similar(app_id, version, 3)
    try:
        predicted = prediction_text(service.predict(app_id))
    except NotFoundError as error:
        predicted = error.problem
    return f"""\
$ embedding-assets apps similar {app_id} --version {version} -k 3

{similar_text(similar)}

$ embedding-assets apps predict {app_id}

{predicted}"""


def _well_known(workspace: Workspace) -> str:
    """The app of which most is known; the first of those."""
    apps = workspace.table("app_catalogue").read().to_pylist()
    best = max(apps, key=lambda app: sum(value is not None for value in app.values()))
    return str(best["app_id"])


def _experiments(analyses: Sequence[Analysis]) -> str:
    lines = []
    for each in analyses:
        lines.append(f"  {each.experiment.plan.id}: {decision_text(each.judgement)}")
        lines += [f"    {reason}" for reason in each.judgement.reasons]
    return "\n".join(lines) or "  none"


def _lines(lines: Sequence[str]) -> str:
    return "\n".join(lines)
