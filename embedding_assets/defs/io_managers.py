"""How slices of assets reach the disk: as Parquet files and as DuckDB tables."""

from abc import abstractmethod
from collections.abc import Iterator
from typing import Any

import dagster as dg
import pyarrow as pa
from pydantic import PrivateAttr

from embedding_assets.defs.resources import configured_workspace
from embedding_assets.defs.retries import transient_retried
from embedding_assets.storage.parquet import ParquetTable
from embedding_assets.storage.slices import Slice, Slices, Written
from embedding_assets.workspace import Workspace

_MOST_DESCRIBED = 100
_UNSHOWN = {"of"}
"""Digests that only the next run reads."""


class SliceIOManager(dg.ConfigurableIOManager):
    """Writes what an asset returns, a slice or an iterable of slices, one after the other.

    A slice is computed only while it is written, so many partitions go through one run in bounded
    memory; a slice whose digest is stored already is not computed at all.
    """

    _run_id: str | None = PrivateAttr(None)

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """Remember the run: it keeps the model that it began with."""
        self._run_id = context.run.run_id if context.run else None

    @property
    def _workspace(self) -> Workspace:
        return configured_workspace(self._run_id)

    def handle_output(self, context: dg.OutputContext, obj: Slice | Slices) -> None:
        """Write each slice, describe it in its materialization, and publish the warehouse."""
        with transient_retried():  # slices are computed here, not in the asset's function
            self._store(context, obj)

    def _store(self, context: dg.OutputContext, obj: Slice | Slices) -> None:
        workspace = self._workspace
        written = []
        slices = Slices([obj]) if isinstance(obj, Slice) else obj
        with workspace.following() as change:
            for one in self.write(workspace, context, slices):
                written.append(one)
                change.is_due = change.is_due or one.replaced
                # Dagster reads all partition keys for each one described: dear for many.
                if slices.small and (not one.replaced or len(written) > _MOST_DESCRIBED):
                    continue
                if context.has_asset_partitions:
                    _describe_partition(context, one)
        if not context.has_asset_partitions:
            last = {each.footer.key: each for each in written}
            context.add_output_metadata(_numbers(list(last.values())))

    @abstractmethod
    def write(
        self, workspace: Workspace, context: dg.OutputContext, slices: Slices
    ) -> Iterator[Written]:
        """Replace each slice of the asset, or find that it holds the same already."""


class ParquetIOManager(SliceIOManager):
    """One Parquet file per partition; inputs are the lazily read table."""

    def write(
        self, workspace: Workspace, context: dg.OutputContext, slices: Slices
    ) -> Iterator[Written]:
        """Replace each partition's file."""
        table = workspace.table(context.asset_key.path[-1])
        for part in slices:
            yield table.write(part, settle=not slices.small)
        if slices.small:
            table.settle()

    def load_input(self, context: dg.InputContext) -> ParquetTable:
        """The table; its rows are read when they are asked for."""
        return self._workspace.table(context.asset_key.path[-1])


class DuckDBIOManager(SliceIOManager):
    """A table in DuckDB, each slice replaced in one transaction.

    The asset's metadata `slice_column` names the column that holds a slice's key.
    """

    def write(
        self, workspace: Workspace, context: dg.OutputContext, slices: Slices
    ) -> Iterator[Written]:
        """Replace each slice of the table in a transaction."""
        column = (context.definition_metadata or {}).get("slice_column")
        for part in slices:
            yield workspace.tables.write(context.asset_key.path[-1], part, column)

    def load_input(self, context: dg.InputContext) -> pa.Table:
        """All rows of the table."""
        return self._workspace.table_rows(context.asset_key.path[-1])


def _describe_partition(context: dg.OutputContext, written: Written) -> None:
    """Attach the numbers of a slice to the materialization of its own partition."""
    metadata = _numbers([written])
    context.step_context.add_asset_metadata(metadata, context.asset_key, written.footer.key)


def _numbers(written: list[Written]) -> dict[str, Any]:
    metadata: dict[str, Any] = {
        "dagster/row_count": sum(each.footer.rows for each in written),
        "unchanged": not any(each.replaced for each in written),
    }
    if len(written) > 1:
        return metadata | {"slices": len(written), "replaced": sum(w.replaced for w in written)}
    stats = {
        name: value
        for each in written
        for name, value in each.footer.stats.items()
        if value is not None and name not in _UNSHOWN
    }
    return metadata | (stats if metadata["unchanged"] is False else {"when_made": stats})
