"""What is known of apps, as text for people."""

from collections.abc import Sequence

from embedding_assets.apps.answers import SimilarApp, SimilarApps
from embedding_assets.apps.manifest import AppManifest
from embedding_assets.apps.performance import Prediction
from embedding_assets.report import table

_MOST_APPS = 5


def similar_text(found: SimilarApps) -> str:
    """The similar apps as a table with the reasons, and what found them."""
    placed = {
        "known": "by its vector",
        "projection": "a new app, placed by the text of its metadata",
        "neighbours": "a new app, placed by apps that share its metadata",
    }
    head = f"Version {found.version}, {placed[found.placed_by]} (index {found.index_version})"
    if not found.results:
        return f"{head}\nNo app meets the filters."
    columns = ("score", "app", "name", "category", "platform", "click rate", "why")
    return "\n".join([head, table(columns, map(_cells, found.results))])


def versions_text(manifests: Sequence[AppManifest]) -> str:
    """The kept versions of the index, with the vectors that each holds."""
    columns = ("index", "apps", "vectors", "predicts by", "made")
    rows = [
        (
            each.version,
            f"{each.apps:,}",
            ", ".join(f"{name}: {entry.rows:,}" for name, entry in each.versions.items()),
            each.predicts or "-",
            each.created,
        )
        for each in manifests
    ]
    return table(columns, rows)


def prediction_text(found: Prediction) -> str:
    """The expected click rate with its interval, and the segments that respond."""
    lines = [
        f"Expected click rate {found.rate:.2%}, {found.level:.0%} interval {found.low:.2%} to "
        f"{found.high:.2%} ({found.model}; its category has {found.category_rate:.2%})"
    ]
    if not found.has_signal:
        lines.append("The vectors tell nothing of the click rate: this is the mean of all apps.")
    for each in found.segments:
        apps = ", ".join(each.apps[:_MOST_APPS])
        more = f" and {len(each.apps) - _MOST_APPS} more" if len(each.apps) > _MOST_APPS else ""
        lines.append(
            f"  {each.category or 'any category'} / {each.platform or 'any platform'} / "
            f"{each.tier}: {each.rate:.2%} ({each.low:.2%} to {each.high:.2%}), weight "
            f"{each.weight:.2f}, after {apps}{more}"
        )
    return "\n".join(lines)


def _cells(app: SimilarApp) -> tuple[str, ...]:
    rate = "-" if app.rate is None else f"{app.rate:.2%} of {app.impressions or 0:,}"
    known = (app.name or "-", app.category or "-", app.platform or "-")
    return (f"{app.score:.3f}", app.app_id, *known, rate, "; ".join(app.reasons) or "-")
