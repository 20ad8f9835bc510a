"""The days that record assets are cut into, and how a day looks back on its history."""

import dagster as dg

from embedding_assets.settings import load_settings

_records = load_settings().records

days = dg.DailyPartitionsDefinition(
    start_date=_records.start_date.isoformat(), timezone="UTC", end_offset=1
)
"""UTC days from `records.start_date` to today, today included."""

history_window = dg.TimeWindowPartitionMapping(
    start_offset=1 - _records.history_days, allow_nonexistent_upstream_partitions=True
)
"""A day's account texts are drawn from the clean records of `records.history_days` days."""
