"""All apps with their metadata and click rates, as the index holds them."""

import numpy as np
import pyarrow as pa

from embedding_assets.apps.metadata import Labels
from embedding_assets.apps.rates import fit_prior

INDEXED_SCHEMA = pa.schema(
    [
        pa.field("app_id", pa.string(), nullable=False),
        pa.field("app_name", pa.string()),
        pa.field("super_category", pa.string()),
        pa.field("app_platform", pa.string()),
        pa.field("impressions", pa.int64()),
        pa.field("rate", pa.float64()),
    ]
)
"""`rate` is the click rate shrunk towards the category's; null without impressions."""


def listed_apps(catalogue: pa.Table, performance: pa.Table) -> pa.Table:
    """The apps of the catalogue, then those of which only the performance is known
    (INDEXED_SCHEMA).

    catalogue: CATALOGUE_SCHEMA; performance: PERFORMANCE_SCHEMA; each app once in each.
    """
    counts = performance.select(["app_id", "clicks", "impressions"]).to_pylist()
    known = {each["app_id"]: each for each in counts}
    listed = set(catalogue["app_id"].to_pylist())
    apps: list[dict[str, object]] = catalogue.to_pylist()
    apps += [{"app_id": app_id} for app_id in known if app_id not in listed]
    clicks, shown = (
        np.array([known.get(app["app_id"], {}).get(name) or 0 for app in apps], dtype=np.int64)
        for name in ("clicks", "impressions")
    )
    labels = Labels.of(_text(app.get("super_category")) for app in apps)
    groups = labels.codes.astype(np.int64)
    prior = fit_prior(clicks, shown, groups, len(labels.values))
    rates = prior.posterior(clicks, shown, groups).mean
    rows = [
        {
            **app,
            "impressions": int(shown[row]) if app["app_id"] in known else None,
            "rate": float(rates[row]) if shown[row] > 0 else None,
        }
        for row, app in enumerate(apps)
    ]
    return pa.Table.from_pylist(rows, INDEXED_SCHEMA)


def with_unlisted(apps: pa.Table, ids: list[list[str]]) -> pa.Table:
    """The apps, then those that have nothing but a vector."""
    listed = set(apps["app_id"].to_pylist())
    others = dict.fromkeys(each for some in ids for each in some if each not in listed)
    unlisted = pa.Table.from_pylist([{"app_id": each} for each in others], INDEXED_SCHEMA)
    return pa.concat_tables([apps.cast(INDEXED_SCHEMA), unlisted]).combine_chunks()


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
