"""How what is live performs: searches by model, experiments by variant, predictions by version."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from embedding_assets.apps.predictions import (
    AppTables,
    arrival_row,
    arrivals,
    prediction_slices,
)
from embedding_assets.database import (
    DatabaseAbsentError,
    DatabaseUnavailableError,
    open_engine,
    sqlite_url,
)
from embedding_assets.quality.live import (
    LIVE_CODE,
    LIVE_SCHEMA,
    DayCount,
    Looks,
    Series,
    judged,
    nothing,
)
from embedding_assets.search.query_log import QUERIES, search_counts
from embedding_assets.storage.slices import Slice, digest_of

if TYPE_CHECKING:
    from embedding_assets.workspace import Workspace

EMPTY, CLICKS, PREDICTED = "empty results", "clicks", "click rate against the model's prediction"
_BACK = "embedding-assets documents versions  # then `embedding-assets documents rollback`"
_APPS = "dagster asset materialize --select 'group:apps' --partition-range {}...{} "
_MODULE = "-m embedding_assets.definitions"
_LAST = "last"
"""In a table's figures: the last day that was looked at."""


class Live:
    """The models that are live in a workspace."""

    def __init__(
        self, workspace: "Workspace", last: date | None = None, now: datetime | None = None
    ) -> None:
        """last: the last day that is judged, yesterday (UTC) unless it is given, as a day that is
        not over would be taken for a whole one. now: another time than this moment."""
        self._workspace = workspace
        self._settings = workspace.settings.drift
        self._now = now or datetime.now(UTC)
        self._last = last or self._now.date() - timedelta(days=1)
        settings = self._settings
        self._looks = Looks(settings.level, settings.days, settings.reference_days)

    @property
    def _first(self) -> date:
        days = self._settings.days + self._settings.reference_days
        return self._last - timedelta(days=days)

    def prediction_slices(self) -> Iterator[Slice]:
        """What new models of performance expect, kept for later."""
        return prediction_slices(self._tables, self._now)

    def _told(self, last: date | None) -> tuple[date, date] | None:
        """The days of which people are told, up to the last one that is over: that one, and those
        that came since the look that is stored, at most a window of them."""
        if last is None:
            return None
        table = self._workspace.table("model_performance")
        footer = table.footer() if table.folder.exists() else None
        looked = footer and footer.stats.get(_LAST)
        days = (self._last - date.fromisoformat(looked)).days if looked else 1
        return last - timedelta(days=min(max(days, 1), self._settings.days) - 1), last

    def slice(self, rows: list[dict[str, Any]]) -> Slice:
        """What `rows` gave, to be stored."""
        digest = digest_of("model_performance", LIVE_CODE, self._last, rows)
        verdicts = {name: 0 for name in ("worse", "watch", "fine", "not judged")}
        for row in rows:
            verdicts[row["verdict"]] += 1
        table = pa.Table.from_pylist(rows, LIVE_SCHEMA)
        stats = {**verdicts, _LAST: str(self._last)}
        return Slice(None, digest, LIVE_SCHEMA, table.to_batches, stats)

    def rows(self) -> list[dict[str, Any]]:
        """All measures (LIVE_SCHEMA) by day; a row that says so where there is nothing."""
        return [*self._searches(), *self._clicks(), *self._predicted()]

    def _searches(self) -> list[dict[str, Any]]:
        table = self._workspace.table(QUERIES)
        found = search_counts(table, self._first, self._last) if table.folder.exists() else []
        days: dict[str, dict[date, list[int]]] = defaultdict(lambda: defaultdict(lambda: [0, 0]))
        serving = {each.model for each in found if each.fingerprint in self._serving}
        for each in found:
            total = days[each.model][each.day]
            total[0] += each.searches
            total[1] += each.empty
        if not days:
            return [nothing("search", EMPTY, "no searches are kept", self._last)]
        rows = []
        for model, counts in days.items():
            told = self._told(self._last if model in serving else None)
            before = _together(days, min(counts)) if told else []
            own = _counted(counts)
            series = Series("search", EMPTY, model, own, "up", _BACK, told, before)
            rows += judged(series, self._looks)
        return rows

    @cached_property
    def _serving(self) -> set[str]:
        """The fingerprints of the models that answer searches."""
        challenger, live = self._workspace.seats.challenger, self._workspace.live_model()
        tried = {challenger.seat.fingerprint} if challenger else set()
        return tried | ({live["fingerprint"]} if live else set())

    def _clicks(self) -> list[dict[str, Any]]:
        """Of experiments, whose outcomes are the only clicks that the service is told of."""
        from embedding_assets.experiments.clicks import days_of_variants

        url = self._workspace.settings.service.database_url
        file = sqlite_url(self._workspace.data_dir / "service.db")
        try:
            engine = open_engine(url.get_secret_value() if url else file, make=False)
            found = [*days_of_variants(engine, self._now, self._first)]
            engine.dispose()
        except DatabaseAbsentError:
            found = []
        except DatabaseUnavailableError as error:
            return [nothing("search", CLICKS, error.problem, self._last)]
        series: dict[tuple[str, ...], dict[date, list[int]]] = defaultdict(dict)
        last: dict[str, date | None] = {}
        for each in found:
            if each.day > self._last:
                continue
            last[each.experiment] = each.last and min(each.last, self._last)
            domain = "apps" if each.endpoint == "find-similar" else "search"
            model = f"{each.setting or each.variant} ({each.experiment})"
            key = (domain, f"users with {each.metric}", model, each.direction, each.experiment)
            series[key][each.day] = [each.units, each.successes]
        if not series:
            reason = "no experiment has outcomes whose time is over"
            return [nothing("search", CLICKS, reason, self._last)]
        rows = []
        for (domain, measure, model, better, experiment), counts in series.items():
            proposal = f"embedding-assets experiment show {experiment}"
            worse = Series(
                domain, measure, model, _counted(counts), "down" if better == "up" else "up",
                proposal, self._told(last[experiment]),
            )  # fmt: skip
            rows += judged(worse, self._looks)
        return rows

    def _predicted(self) -> list[dict[str, Any]]:
        table, versions = (
            self._workspace.table("app_predictions"),
            self._workspace.catalogue.versions,
        )
        rows = []
        first, last = self._told(self._last) or (self._last, self._last)
        for version in versions:
            for arrival in arrivals(table, version):
                if arrival.at.date() > self._last:
                    continue
                row = arrival_row(arrival, self._settings.level)
                row["current"] = first <= row["day"] <= last
                if row["verdict"] == "worse":
                    row["proposal"] = _APPS.format(versions[0], versions[-1]) + _MODULE
                rows.append(row)
        reason = "no outcomes have arrived since predictions are kept"
        return rows or [nothing("apps", PREDICTED, reason, self._last)]

    @property
    def _tables(self) -> AppTables:
        names = ("app_catalogue", "app_vectors", "app_performance", "performance_model")
        return AppTables(*(self._workspace.table(name) for name in (*names, "app_predictions")))


def _counted(days: dict[date, list[int]]) -> list[DayCount]:
    return [DayCount(day, trials, found) for day, (trials, found) in sorted(days.items())]


def _together(days: dict[str, dict[date, list[int]]], first: date) -> list[DayCount]:
    """The days before the first of a model: what all models found then."""
    totals: dict[date, list[int]] = defaultdict(lambda: [0, 0])
    for counts in days.values():
        for day, (trials, found) in counts.items():
            if day < first:
                totals[day][0] += trials
                totals[day][1] += found
    return _counted(totals)
