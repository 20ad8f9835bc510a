"""What assets are cut into: records by day, which looks back on its history; documents by id."""

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

doc_ids = dg.DynamicPartitionsDefinition(name="doc_id")
"""The documents of the watched folder, kept by the sensor and `embedding-assets documents sync`."""
