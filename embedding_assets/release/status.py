"""What people are told of the models: who serves, who is tried, who can be gone back to."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from embedding_assets.errors import EmbeddingAssetsError
from embedding_assets.release.basis import why_stale
from embedding_assets.release.gate_table import GATES_TABLE, Judgement
from embedding_assets.release.seats import Challenger, Left, Seat

if TYPE_CHECKING:
    from embedding_assets.workspace import Workspace


@dataclass(frozen=True)
class ReleaseStatus:
    """gates: verdict by gate of the last judgement. stale: why it no longer counts; None when it
    does. aliases: the registry's, or why they are not known."""

    champion: Seat
    since: str
    challenger: Challenger | None
    gates: dict[str, str]
    closed: tuple[str, ...]
    stale: str | None
    earlier: tuple[Left, ...]
    retired: int
    aliases: dict[str, str] | str


def release_status(workspace: "Workspace") -> ReleaseStatus:
    """The state of the models; changes nothing, and answers without the registry too."""
    seats = workspace.seats
    tried = seats.challenger
    found = Judgement.stored(workspace.table(GATES_TABLE)) if tried else None
    stale = None
    if found is not None and tried is not None:
        stale = why_stale(found, workspace, workspace.at(tried.seat))
    return ReleaseStatus(
        champion=seats.champion,
        since=seats.since,
        challenger=tried,
        gates={gate.name: gate.verdict for gate in found.gates} if found else {},
        closed=tuple(gate.name for gate in found.closed) if found else (),
        stale=stale,
        earlier=seats.earlier,
        retired=len(seats.retired),
        aliases=_aliases(workspace),
    )


def release_text(status: ReleaseStatus) -> str:
    """The same as lines for people."""
    since = f" since {status.since[:16]} UTC" if status.since else ""
    lines = [f"serves      {_named(status.champion)}{since}"]
    tried = status.challenger
    if tried is None:
        lines.append("challenger  none; stage one: embedding-assets model stage MODEL")
    else:
        state = f"complete {tried.staged[:16]} UTC" if tried.staged else "not complete yet"
        lines.append(f"challenger  {_named(tried.seat)}, {state}")
        lines.append(f"gates       {_gates(status)}")
    lines += [
        f"before      {_named(left.seat)}, until {left.since[:16]} UTC"
        for left in status.earlier[::-1]
    ]
    if isinstance(status.aliases, str):
        lines.append(f"registry    {status.aliases}")
    else:
        lines += [f"registry    {alias} is {name}" for alias, name in status.aliases.items()]
    return "\n".join(lines)


def _gates(status: ReleaseStatus) -> str:
    if not status.gates:
        return "not judged yet: embedding-assets model evaluate"
    if status.stale:
        return f"stale: {status.stale}"
    return f"closed: {', '.join(status.closed)}" if status.closed else "open"


def _named(seat: Seat) -> str:
    known = f" ({seat.fingerprint[:12]})" if seat.fingerprint else ""
    return f"{seat.model}{known}"


def _aliases(workspace: "Workspace") -> dict[str, Any] | str:
    registry = workspace.registry
    try:
        found = {alias: registry.aliased(alias) for alias in ("champion", "challenger")}
    except EmbeddingAssetsError as error:
        return f"not reachable: {error.problem}"
    return {alias: ", ".join(map(str, versions)) or "nobody" for alias, versions in found.items()}
