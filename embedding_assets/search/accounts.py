"""Accounts most similar to one account, from memory."""

import threading
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from embedding_assets.embedding.encoder import Vectors
from embedding_assets.errors import EmbeddingAssetsError, NotFoundError
from embedding_assets.search.refreshed import Refreshed
from embedding_assets.search.similar import Neighbour, rows_and_matrix
from embedding_assets.search.snapshots import Tombstones, TombstoneState
from embedding_assets.search.vectors import Mask, VectorIndex
from embedding_assets.storage.parquet import ParquetTable

_ID = "account_id"
_COLUMNS = [_ID, "text_for_embedding", "main_cuisine"]


@dataclass(frozen=True)
class Accounts:
    """The latest embedding of n accounts, as it was stored.

    digest: of the stored table. texts, cuisines: by row. index: their vectors, float32 [n, d].
    """

    digest: str
    ids: pa.Array
    row_of: dict[str, int]
    texts: pa.ChunkedArray
    cuisines: pa.ChunkedArray
    index: VectorIndex


@dataclass(frozen=True)
class _Hidden:
    """Which rows of which table may be returned under which list of forgotten accounts."""

    digest: str
    state: TombstoneState
    allowed: Mask


class AccountSearch:
    """Answers from the newest table that is loaded; may be shared between threads.

    A table that is stored meanwhile is loaded in the background; a change of the list of forgotten
    accounts holds at once.
    """

    def __init__(
        self,
        table: ParquetTable | Callable[[], ParquetTable],
        tombstones: Tombstones,
        forgotten: Callable[[pa.Array], pa.Array],
    ) -> None:
        """table: `latest_account_embeddings`; a function is asked at each look, as that of another
        model may take over. forgotten: those of the ids that are forgotten."""
        self._find = table if callable(table) else lambda: table
        self._tombstones = tombstones
        self._forgotten = forgotten
        self._hidden: _Hidden | None = None
        self._hiding = threading.Lock()
        self._accounts = Refreshed(self._digest, self._load)

    def similar(self, account_id: str, k: int) -> list[Neighbour]:
        """The `k` accounts most similar to one account by cosine, exact, best first.

        Raises NotFoundError when the account has no embedding or was forgotten, or when none was
        stored yet.
        """
        accounts = self._accounts.now()
        allowed = self.allowed(accounts)
        row = accounts.row_of.get(account_id)
        if row is None or not allowed[row]:
            raise NotFoundError(
                f"The account {account_id!r} has no embedding.",
                "Check the id, or materialize its days first.",
            )
        vector = np.asarray(accounts.index.vectors[row])
        others = allowed.copy()
        others[row] = False
        rows, scores = accounts.index.search(vector, k, others)
        return [
            Neighbour(rank, accounts.ids[at].as_py(), accounts.texts[at].as_py(), float(score))
            for rank, (at, score) in enumerate(zip(rows.tolist(), scores, strict=True), 1)
        ]

    def accounts(self) -> Accounts:
        """The table that answers now; `allowed` tells what may be shown of it."""
        return self._accounts.now()

    def allowed(self, accounts: Accounts) -> Mask:
        """bool [n]: which accounts are not forgotten."""
        state = self._tombstones.state()
        with self._hiding:
            known = self._hidden
            if known is None or (known.digest, known.state) != (accounts.digest, state):
                hidden = self._forgotten(accounts.ids)
                allowed = ~pc.is_in(accounts.ids, value_set=hidden).to_numpy(False)
                known = self._hidden = _Hidden(accounts.digest, state, allowed)
        return known.allowed

    @property
    def trouble(self) -> EmbeddingAssetsError | None:
        """Why an older table answers than the one that is stored; None when it does."""
        return self._accounts.trouble

    @property
    def state(self) -> tuple[str, TombstoneState]:
        """Changes with the loaded table and with the list of forgotten accounts."""
        return self._accounts.now().digest, self._tombstones.state()

    def _digest(self) -> str:
        footer = self._find().footer()
        return footer.digest if footer else ""

    def _load(self) -> Accounts:
        while True:
            digest = self._digest()
            loaded = self._loaded(digest)
            if self._digest() == digest:  # else they may be of another table
                return loaded

    def _loaded(self, digest: str) -> Accounts:
        table = self._find()
        with rows_and_matrix(table, _COLUMNS) as (columns, vectors):
            # Kept after its file is removed: the map holds it.
            mean: Vectors = np.zeros(vectors.shape[1], dtype=np.float32)
            index = VectorIndex(np.asarray(vectors), mean)
        ids = columns[_ID].combine_chunks()
        rows = {account_id: row for row, account_id in enumerate(ids.to_pylist())}
        texts, cuisines = (columns[name] for name in _COLUMNS[1:])
        return Accounts(digest, ids, rows, texts, cuisines, index)
