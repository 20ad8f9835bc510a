"""What is asked of the similarity service, and what it answers."""

from dataclasses import dataclass

from embedding_assets.apps.metadata import AppQuery, Labels, Mask, Metadata
from embedding_assets.errors import InputError

DEFAULT_VERSION = "v1"
DEFAULT_TOP = 20


class AppFilterError(InputError):
    """A filter names a category or a platform that no app has."""


@dataclass(frozen=True)
class AppFilters:
    """Conditions that a similar app must meet: for each field that has values, one of them.

    Letter case plays no part.
    """

    categories: tuple[str, ...] = ()
    platforms: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return self != NO_APP_FILTERS

    def mask(self, metadata: Metadata) -> Mask | None:
        """bool [n], true for the apps that meet all conditions; None when there are none.

        Raises AppFilterError for a category or platform that no app has.
        """
        found: Mask | None = None
        for kind, labels, wanted in (
            ("category", metadata.categories, self.categories),
            ("platform", metadata.platforms, self.platforms),
        ):
            if wanted:
                here = labels.is_one_of([_known(kind, labels, each) for each in wanted])
                found = here if found is None else found & here
        return found


NO_APP_FILTERS = AppFilters()


@dataclass(frozen=True)
class SimilarQuery:
    """A question for similar apps: of a known app by its id, or of a new one by its metadata."""

    app_id: str | None = None
    app: AppQuery | None = None
    version: str = DEFAULT_VERSION
    k: int = DEFAULT_TOP
    filters: AppFilters = NO_APP_FILTERS

    def __post_init__(self) -> None:
        """Raises InputError unless just one of id and metadata is given and k is at least 1."""
        require_one(self.app_id, self.app)
        if self.k < 1:
            raise InputError(f"{self.k} apps were asked for.", "Ask for at least 1.")


def require_one(app_id: str | None, app: AppQuery | None) -> None:
    """Check that an app is named in one way. Raises InputError."""
    if (app_id is None) == (app is None):
        raise InputError(
            "Both an app_id and an app were given." if app else "No app was named.",
            "Give either the app_id of a known app, or the metadata of a new one.",
        )


@dataclass(frozen=True)
class SimilarApp:
    """An app that resembles another.

    score: the cosine of their vectors. reasons: what their metadata share, in words.
    rate: the click rate shrunk towards the category's; impressions: that it rests on.
    """

    app_id: str
    name: str | None
    category: str | None
    platform: str | None
    score: float
    reasons: tuple[str, ...]
    rate: float | None
    impressions: int | None


@dataclass(frozen=True)
class SimilarApps:
    """The apps that resemble one, best first, and what found them.

    placed_by: `known` for an app with a vector, else how its metadata gave one: `projection` or
    `neighbours`.
    """

    version: str
    index_version: str
    placed_by: str
    results: tuple[SimilarApp, ...]


@dataclass(frozen=True)
class VersionMetrics:
    """How one version of the vectors was asked since the process started.

    p50_ms, p95_ms, p99_ms: of the last answers; None before the first.
    """

    queries: int
    newcomers: int
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None


@dataclass(frozen=True)
class SimilarityMetrics:
    """How the service was used since the process started.

    failures: questions that could not be answered. swaps: versions of the index opened.
    """

    index_version: str | None
    apps: int
    trouble: str | None
    queries: int
    predictions: int
    failures: int
    swaps: int
    versions: dict[str, VersionMetrics]


def _known(kind: str, labels: Labels, wanted: str) -> str:
    if labels.number(wanted) is None:
        close = ", ".join(repr(each) for each in labels.close_to(wanted))
        raise AppFilterError(
            f"No app has the {kind} {wanted!r}.",
            f"Did you mean {close}?" if close else f"No app has any {kind}: leave the filter out.",
        )
    return wanted
