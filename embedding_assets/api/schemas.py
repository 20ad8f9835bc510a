"""What bodies of requests have in common."""

from pydantic import BaseModel, ConfigDict


class Body(BaseModel):
    """The JSON of a request: unknown names, NaN and infinities are refused."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, frozen=True)
