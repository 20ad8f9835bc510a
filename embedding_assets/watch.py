"""What is watched for drift: accounts, documents, queries and apps, each now and before."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from embedding_assets.apps.sightings import sighted
from embedding_assets.quality.drift import Drift, Sample
from embedding_assets.quality.drift_blocks import Blocks, common_limit
from embedding_assets.quality.drift_scores import ScoreDrift, Scores, measure_score_drift
from embedding_assets.quality.drift_sources import (
    NOTHING,
    Compared,
    chosen,
    compare_accounts,
    compare_documents,
    document_days,
    matrix,
)
from embedding_assets.quality.drift_table import Look, Proposals, Span, drift_slice, taken
from embedding_assets.search.query_log import (
    QUERIES,
    query_keys,
    read_queries,
    search_counts,
    unit_of,
    vectors_in,
)
from embedding_assets.storage.slices import Footer, Slice, digest_of, table_slice

if TYPE_CHECKING:
    from embedding_assets.workspace import Workspace

DOMAINS = ("accounts", "documents", "queries", "apps")
MODES = ("hybrid", "semantic", "keyword")
SIGHTINGS = "app_sightings"
"""The table of when each app's vector was first seen; see `apps.sightings`."""
Side: TypeAlias = tuple[date, date]


class Watch:
    """What is stored in a workspace, looked at for drift."""

    def __init__(self, workspace: "Workspace", last: date | None = None) -> None:
        """last: the last day of the window; today (UTC) unless it is given."""
        self._workspace = workspace
        self._settings = workspace.settings.drift
        self._today = datetime.now(UTC).date()
        settings = self._settings
        self.span = Span.until(last or self._today, settings.days, settings.reference_days)

    def slices(self) -> Iterator[Slice]:
        """The rows of each domain (DRIFT_SCHEMA): of this window, and of those before it."""
        table = self._workspace.table("embedding_drift")
        self._keep_sightings()
        for domain in DOMAINS:
            yield drift_slice(table, self.looks(domain), self.span, self._settings.level)

    def rows(self) -> list[dict[str, Any]]:
        """The rows of this window, measured now; nothing is stored of them."""
        looks = [look for domain in DOMAINS for look in self.looks(domain)]
        return [taken(look, self.span, self._settings.level) for look in looks]

    def looks(self, domain: str) -> list[Look]:
        """The measures of a domain, none of them taken yet."""
        made: dict[str, Callable[[], list[Look]]] = {
            "accounts": self._accounts,
            "documents": self._documents,
            "queries": self._queries,
            "apps": self._apps,
        }
        return made[domain]()

    def _accounts(self) -> list[Look]:
        fingerprint = self._workspace.known_fingerprint
        if fingerprint is None:
            return [_nothing("accounts")]
        table = self._workspace.table("account_embeddings")
        compared = compare_accounts(table, fingerprint, self.span, self._settings.most_units)
        first = max(self.span.reference_start, self._workspace.settings.records.start_date)
        days = f"{first}...{self.span.window_end}"
        again = _materialize("account_embeddings", f"--partition-range {days} ")
        proposals = Proposals(_NEW_MODEL, again)
        return [self._vectors("accounts", compared, fingerprint, proposals)]

    def _documents(self) -> list[Look]:
        fingerprint = self._workspace.known_fingerprint
        if fingerprint is None:
            return [_nothing("documents")]
        library, most = self._workspace.library, self._settings.most_units
        hidden = library.snapshots.tombstones.ids()
        days = document_days(library.stored_inventory.entries, hidden)
        table = self._workspace.table("doc_vectors")
        compared = compare_documents(days, table, fingerprint, self.span, most)
        proposals = Proposals(_NEW_MODEL, "embedding-assets documents sync")
        look = self._vectors("documents", compared, fingerprint, proposals)
        return [look, *self._categories({name: day for name, (day, _) in days.items()})]

    def _categories(self, days: Mapping[str, date]) -> list[Look]:
        """How sure the classifier is of each document, where there is one."""
        table, most = self._workspace.table("doc_categories"), self._settings.most_units
        if not table.folder.exists():
            return []
        sides = [
            table.footers(chosen((key for key, day in days.items() if _is_on(day, side)), most))
            for side in self.span.sides
        ]
        columns = ["doc_id", "probability"]

        def take(permutations: int) -> ScoreDrift:
            named = [[key for key, footer in side.items() if footer.rows] for side in sides]
            rows = [
                table.dataset(keys).to_table(columns=columns) if keys else None for keys in named
            ]
            scores = (_scores(each, *columns) for each in rows)
            return measure_score_drift(*scores, permutations=permutations)

        digest = digest_of("doc_categories", [*map(_digests, sides)])
        return [Look("documents", "category probability", digest, take, None, Proposals(_LABELS))]

    def _queries(self) -> list[Look]:
        table, fingerprint = self._workspace.table(QUERIES), self._workspace.known_fingerprint
        if fingerprint is None or not table.folder.exists():
            is_off = not self._settings.query_log
            return [_nothing("queries", "no searches are kept (drift.query_log)" if is_off else "")]
        sides = [table.footers(query_keys(table, *side)) for side in self.span.sides]
        digest = digest_of("queries", [*map(_digests, sides)])
        compared = partial(self._asked, digest, fingerprint)
        proposals = Proposals(_EXPERIMENT)  # queries of another model cannot be made anew
        vectors = Look(
            "queries",
            "vectors",
            digest,
            lambda count: compared().drift(self._settings.level, count),
            fingerprint,
            proposals,
        )
        scores = [
            Look(
                "queries", f"top score, {mode}", digest,
                partial(self._top_scores, fingerprint, mode), fingerprint, proposals,
            )
            for mode in MODES
        ]  # fmt: skip
        return [vectors, *scores]

    def _asked(self, digest: str, fingerprint: str) -> Compared:
        """Each distinct query is a unit, on however many days it was asked."""
        table = self._workspace.table(QUERIES)
        blocks = self._blocks(fingerprint)
        where = {"fingerprint": fingerprint}
        samples = []
        for own in self._queries_of(blocks, ("text", "vector"), where, with_vector=True):
            _, vectors = vectors_in(own)
            texts = [text or "" for text in own["text"].to_pylist()]
            samples.append(Sample([*map(unit_of, own["key"].to_pylist())], vectors, texts))
        before, now = (
            sum(
                each.searches
                for each in search_counts(table, *side)
                if each.fingerprint != fingerprint and each.mode != "keyword"
            )
            for side in self.span.sides
        )
        sides = samples[0], samples[1]
        return Compared(digest, lambda: sides, (before, now), too_short=blocks[0].reason)

    def _top_scores(self, fingerprint: str, mode: str, permutations: int) -> ScoreDrift:
        blocks = self._blocks(fingerprint, mode)
        where = {"mode": mode, "fingerprint": fingerprint}
        found = self._queries_of(blocks, ("top_score",), where)
        scores = (_scores(rows, "key", "top_score") for rows in found)
        drift = measure_score_drift(*scores, permutations=permutations)
        return replace(drift, reason=blocks[0].reason or drift.reason)

    def _blocks(self, fingerprint: str, mode: str | None = None) -> tuple[Blocks, Blocks]:
        """The days on which a model was searched, before the window and within it."""
        table = self._workspace.table(QUERIES)
        before, now = (
            {
                each.day
                for each in search_counts(table, *side)
                if each.fingerprint == fingerprint
                and (each.mode == mode if mode else each.mode != "keyword")
            }
            for side in self.span.sides
        )
        return Blocks.before(before, now), Blocks.window(now)

    def _queries_of(
        self,
        blocks: tuple[Blocks, Blocks],
        columns: tuple[str, ...],
        where: Mapping[str, str],
        *,
        with_vector: bool = False,
    ) -> list[pa.Table]:
        """The queries of both sides, with their keys: of the same part of all queries."""
        table, most = self._workspace.table(QUERIES), self._settings.most_units
        found = [
            read_queries(
                table, each.days, most,
                columns=columns, where=where, with_vector=with_vector, counts=each.seen,
            )
            for each in blocks
        ]  # fmt: skip
        limit = pa.scalar(common_limit(most, *(rows["key"].to_numpy() for rows in found)))
        return [rows.filter(pc.less_equal(rows["key"], limit)) for rows in found]

    def _apps(self) -> list[Look]:
        catalogue = self._workspace.catalogue
        table = self._workspace.table("app_vectors")
        looks = [self._app_version(each) for each in catalogue.versions if table.footer(each)]
        return looks or [_nothing("apps")]

    def _app_version(self, version: str) -> Look:
        """The apps whose vectors are new, compared with those that stood there before."""
        footer = self._workspace.table("app_vectors").footer(version)
        assert footer is not None
        versions = [*self._workspace.catalogue.versions]
        again = _materialize("group:apps", f"--partition-range {versions[0]}...{versions[-1]} ")

        def take(permutations: int) -> Drift:
            rows = self._workspace.table("app_vectors").read(version)
            found = self._sightings(version, rows)
            ids, vectors = rows["app_id"].to_pylist(), matrix(rows["vector"])
            days = dict(zip(ids, found["first_seen"].to_pylist(), strict=True))
            samples = [_apps_on(ids, vectors, days, side) for side in self.span.open_sides]
            compared = Compared(footer.digest, lambda: (samples[0], samples[1]))
            return compared.drift(self._settings.level, permutations)

        proposals = Proposals(again)
        return Look("apps", f"vectors, {version}", footer.digest, take, version, proposals)

    def _sightings(self, version: str, rows: pa.Table) -> pa.Table:
        """The day on which the vector of each app was first seen (SIGHTING_SCHEMA)."""
        table = self._workspace.table(SIGHTINGS)
        before = table.read(version) if table.footer(version) else None
        return sighted(before, rows["app_id"].to_pylist(), matrix(rows["vector"]), self._today)

    def _keep_sightings(self) -> None:
        """From now on the apps that are there are known."""
        table, vectors = self._workspace.table(SIGHTINGS), self._workspace.table("app_vectors")
        for version, footer in vectors.footers(self._workspace.catalogue.versions).items():
            kept = table.footer(version)
            if kept is None or kept.digest != footer.digest:
                found = self._sightings(version, vectors.read(version))
                table.write(table_slice(found, footer.digest, version))

    def _vectors(
        self, domain: str, compared: Compared, fingerprint: str, proposals: Proposals
    ) -> Look:
        take = partial(compared.drift, self._settings.level)
        return Look(domain, "vectors", compared.digest, take, fingerprint, proposals)


