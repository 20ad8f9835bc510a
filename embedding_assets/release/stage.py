"""A model is computed beside the one that serves, without touching it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from embedding_assets.domain_model import REGISTERED_NAME
from embedding_assets.embedding.model import resolve_model
from embedding_assets.errors import InputError, ModelLoadError, NotFoundError
from embedding_assets.registry import ModelVersion
from embedding_assets.release.seats import Challenger, Seat, Seats, now
from embedding_assets.release.work import Done, Price, make, prices

if TYPE_CHECKING:
    from embedding_assets.workspace import Workspace

CHALLENGER = "challenger"
CHAMPION = "champion"
_REGISTERED = "models:/"


@dataclass(frozen=True)
class Staged:
    """A model that is complete beside the champion: what each part has cost, in the order in which
    they were made, and the MLflow run that tells it."""

    seat: Seat
    version: ModelVersion
    price: tuple[Price, ...]
    done: tuple[Done, ...]
    run: str

    @property
    def computed(self) -> int:
        """Vectors that had to be computed."""
        return int(sum(each.costs["computed"] for each in self.done))


def take_seat(
    workspace: "Workspace",
    model: str | None,
    precision: str = "auto",
    experiment: str | None = None,
) -> "Workspace":
    """The workspace of a challenger; nothing is computed yet.

    model: a name, folder or archive, `models:/NAME/VERSION` of the registry, or `domain_model` for
    the one that was made last of the texts stored here; None for the challenger that there is.
    experiment: whose decision the gates shall ask for.

    Raises NotFoundError when there is none, InputError for the model that serves already,
    ModelError and RegistryError subclasses, StoreLockedError.
    """
    file = workspace.seats_file
    champion = _known_champion(workspace)
    seat = None
    if model is not None:
        seat = _seat_of(workspace, champion, _local(workspace, model), precision)
    with file.locked():
        seats = replace(workspace.seats, champion=champion.champion)
        challenger = seats.challenger if seat is None else Challenger(seat, source=model or "")
        if challenger is None or (seats.challenger and seats.challenger.seat == seat):
            challenger = required(seats)
        if experiment is not None:
            challenger = replace(challenger, experiment=experiment)
        file.write(seats.with_challenger(challenger))
    return workspace.at(challenger.seat)


def stage(
    workspace: "Workspace",
    challenger: "Workspace",
    tags: Mapping[str, str] | None = None,
    tell: Callable[[Price | Done], None] = lambda what: None,
) -> Staged:
    """Compute all that the challenger lacks, the cheapest part first, and mark it as complete.

    tell: is told the price of each part before, and what it has cost after.
    Whoever is killed goes on where it was with the same call; no vector is computed twice. Raises
    StoreLockedError while another one is at it, RegistryError, OutputError subclasses.
    """
    with workspace.seats_file.working():
        return catch_up(workspace, challenger, tags, tell)


def catch_up(
    workspace: "Workspace",
    challenger: "Workspace",
    tags: Mapping[str, str] | None = None,
    tell: Callable[[Price | Done], None] = lambda what: None,
) -> Staged:
    """`stage` for a caller that holds the challenger's place already."""
    version = challenger.model_version
    price = prices(workspace, challenger)
    for each in price:
        tell(each)
    settings = {"precision": challenger.precision.precision, "window": challenger.model.window}
    registry = workspace.registry
    with registry.vector_run(CHALLENGER, version, settings, tags or {}) as run:
        done = []
        for part in make(workspace, challenger, [each.part for each in price]):
            run.add(part.costs)
            tell(part)
            done.append(part)
    with workspace.seats_file.locked():
        seats = workspace.seats
        if seats.challenger and seats.challenger.seat == challenger.seat:
            complete = replace(seats.challenger, staged=now())
            workspace.seats_file.write(seats.with_challenger(complete))
    align_aliases(workspace)
    return Staged(challenger.seat, version, tuple(price), tuple(done), run.link)


def align_aliases(workspace: "Workspace") -> bool:
    """Let the registry's aliases say what the seats say; whether anything had to be changed.

    Raises RegistryError.
    """
    seats, registry = workspace.seats, workspace.registry
    changed = registry.give_alias(CHAMPION, workspace.at(seats.champion).model_version)
    challenger = seats.challenger
    if challenger is None or challenger.staged is None:
        return registry.give_alias(CHALLENGER, None) or changed
    version = workspace.at(challenger.seat).model_version
    return registry.give_alias(CHALLENGER, version) or changed


def drop_challenger(workspace: "Workspace") -> Seat:
    """Give up the challenger; what was computed for it goes with the next upkeep.

    Raises NotFoundError when there is none, StoreLockedError, and RegistryError when its alias
    could not be taken from it.
    """
    with workspace.seats_file.locked():
        seats = workspace.seats
        seat = required(seats).seat
        workspace.seats_file.write(seats.with_challenger(None))
    workspace.registry.give_alias(CHALLENGER, None)
    return seat


def required(seats: Seats) -> Challenger:
    """The challenger. Raises NotFoundError when there is none."""
    if seats.challenger is None:
        raise NotFoundError(
            "No model is staged beside the one that serves.",
            "Stage one: `embedding-assets model stage MODEL`.",
        )
    return seats.challenger


def _known_champion(workspace: "Workspace") -> Seats:
    """The seats, the first champion with its fingerprint too."""
    seats = workspace.seats
    if seats.champion.fingerprint:
        return seats
    if workspace.live_model() is None:
        raise InputError(
            "Nothing is embedded here yet, so that there is nothing to stage a model beside.",
            "Set model.name to the model and materialize; it is the first one then.",
        )
    workspace.require_live_model()
    return replace(seats, champion=replace(seats.champion, fingerprint=workspace.fingerprint))


def _seat_of(workspace: "Workspace", seats: Seats, model: str, precision: str) -> Seat:
    """The seat of a model: the one it had before, or a new one."""
    fingerprint = workspace.fingerprint_of(model, precision)
    if fingerprint == seats.champion.fingerprint:
        raise InputError(
            f"{model} is the model that serves already (fingerprint {fingerprint[:12]}).",
            "Stage another one.",
        )
    for seat in seats.all:
        if seat.fingerprint == fingerprint:
            return seat
    return Seat(model, precision, fingerprint, f"spaces/{fingerprint[:16]}")


def _local(workspace: "Workspace", model: str) -> str:
    """Where a model is on this machine; one that only the registry has is fetched."""
    if model == REGISTERED_NAME:
        return str(workspace.trainer.latest().folder)
    if not model.startswith(_REGISTERED):
        return str(Path(model).resolve()) if Path(model).exists() else model
    name, _, number = model.removeprefix(_REGISTERED).rpartition("/")
    if not name or not number.isdigit():
        raise InputError(
            f"{model} names no version of a registered model.", "Write models:/NAME/VERSION."
        )
    registry = workspace.registry
    known = registry.tags_of(name, number)
    place, content = known.get("model", ""), known.get("content_sha256", "")
    if place and content:
        try:
            if resolve_model(place, workspace.models_dir).content_sha256 == content:
                return place
        except ModelLoadError:
            pass  # made on another machine
    return str(registry.fetch(name, number, workspace.models_dir / "registry" / f"{name}-{number}"))
