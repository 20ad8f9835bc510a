"""Dagster's SQLite event log with many events in one transaction.

Dagster stores each event of each partition by itself, in five transactions of two files; a run over
a thousand documents writes seven thousand. `data/dagster/dagster.yaml` names this class.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from dagster import EventLogEntry
from dagster._config import UserConfigSchema
from dagster._core.events import ASSET_EVENTS
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._serdes import ConfigurableClassData

if TYPE_CHECKING:
    from sqlalchemy import CursorResult


class BatchedEventLog(SqliteEventLogStorage):
    """The same tables and files as Dagster's own; `DAGSTER_EVENT_BATCH_SIZE` sets how many events
    of one output are kept back until they are written together."""

    @classmethod
    def config_type(cls) -> UserConfigSchema:
        """No options: the files stand where Dagster's own log keeps them."""
        return {}

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, object]
    ) -> Self:
        """Made by Dagster from `dagster.yaml`, which stands in DAGSTER_HOME."""
        return cls(str(Path(os.environ["DAGSTER_HOME"], "history", "runs")), inst_data)

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """Store events of assets in one transaction of the run's file and one of the index."""
        if len({event.run_id for event in events}) != 1 or not all(map(_is_of_asset, events)):
            super().store_event_batch(events)
            return
        inserts = [self.prepare_insert_event(event) for event in events]
        with self.run_connection(events[0].run_id) as connection:
            for insert in inserts:
                connection.execute(insert)
        with self.index_transaction() as connection:
            ids = [_stored(connection.execute(insert)) for insert in inserts]
            self._store_asset_event_tags(connection, events, ids)
            # An asset's own row tells of its latest event of each kind alone.
            latest = {_kind(event): event for event in events}
            for event, number in zip(events, ids, strict=True):
                if latest[_kind(event)] is event:
                    self._store_asset_event(connection, event, number)


def _stored(result: "CursorResult[Any]") -> int:
    """The number of the row that was inserted."""
    key = result.inserted_primary_key
    assert key is not None
    return int(key[0])


def _is_of_asset(event: EventLogEntry) -> bool:
    return event.is_dagster_event and event.dagster_event_type in ASSET_EVENTS


def _kind(event: EventLogEntry) -> tuple[object, object]:
    told = event.get_dagster_event()
    return told.asset_key, told.event_type
