"""A model is computed beside the one that serves, without touching it."""

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from embedding_assets.domain_model import REGISTERED_NAME
from embedding_assets.embedding.model import resolve_model
from embedding_assets.errors import InputError, ModelLoadError, NotFoundError, RegistryError
from embedding_assets.experiments.plan import CHALLENGER, MODELS, Experiment
from embedding_assets.registry import CONTENT, ModelVersion
from embedding_assets.release.aliases import align_aliases
from embedding_assets.release.seats import Challenger, Seat, Seats
from embedding_assets.release.work import Done, Price, make, prices

if TYPE_CHECKING:
    from embedding_assets.workspace import Workspace

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

    Raises NotFoundError when there is none, InputError for the model that serves already and for
    an experiment on something else, ModelError and RegistryError subclasses, StoreLockedError while
    the one that is tried now is computed, judged or promoted.
    """
    file = workspace.seats_file
    if experiment is not None:
        require_models_experiment(workspace.experiments.find(experiment))
    first, champion = _known_champion(workspace)
    seat = None if model is None else _new_seat(workspace, model, precision)
    with file.working():
        with file.locked():
            seats = workspace.seats  # others may have promoted since
            if seats.champion == first:
                seats = replace(seats, champion=champion)
            tried = required(seats) if seat is None else _tried(seats, seat, model or "")
            tried = replace(tried, experiment=experiment or tried.experiment)
            if tried != seats.challenger:
                file.write(seats.with_challenger(tried))
        if not workspace.seats.aliased:
            with suppress(RegistryError):  # the sensor does it later
                align_aliases(workspace)
    return workspace.at(tried.seat)


def look_at(workspace: "Workspace", model: str | None, precision: str = "auto") -> "Workspace":
    """The workspace that a model would have as the challenger; who is tried stays.

    Raises what `take_seat` does.
    """
    if model is None:
        return workspace.at(required(workspace.seats).seat)
    _, champion = _known_champion(workspace)
    seats = replace(workspace.seats, champion=champion)
    return workspace.at(_tried(seats, _new_seat(workspace, model, precision), model).seat)


def stage(
    workspace: "Workspace",
    challenger: "Workspace",
    tags: Mapping[str, str] | None = None,
    tell: Callable[[Price | Done], None] = lambda what: None,
) -> Staged:
    """Compute all that the challenger lacks, the cheapest part first, and mark it as complete.

    tell: is told the price of each part before, and what it has cost after.
    Whoever is killed goes on where it was with the same call; no vector is computed twice. Raises
    StoreLockedError while another one is at it, NotFoundError when the challenger is another one
    by then, RegistryError, OutputError subclasses.
    """
    with workspace.seats_file.working():
        _require_tried(workspace.seats, challenger.seat)
        return catch_up(workspace, challenger, tags, tell)


def catch_up(
    workspace: "Workspace",
    challenger: "Workspace",
    tags: Mapping[str, str] | None = None,
    tell: Callable[[Price | Done], None] = lambda what: None,
) -> Staged:
    """`stage` for a caller that holds the challenger's place already."""
    version = challenger.model_version
    challenger.require_live_model()
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
        complete = _require_tried(seats, challenger.seat).complete()
        workspace.seats_file.write(seats.with_challenger(complete))
    align_aliases(workspace)
    return Staged(challenger.seat, version, tuple(price), tuple(done), run.link)


def drop_challenger(workspace: "Workspace") -> Seat:
    """Give up the challenger; what was computed for it goes with the next upkeep.

    Raises NotFoundError when there is none, StoreLockedError while it is computed, judged or
    promoted, and RegistryError when its alias could not be taken from it yet.
    """
    file = workspace.seats_file
    with file.working():
        with file.locked():
            seats = workspace.seats
            seat = required(seats).seat
            file.write(seats.with_challenger(None))
        align_aliases(workspace)
    return seat


def required(seats: Seats) -> Challenger:
    """The challenger. Raises NotFoundError when there is none."""
    if seats.challenger is None:
        raise NotFoundError(
            "No model is staged beside the one that serves.",
            "Stage one: `embedding-assets model stage MODEL`.",
        )
    return seats.challenger


def require_models_experiment(experiment: Experiment) -> None:
    """Raises InputError for an experiment that does not compare the challenger with the
    champion."""
    plan = experiment.plan
    if plan.endpoint != "search" or {each.setting for each in plan.variants} != {*MODELS}:
        raise InputError(
            f"The experiment {plan.id} does not compare the two models.",
            "Name one on the endpoint search whose variants have the settings champion and "
            "challenger.",
        )


def fetched_folder(workspace: "Workspace") -> Path:
    """Where versions of the registry are fetched to."""
    return workspace.models_dir / "registry"


def _require_tried(seats: Seats, seat: Seat) -> Challenger:
    """The challenger, which is in that seat. Raises NotFoundError when it is not any more."""
    tried = seats.challenger
    if tried is None or tried.seat != seat:
        now = f"{tried.seat.model} is" if tried else "none is"
        raise NotFoundError(
            f"{seat.model} is no longer the challenger: {now}.",
            "Stage it again: `embedding-assets model stage MODEL`; what was computed is kept until "
            "the next upkeep.",
        )
    return tried


def _known_champion(workspace: "Workspace") -> tuple[Seat, Seat]:
    """The champion as it is written, and the same with its fingerprint."""
    champion = workspace.seats.champion
    if champion.fingerprint:
        return champion, champion
    if workspace.live_model() is None:
        raise InputError(
            "Nothing is embedded here yet, so that there is nothing to stage a model beside.",
            "Set model.name to the model and materialize; it is the first one then.",
        )
    workspace.require_live_model()
    return champion, replace(champion, fingerprint=workspace.fingerprint)


def _new_seat(workspace: "Workspace", model: str, precision: str) -> Seat:
    """The seat of a model that never had one; until it has, the upkeep takes it for a new one."""
    model = _local(workspace, model)
    kinds = [folder.resolve() for folder in (workspace.trainer.folder, fetched_folder(workspace))]
    for folder in (Path(model).resolve(), *Path(model).resolve().parents):
        if folder.parent in kinds:
            with suppress(FileNotFoundError):
                os.utime(folder)
    fingerprint = workspace.fingerprint_of(model, precision)
    return Seat(model, precision, fingerprint, f"spaces/{fingerprint[:16]}")


def _tried(seats: Seats, seat: Seat, source: str) -> Challenger:
    """The challenger of a model, in the seat that it had before or in a new one."""
    if seat.fingerprint == seats.champion.fingerprint:
        raise InputError(
            f"{seat.model} is the model that serves already (fingerprint {seat.fingerprint[:12]}).",
            "Stage another one.",
        )
    known = {each.fingerprint: each for each in reversed(seats.all)}
    seat = known.get(seat.fingerprint, seat)
    if seats.challenger and seats.challenger.seat == seat:
        is_wish = source.startswith(_REGISTERED)
        return replace(seats.challenger, source=source) if is_wish else seats.challenger
    return Challenger(seat, source=source)


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
    place, content = known.get("model", ""), known.get(CONTENT, "")
    if place and content:
        try:
            if resolve_model(place, workspace.models_dir).content_sha256 == content:
                return place
        except ModelLoadError:
            pass  # made on another machine
    return str(registry.fetch(name, number, fetched_folder(workspace) / f"{name}-{number}"))
