"""The challenger takes over, or the model before comes back: one file is replaced."""

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from embedding_assets.errors import EmbeddingAssetsError, NotFoundError, StoreLockedError
from embedding_assets.quality.gates import Gate, closed
from embedding_assets.release.aliases import align_aliases
from embedding_assets.release.basis import why_stale
from embedding_assets.release.gate_table import GATES_TABLE, Judgement
from embedding_assets.release.judge import judge, slices_of, structural
from embedding_assets.release.remove import remove_seat
from embedding_assets.release.seats import Left, Seat, Seats
from embedding_assets.release.stage import catch_up, required

if TYPE_CHECKING:
    from embedding_assets.workspace import Workspace

_EVALUATE = "Run `embedding-assets model evaluate`."


class GateError(EmbeddingAssetsError):
    """A gate does not let the challenger pass; the champion stays."""


@dataclass(frozen=True)
class Switched:
    """Which model serves now, which one did before, and what is still to be done.

    pending: what does not say so yet, and why: the registry's aliases, the warehouse.
    """

    champion: Seat
    before: Seat
    pending: tuple[str, ...] = ()


def evaluate_challenger(workspace: "Workspace") -> Judgement:
    """Bring the challenger up to date, judge it by all gates and keep what they said.

    Raises NotFoundError when there is none or it is not complete, StoreLockedError while it is
    computed, RegistryError.
    """
    with workspace.seats_file.working():
        _, found = judged(workspace)
        workspace.table(GATES_TABLE).replace(found.to_slice())
        return found


def judged(workspace: "Workspace") -> "tuple[Workspace, Judgement]":
    """`evaluate_challenger` for a caller that holds the challenger's place already and keeps what
    the gates say; the challenger too."""
    challenger = _complete(workspace)
    due = slices_of(workspace)
    catch_up(workspace, challenger)
    return challenger, judge(workspace, challenger, due)


def promote(workspace: "Workspace") -> Switched:
    """Let the challenger serve.

    The results of the gates are read, not taken on trust: one that is missing, stale or failed, or
    that fails on what has come since, leaves the champion where it is. What was stored since the
    challenger was staged is computed for it first, so that nothing is missing afterwards.

    Raises GateError, NotFoundError when there is no complete challenger, RegistryError when the
    registry cannot be reached (nothing has changed then), StoreLockedError while it is computed or
    judged.
    """
    with workspace.seats_file.working():
        challenger = _complete(workspace)
        require_open(workspace, challenger)
        workspace.registry.reach()
        due = slices_of(workspace)
        catch_up(workspace, challenger)
        _require(structural(workspace, challenger, due), "Stage and evaluate it again.")
        with workspace.seats_file.locked():
            seats = workspace.seats
            now = (seats.champion.folder, required(seats).seat)
            if now != (workspace.seat.folder, challenger.seat):
                raise GateError(
                    "Another model has begun to serve, or to be tried, meanwhile.", _EVALUATE
                )
            _write(workspace, seats.promoted())
        return _follow(challenger, workspace.seat)


def require_open(workspace: "Workspace", challenger: "Workspace") -> None:
    """Raises GateError unless every gate was judged, lately, and lets the challenger pass."""
    found = Judgement.stored(workspace.table(GATES_TABLE))
    if found is None:
        raise GateError("The challenger was never judged.", _EVALUATE)
    stale = why_stale(found, workspace, challenger)
    if stale is not None:
        raise GateError(f"The last judgement is stale: {stale}.", _EVALUATE)
    _require(found.closed, f"Mend what they say, stage and judge again. {_EVALUATE}")


def roll_back(
    workspace: "Workspace", tell: Callable[[Seat], object] = lambda champion: None
) -> Switched:
    """Let the model before serve again, at once: neither registry nor gates are asked.

    What was stored since it left is computed for it by the next runs. Its successor is the
    challenger again and has to be judged anew, unless a third one is tried meanwhile.
    tell: is told who serves as soon as it does; warehouse and registry follow after that.
    Raises NotFoundError when there is none to go back to, StoreLockedError.
    """
    with workspace.seats_file.locked():
        seats = workspace.seats
        if not seats.earlier:
            raise NotFoundError(
                f"No model served before {seats.champion.model}, or it is no longer kept.",
                "Stage the one that you want: `embedding-assets model stage MODEL`.",
            )
        back = seats.rolled_back()
        _write(workspace, back)
    tell(back.champion)
    return _follow(workspace.at(back.champion), seats.champion)


def remove_left(workspace: "Workspace") -> tuple[Seat, ...]:
    """Remove what is kept of models that left more than `release.keep_days` ago, and of challengers
    that were dropped and never served; which ones. While a model is computed, or the registry may
    still call one of them challenger, it waits for another night.
    """
    if workspace.seats_file.state() is None:
        return ()
    keep = timedelta(days=workspace.settings.release.keep_days)
    file = workspace.seats_file

    def is_old(left: Left) -> bool:
        return datetime.now(UTC) - datetime.fromisoformat(left.since) > keep

    with ExitStack() as held:
        try:
            held.enter_context(file.working())
        except StoreLockedError:
            return ()
        # First nobody can go back to it, then it is removed: who is killed in between leaves it
        # among the retired, which the next one removes.
        with file.locked():
            seats = workspace.seats.retiring(is_old)
            if not seats.aliased:
                return ()
            if seats != workspace.seats:
                file.write(seats)
        gone = seats.unused(is_old)
        for seat in gone:
            remove_seat(workspace.at(seat))
        with file.locked():
            seats = workspace.seats
            kept = tuple(left for left in seats.retired if left.seat not in gone)
            if kept != seats.retired:
                file.write(replace(seats, retired=kept))
    return gone


def _complete(workspace: "Workspace") -> "Workspace":
    found = required(workspace.seats)
    if found.staged is None:
        raise NotFoundError(
            f"{found.seat.model} is not complete beside the champion yet.",
            "Run `embedding-assets model stage` to finish it.",
        )
    return workspace.at(found.seat)


def _require(found: Iterable[Gate], mend: str) -> None:
    shut = closed(found)
    if shut:
        named = "; ".join(f"{gate.name} {gate.verdict} ({gate.words})" for gate in shut)
        raise GateError(f"The champion stays: {named}.", mend)


def _write(workspace: "Workspace", seats: Seats) -> None:
    """Let others serve; who is killed right after leaves a mark that the warehouse is to follow."""
    with workspace.warehouse.changing():
        workspace.seats_file.write(seats)


def _follow(champion: "Workspace", before: Seat) -> Switched:
    """What can follow later: what people open, and the registry's aliases."""
    steps: tuple[Callable[[], object], ...] = (
        champion.publish,
        lambda: align_aliases(champion),
    )
    pending = []
    for step in steps:
        try:
            step()
        except EmbeddingAssetsError as error:
            pending.append(error.problem)
    return Switched(champion.seat, before, tuple(pending))
