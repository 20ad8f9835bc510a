"""How a request stands to the limits of its key, in words and headers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

Span = Literal["minute", "day"]
SECONDS: dict[Span, int] = {"minute": 60, "day": 86_400}


class Slot(NamedTuple):
    """The minute or day in which a key's requests are counted. start: UTC seconds."""

    key_id: str
    span: Span
    start: int


@dataclass(frozen=True)
class Use:
    """How a request stands to its limits. span, refusal, mend: where it is above one.

    headers: those of draft-ietf-httpapi-ratelimit-headers, and Retry-After.
    """

    headers: dict[str, str]
    span: Span | None = None
    refusal: str = ""
    mend: str = ""


def slot_of(key_id: str, span: Span, now: float) -> Slot:
    """The slot in which a request is counted that arrives `now`, in UTC seconds."""
    return Slot(key_id, span, int(now) // SECONDS[span] * SECONDS[span])


def use_of(
    limits: Mapping[Slot, int], used: Mapping[Slot, int], exceeded: Slot | None, now: float
) -> Use:
    """How a request stands that was counted in those slots, or was not as one limit is reached."""
    left, policy = [], []
    for slot, limit in limits.items():
        rest = 0 if slot == exceeded else max(0, limit - used[slot])
        left.append(f'"{slot.span}";r={rest};t={_seconds_left(slot, now)}')
        policy.append(f'"{slot.span}";q={limit};w={SECONDS[slot.span]}')
    headers = {"RateLimit": ", ".join(left), "RateLimit-Policy": ", ".join(policy)}
    if exceeded is None:
        return Use(headers)
    wait = _seconds_left(exceeded, now)
    return Use(
        {**headers, "Retry-After": str(wait)},
        exceeded.span,
        f"More than {limits[exceeded]:,} requests in this {exceeded.span}.",
        f"Try again in {wait} seconds, or use a key with a higher limit.",
    )


def _seconds_left(slot: Slot, now: float) -> int:
    return slot.start + SECONDS[slot.span] - int(now)
