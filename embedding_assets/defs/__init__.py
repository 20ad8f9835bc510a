"""The Dagster door: when things are computed, and where they are stored."""

import warnings

import dagster as dg

# Beta features in use, each named; anything else still warns.
for _message in (
    "Parameter `backfill_policy` of function `asset`",
    "Parameter `allow_nonexistent_upstream_partitions`",
    "Parameter `include_sources` of function `AssetSelection.groups`",
):
    warnings.filterwarnings("ignore", _message, dg.BetaWarning)
