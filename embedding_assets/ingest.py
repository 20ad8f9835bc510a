"""`ingest_document`: a pair's texts with vectors and pages in one line, by the settings."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from embedding_assets.documents.ingest import (
    IngestedText,
    Ingestion,
    ingest_pair,
    write_ingested,
)
from embedding_assets.embedding.encoder import Encoder
from embedding_assets.errors import NotFoundError
from embedding_assets.settings import Settings, load_settings
from embedding_assets.storage.files import file_name


@dataclass(frozen=True)
class IngestReport:
    """What became of a pair. texts: those that are not empty, which have a vector each."""

    doc_id: str
    output: Path
    texts: int
    distinct: int
    pages: int
    dimension: int
    fingerprint: str


def ingest_document(doc_id: str) -> list[IngestedText]:
    """The texts of the pair `doc_id` in the order of their file, empty ones left out, each as
    `{"text": str, "vector": torch.Tensor, "pages": list[int]}`; also written to Parquet.

    The pair lies in the folder `documents.source`, the output in `documents.output`; the model,
    also as an archive, is `model.name`. Vectors have unit length and are computed in float32
    unless `model.precision` says bfloat16; of texts longer than the model's window every token
    counts. Raises InputNotFoundError, DamagedDocumentError, UnresolvedPageError, ModelError and
    OutputError subclasses, NotFoundError when the pair was forgotten.
    """
    settings = load_settings()
    ingestion = _ingested(doc_id, settings, _served_model(settings))
    write_ingested(ingestion, ingested_file(doc_id, settings))
    return ingestion.to_dicts()


def ingest_to_file(
    doc_id: str, settings: Settings, *, model: str | None = None, target: Path | None = None
) -> IngestReport:
    """`ingest_document` for the command line: the file is written, and told about.

    Raises what `ingest_document` raises.
    """
    output = target or ingested_file(doc_id, settings)
    ingestion = _ingested(doc_id, settings, model or _served_model(settings))
    write_ingested(ingestion, output)
    return IngestReport(
        doc_id=doc_id,
        output=output,
        texts=len(ingestion.texts),
        distinct=len({text.text for text in ingestion.texts}),
        pages=len({page for text in ingestion.texts for page in text.pages}),
        dimension=ingestion.vectors.shape[1],
        fingerprint=ingestion.fingerprint,
    )


def _ingested(doc_id: str, settings: Settings, model: str) -> Ingestion:
    _require_remembered(doc_id, settings)
    return ingest_pair(Path(settings.documents.source).expanduser(), doc_id, _encoder(model))


def _served_model(settings: Settings) -> str:
    from embedding_assets.workspace import seated

    return seated(settings).model.name


def _require_remembered(doc_id: str, settings: Settings) -> None:
    """Raises NotFoundError for a pair that was forgotten."""
    from embedding_assets.documents.folder import encoded_id
    from embedding_assets.library import tombstones_file
    from embedding_assets.search.snapshots import Tombstones

    file = tombstones_file(settings.data_dir.expanduser())
    if encoded_id(doc_id) in Tombstones(file).ids():
        raise NotFoundError(
            f"The document {doc_id!r} was forgotten.",
            "Files with another name are another document.",
        )


@cache
def _encoder(model: str) -> Encoder:
    """The encoder of a model, loaded once per process."""
    from embedding_assets.embedding.model import open_encoder

    settings = load_settings()
    options = settings.model
    precision = "bfloat16" if options.precision == "bfloat16" else "float32"
    return open_encoder(
        model,
        settings.data_dir.expanduser() / "models",
        precision=precision,
        device=options.device,
        threads=options.threads,
    )


def ingested_file(doc_id: str, settings: Settings) -> Path:
    """Where the texts of a pair with their vectors are written."""
    folder = settings.documents.output or settings.data_dir / "ingested"
    return Path(folder).expanduser() / f"{file_name(doc_id)}.parquet"
