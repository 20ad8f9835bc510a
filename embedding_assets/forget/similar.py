"""Neighbour tables without forgotten rows: whoever had one of them as neighbour gets the next."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from embedding_assets.embedding.encoder import Vectors
from embedding_assets.search.exact import nearest
from embedding_assets.search.similar import matrix_of, similar_schema
from embedding_assets.storage.parquet import ParquetTable

_QUERIES = 1_024


@dataclass(frozen=True)
class Patch:
    """How a table of neighbours changes.

    source: the vectors, in which the forgotten rows may still be. gone: the ids of those.
    """

    source: ParquetTable
    id_column: str
    gone: pa.Array
    top: int

    def apply(self, rows: pa.Table, *, anew: bool) -> pa.Table:
        """The rows without the gone ids.

        anew: as `similar_slice` would give them; only the rows of ids that had a gone one as
        neighbour are computed. Otherwise those just have fewer neighbours.
        """
        other = f"similar_{self.id_column}"
        own = pc.is_in(rows[self.id_column], value_set=self.gone)
        names_gone = pc.is_in(rows[other], value_set=self.gone)
        if not anew:
            return rows.filter(pc.invert(pc.or_(own, names_gone)))
        again = pc.unique(rows[self.id_column].filter(pc.and_(names_gone, pc.invert(own))))
        dropped = pc.or_(own, pc.is_in(rows[self.id_column], value_set=again))
        schema = similar_schema(self.id_column)
        left = rows.filter(pc.invert(dropped)).select(schema.names).cast(schema)
        return pa.concat_tables([left, *self._computed(again)])

    def _computed(self, wanted: pa.Array) -> list[pa.Table]:
        """The neighbours of some ids."""
        if not len(wanted):
            return []
        with matrix_of(self.source, self.id_column) as (ids, vectors):
            rows = pc.drop_null(pc.index_in(wanted, value_set=ids)).to_numpy()
            hidden = pc.is_in(ids, value_set=self.gone).to_numpy(zero_copy_only=False)
            return [
                self._neighbours(ids, vectors, hidden, rows[start : start + _QUERIES])
                for start in range(0, len(rows), _QUERIES)
            ]

    def _neighbours(
        self,
        ids: pa.Array,
        vectors: Vectors,
        hidden: npt.NDArray[np.bool_],
        rows: npt.NDArray[np.int32],
    ) -> pa.Table:
        found = nearest(np.asarray(vectors[rows]), vectors, self.top + 1 + int(hidden.sum()))
        left = ~hidden[found.rows] & (found.rows != rows[:, None])
        ranks = np.cumsum(left, axis=1)
        kept = left & (ranks <= self.top)
        owner = np.broadcast_to(rows[:, None], kept.shape)[kept]
        columns = [
            ids.take(pa.array(owner)),
            pa.array(ranks[kept].astype(np.int32)),
            ids.take(pa.array(found.rows[kept])),
            pa.array(found.scores[kept]),
        ]
        return pa.table(columns, schema=similar_schema(self.id_column))
