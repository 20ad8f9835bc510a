"""The last judgement of the gates, as it is stored."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa

from embedding_assets.quality import gates
from embedding_assets.quality.gates import Gate
from embedding_assets.storage.parquet import ParquetTable
from embedding_assets.storage.slices import Slice, digest_of, table_slice

GATES_TABLE = "model_gates"
GATES_SCHEMA = pa.schema(
    [
        pa.field("gate", pa.string(), nullable=False),
        pa.field("verdict", pa.string(), nullable=False),
        pa.field("words", pa.string(), nullable=False),
        pa.field("value", pa.float64()),
        pa.field("champion", pa.float64()),
        pa.field("limit", pa.float64()),
        pa.field("challenger_fingerprint", pa.string(), nullable=False),
        pa.field("champion_fingerprint", pa.string(), nullable=False),
        pa.field("judged_at", pa.timestamp("us", tz="UTC"), nullable=False),
    ]
)
"""One row per gate of the last judgement."""
_CONTENT = "content"
"""Of the basis: what was stored. It is long and told nobody."""
GATES = (
    "completeness", "norms", "truncation", "duplicates", "neighbour_overlap", "ann_recall",
    "retrieval", "retrieval_hybrid", "document_self_retrieval", "account_self_retrieval",
    "experiment",
)  # fmt: skip
"""Every gate; a judgement without one of them opens nothing."""


@dataclass(frozen=True)
class Judgement:
    """What the gates said of a challenger, and of which state of it.

    basis: by what it is known whether they would still say so.
    """

    gates: tuple[Gate, ...]
    challenger: str
    champion: str
    at: datetime
    basis: dict[str, Any]

    @property
    def closed(self) -> list[Gate]:
        """The gates that do not let it pass, missing ones too."""
        given = {gate.name for gate in self.gates}
        absent = [gates.missing(name, "was not judged") for name in GATES if name not in given]
        return [*gates.closed(self.gates), *absent]

    def to_slice(self) -> Slice:
        """The judgement as the table `model_gates` (GATES_SCHEMA)."""
        rows = [
            {
                "gate": gate.name, "verdict": gate.verdict, "words": gate.words,
                "value": gate.value, "champion": gate.champion, "limit": gate.limit,
                "challenger_fingerprint": self.challenger, "champion_fingerprint": self.champion,
                "judged_at": self.at,
            }
            for gate in self.gates
        ]  # fmt: skip
        table = pa.Table.from_pylist(rows, schema=GATES_SCHEMA)
        digest = digest_of(GATES_TABLE, table.to_pylist(), self.basis)
        shown = {name: value for name, value in self.basis.items() if name != _CONTENT}
        content = self.basis.get(_CONTENT)
        return table_slice(table, digest, basis=shown, of=content, closed=len(self.closed))

    @classmethod
    def stored(cls, table: ParquetTable) -> "Judgement | None":
        """The last judgement; None before the first."""
        footer = table.footer()
        if footer is None:
            return None
        rows = table.read().to_pylist()
        names = ("verdict", "words", "value", "champion", "limit")
        found = tuple(Gate(row["gate"], *(row[name] for name in names)) for row in rows)
        first, basis = rows[0], dict(footer.stats["basis"])
        if footer.stats.get("of") is not None:  # releases before kept none
            basis[_CONTENT] = footer.stats["of"]
        return cls(
            found, first["challenger_fingerprint"], first["champion_fingerprint"],
            first["judged_at"], basis,
        )  # fmt: skip
