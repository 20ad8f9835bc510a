"""What the maps are drawn from: accounts, passages of documents, apps."""

from collections.abc import Callable, Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import numpy as np

from embedding_assets.quality.maps import MapSource, MapState, Sample, sampled
from embedding_assets.search.accounts import AccountSearch
from embedding_assets.search.documents import DocumentSearch

if TYPE_CHECKING:
    from embedding_assets.apps.index import AppIndex

_FEW = 2


def map_sources(
    apps: "Callable[[], AppIndex]", documents: DocumentSearch, accounts: AccountSearch
) -> Sequence[MapSource]:
    """The maps there may be, in the order in which people see them. apps: the index of apps."""
    return (
        MapSource(
            "apps", "Apps by category", lambda: _app_state(apps()),
            lambda: sample_apps(apps()),
        ),
        MapSource(
            "documents", "Passages of documents", lambda: _document_state(documents),
            lambda: sample_passages(documents),
        ),
        MapSource(
            "accounts", "Accounts by main cuisine", lambda: MapState(*accounts.state),
            lambda: sample_accounts(accounts),
        ),
    )  # fmt: skip


def sample_accounts(search: AccountSearch) -> Sample:
    """Accounts by their latest embedding, grouped by main cuisine."""
    accounts = search.accounts()
    rows = np.flatnonzero(search.allowed(accounts))
    rows = rows[sampled(len(rows))]
    return Sample(
        accounts.ids.take(rows).to_pylist(),
        accounts.texts.take(rows).to_pylist(),
        accounts.cuisines.take(rows).to_pylist(),
        np.asarray(accounts.index.vectors[rows]),
    )


def sample_passages(search: DocumentSearch) -> Sample:
    """Passages of documents, grouped by category where there are any, else by document."""
    served = search.served
    version = served.version
    rows = np.arange(version.manifest.rows)
    if served.allowed is not None:
        rows = np.flatnonzero(served.allowed)
    rows = rows[sampled(len(rows))]
    passages = [version.passages[row] for row in rows.tolist()]
    documents = version.documents.select(["path", "title", "category"])
    documents = documents.take(np.searchsorted(version.doc_ends, rows, side="right")).to_pylist()
    by_category = len({each["category"] for each in documents} - {None}) >= _FEW
    return Sample(
        [passage["chunk_id"] for passage in passages],
        [f"{_name(each)}: {p['text']}" for each, p in zip(documents, passages, strict=True)],
        [each["category"] if by_category else _name(each) for each in documents],
        version.vectors.take(rows),
    )


def sample_apps(index: "AppIndex") -> Sample:
    """Apps by the vectors of the version that predicts best, grouped by category."""
    name = index.manifest.predicts or max(index.versions)
    chosen = index.versions[name]
    places = sampled(len(chosen.rows))
    rows = chosen.rows[places].tolist()
    apps = [index.metadata.app(row) for row in rows]
    ids = [index.ids[row] for row in rows]
    return Sample(
        ids,
        [app.name or app_id for app, app_id in zip(apps, ids, strict=True)],
        [app.category for app in apps],
        chosen.index.take(places),
    )


def _document_state(search: DocumentSearch) -> MapState:
    served = search.served
    return MapState(served.version.manifest.version, served.tombstones)


def _app_state(index: "AppIndex") -> MapState:
    return MapState(index.manifest.version)


def _name(document: dict[str, str | None]) -> str:
    """What people call a document: its title, else its file."""
    return document["title"] or PurePosixPath(document["path"] or "").name