def _nothing(domain: str, reason: str = "") -> Look:
    """The measure of a domain of which nothing is stored: a row that says so."""
    found = Drift(None, None, (), 0, 0, 0, reason or "no data in the window")
    return Look(domain, "vectors", digest_of(domain, reason), lambda _: found)


def _scores(rows: pa.Table | None, unit: str, value: str) -> Scores:
    if rows is None:
        return Scores([], np.empty(0))
    rows = rows.filter(pc.is_valid(rows[value]))
    return Scores([str(each) for each in rows[unit].to_pylist()], np.array(rows[value], float))


def _apps_on(ids: list[str], vectors: Any, days: Mapping[str, date], side: Side) -> Sample:
    rows = [row for row, app_id in enumerate(ids) if _is_on(days[app_id], side)]
    return Sample([ids[row] for row in rows], vectors[rows] if rows else NOTHING)


def _is_on(day: date, side: Side) -> bool:
    return side[0] <= day <= side[1]


def _digests(footers: Mapping[str, Footer]) -> list[tuple[str, str]]:
    return [(key, footer.digest) for key, footer in footers.items()]


def _materialize(selection: str, options: str = "") -> str:
    return (
        f"dagster asset materialize --select '{selection}' {options}-m embedding_assets.definitions"
    )


_LABELS = "embedding-assets documents sync  # after labelling some of the new ones"
_NEW_MODEL = f"{_materialize('domain_model')} && embedding-assets model stage domain_model"
_PLAN = {
    "id": "search-after-drift",
    "endpoint": "search",
    "variants": [
        {"name": mode, "weight": 50, "setting": mode} for mode in ("hybrid", "semantic")
    ],
    "metrics": [{"name": "click", "kind": "rate"}],
}  # fmt: skip
_EXPERIMENT = f"echo '{json.dumps(_PLAN)}' | embedding-assets experiment create /dev/stdin"
