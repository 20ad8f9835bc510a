"""Accounts like another one."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel

from embedding_assets.api.callers import scope, service_of
from embedding_assets.api.problems import RequestError

router = APIRouter(tags=["accounts"])


class SimilarAccount(BaseModel):
    """An account. score: the cosine. text: what its vector was made of."""

    account_id: str
    score: float
    text: str


class SimilarAccounts(BaseModel):
    """The accounts most similar to one, best first."""

    account_id: str
    results: list[SimilarAccount]
    model_config = {
        "json_schema_extra": {
            "examples": [
                {
                    "account_id": "account-1",
                    "results": [
                        {"account_id": "account-7", "score": 0.91, "text": "Items: pizza."}
                    ],
                }
            ]
        }
    }


@router.get("/accounts/similar", dependencies=[scope("accounts")], summary="Similar accounts")
async def similar(
    request: Request,
    account_id: Annotated[str, Query(min_length=1, max_length=1_000)],
    k: Annotated[int, Query(ge=1, description="At most service.max_k.")] = 10,
) -> SimilarAccounts:
    """The accounts whose latest embeddings are nearest, exact."""
    service = service_of(request)
    if k > (most := service.settings.service.max_k):
        raise RequestError(f"{k} results are too many.", f"Ask for {most} at most.", 422)
    found = await service.run(lambda: service.content.accounts().similar(account_id, k))
    results = [SimilarAccount(account_id=n.id, score=n.score, text=n.text) for n in found]
    return SimilarAccounts(account_id=account_id, results=results)
