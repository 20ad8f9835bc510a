"""The texts of a pair with a vector each: what `ingest_document` returns."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import structlog
from upath import UPath

from embedding_assets.documents.parse.pair import PairText, read_pair
from embedding_assets.embedding.encoder import Encoder, Vectors
from embedding_assets.storage.files import published

if TYPE_CHECKING:
    import torch

    from embedding_assets.embedding.store import VectorStore

_log = structlog.get_logger()


class IngestedText(TypedDict):
    """A text, its unit vector (float32 [d]) and the numbers of its pages."""

    text: str
    vector: "torch.Tensor"
    pages: list[int]


@dataclass(frozen=True)
class Ingestion:
    """The n texts of a pair that are not empty, in the order of their file, with their vectors.

    positions: of each text in its file, from 0; where one is missing, an empty text stood.
    vectors: float32 [n, d], unit length; repeated texts have one each.
    fingerprint: of the encoder.
    """

    doc_id: str
    texts: tuple[PairText, ...]
    positions: tuple[int, ...]
    vectors: Vectors
    fingerprint: str

    def to_dicts(self) -> list[IngestedText]:
        """Each text with a vector of its own memory, as plain containers and tensors."""
        import torch

        return [
            {"text": text.text, "vector": torch.from_numpy(vector.copy()), "pages": [*text.pages]}
            for text, vector in zip(self.texts, self.vectors, strict=True)
        ]


def ingest_pair(
    folder: Path, doc_id: str, encoder: Encoder, store: "VectorStore | None" = None
) -> Ingestion:
    """The texts of the pair `doc_id` in `folder` with their vectors.

    store: gives the vectors that it has, and keeps those that are computed.
    Raises what `read_pair`, the encoder and the store raise.
    """
    return ingest_texts(doc_id, read_pair(folder, doc_id), encoder, store)


def ingest_texts(
    doc_id: str,
    texts: Sequence[PairText],
    encoder: Encoder,
    store: "VectorStore | None" = None,
) -> Ingestion:
    """`texts` with their vectors, each distinct one embedded once, all in one call.

    Empty texts are left out; their number is logged.
    """
    positions = tuple(number for number, text in enumerate(texts) if text.text.strip())
    kept = tuple(texts[position] for position in positions)
    distinct = {text: row for row, text in enumerate(dict.fromkeys(text.text for text in kept))}
    if len(kept) < len(texts):
        _log.info("empty texts left out", doc_id=doc_id, empty=len(texts) - len(kept))
    rows = np.array([distinct[text.text] for text in kept], dtype=np.int64)
    vectors = _vectors([*distinct], encoder, store)[rows]
    return Ingestion(doc_id, kept, positions, vectors, encoder.fingerprint)


def write_ingested(ingestion: Ingestion, target: UPath | Path) -> None:
    """A Parquet file at `target`: doc_id, position, text, pages, vector; one row per text.

    The encoder's fingerprint stands in its metadata. Raises OutputError subclasses; what stood
    at `target` is then still there.
    """
    table = _table(ingestion)
    with published(target) as staged:
        pq.write_table(table, staged, compression="zstd")


def _vectors(texts: list[str], encoder: Encoder, store: "VectorStore | None") -> Vectors:
    if not texts:
        return np.empty((0, encoder.dimension), dtype=np.float32)
    if store is None:
        return encoder.encode(texts).vectors
    return store.encode(texts, encoder).encoding.vectors


def _table(ingestion: Ingestion) -> pa.Table:
    dimension = ingestion.vectors.shape[1]
    columns = {
        "doc_id": pa.array([ingestion.doc_id] * len(ingestion.texts), pa.string()),
        "position": pa.array(ingestion.positions, pa.int32()),
        "text": pa.array([text.text for text in ingestion.texts], pa.string()),
        "pages": pa.array([text.pages for text in ingestion.texts], pa.list_(pa.int32())),
        "vector": pa.FixedSizeListArray.from_arrays(
            pa.array(ingestion.vectors.reshape(-1)), dimension
        ),
    }
    return pa.table(columns, metadata={"fingerprint": ingestion.fingerprint})
