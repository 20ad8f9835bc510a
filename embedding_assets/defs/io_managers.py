"""How slices of assets reach the disk: as Parquet files and as DuckDB tables."""

from typing import Any

import dagster as dg
import pyarrow as pa

from embedding_assets.defs.resources import configured_workspace
from embedding_assets.storage.parquet import ParquetTable
from embedding_assets.storage.slices import Slice, Slices, Written
from embedding_assets.workspace import Workspace


class SliceIOManager(dg.ConfigurableIOManager):
    """Writes what an asset returns, a slice or an iterable of slices, one after the other.

    A slice is computed only while it is written, so many partitions go through one run in bounded
    memory; a slice whose digest is stored already is not computed at all.
    """

    def handle_output(self, context: dg.OutputContext, obj: Slice | Slices) -> None:
        """Write each slice, describe it in its materialization, and publish the warehouse."""
        workspace = configured_workspace()
        written = []
        for part in [obj] if isinstance(obj, Slice) else obj:
            written.append(self.write(workspace, context, part))
            if context.has_asset_partitions:
                _describe_partition(context, written[-1])
        if not context.has_asset_partitions:
            last = {each.footer.key: each for each in written}
            context.add_output_metadata(_numbers(list(last.values())))
        workspace.warehouse.publish()

    def write(self, workspace: Workspace, context: dg.OutputContext, part: Slice) -> Written:
        """Replace one slice of the asset, or find that it holds the same already."""
        raise NotImplementedError


class ParquetIOManager(SliceIOManager):
    """One Parquet file per partition; inputs are the lazily read table."""

    def write(self, workspace: Workspace, context: dg.OutputContext, part: Slice) -> Written:
        """Replace one partition's file."""
        return workspace.table(context.asset_key.path[-1]).write(part)

    def load_input(self, context: dg.InputContext) -> ParquetTable:
        """The table; its rows are read when they are asked for."""
        return configured_workspace().table(context.asset_key.path[-1])


class DuckDBIOManager(SliceIOManager):
    """A table in DuckDB, each slice replaced in one transaction.

    The asset's metadata `slice_column` names the column that holds a slice's key.
    """

    def write(self, workspace: Workspace, context: dg.OutputContext, part: Slice) -> Written:
        """Replace one slice of the table in a transaction."""
        column = (context.definition_metadata or {}).get("slice_column")
        return workspace.tables.write(context.asset_key.path[-1], part, column)

    def load_input(self, context: dg.InputContext) -> pa.Table:
        """All rows of the table."""
        return configured_workspace().table_rows(context.asset_key.path[-1])


def _describe_partition(context: dg.OutputContext, written: Written) -> None:
    """Attach the numbers of a slice to the materialization of its own partition."""
    metadata = _numbers([written])
    context.step_context.add_asset_metadata(metadata, partition_key=written.footer.key)


def _numbers(written: list[Written]) -> dict[str, Any]:
    metadata: dict[str, Any] = {
        "dagster/row_count": sum(each.footer.rows for each in written),
        "unchanged": not any(each.replaced for each in written),
    }
    if len(written) > 1:
        return metadata | {"slices": len(written), "replaced": sum(w.replaced for w in written)}
    stats = {k: v for each in written for k, v in each.footer.stats.items() if v is not None}
    return metadata | (stats if metadata["unchanged"] is False else {"when_made": stats})
