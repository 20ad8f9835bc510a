"""Vectors of texts."""

import base64
from typing import Annotated, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field, StringConstraints

from embedding_assets.api.callers import scope, service_of
from embedding_assets.api.problems import RequestError
from embedding_assets.api.schemas import Body
from embedding_assets.embedding.encoder import Vectors

MAX_CHARACTERS = 100_000
"""Of all texts of a request: a few seconds of one core, in turns with other requests."""
LONGEST = 10_000
"""Characters of a text: what others wait for when it is its turn."""
Text = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST)]
router = APIRouter(tags=["embeddings"])


class EmbedRequest(Body):
    """Texts to embed; what is longer than the model's window is read in several."""

    texts: list[Text] = Field(
        min_length=1, description="At most service.max_batch, 100,000 characters together."
    )
    format: Literal["list", "base64"] = Field(
        "list", description="base64: the bytes of little-endian float32 numbers."
    )
    model_config = {
        "json_schema_extra": {"examples": [{"texts": ["wireless headphones", "running shoes"]}]}
    }


class EmbedAnswer(BaseModel):
    """A unit vector per text, with the tokens and the windows of the model that it was read in."""

    model: str
    fingerprint: str
    dimension: int
    vectors: list[list[float]] | list[str]
    tokens: list[int]
    windows: list[int]


@router.post("/embed", dependencies=[scope("embed")], summary="Vectors of texts")
async def embed(request: Request, wanted: EmbedRequest) -> EmbedAnswer:
    """The vectors of texts by the model that serves, unit length, in the order of the texts."""
    service = service_of(request)
    _require_moderate(wanted.texts, service.settings.service.max_batch)
    # Both are taken before: another model may begin to serve while the texts are read.
    model, encoder = await service.run(
        lambda: (service.workspace().settings.model, service.queries)
    )
    made = await encoder.encode_soon(wanted.texts)
    return EmbedAnswer(
        model=model.name,
        fingerprint=encoder.fingerprint,
        dimension=made.vectors.shape[1],
        vectors=_as_base64(made.vectors) if wanted.format == "base64" else made.vectors.tolist(),
        tokens=made.tokens.tolist(),
        windows=made.windows.tolist(),
    )


def _require_moderate(texts: list[str], most: int) -> None:
    if len(texts) > most:
        raise RequestError(f"{len(texts)} texts are too many.", f"Send {most} at most.", 422)
    if (characters := sum(map(len, texts))) > MAX_CHARACTERS:
        raise RequestError(
            f"The texts have {characters:,} characters.", f"Send {MAX_CHARACTERS:,} at most.", 422
        )


def _as_base64(vectors: Vectors) -> list[str]:
    return [base64.b64encode(row.astype("<f4").tobytes()).decode() for row in vectors]
