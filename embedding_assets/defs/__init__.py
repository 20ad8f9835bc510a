"""The Dagster door: when things are computed, and where they are stored."""

import os
import warnings

import dagster as dg

# Events of many partitions are then stored together, where the storage can do that.
os.environ.setdefault("DAGSTER_EVENT_BATCH_SIZE", "1000")

# Beta features in use, each named; anything else still warns.
for _message in (
    "Parameter `backfill_policy` of function `asset`",
    "Parameter `allow_nonexistent_upstream_partitions`",
    "Parameter `include_sources` of function `AssetSelection.groups`",
):
    warnings.filterwarnings("ignore", _message, dg.BetaWarning)
