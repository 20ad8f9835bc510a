"""The registry's aliases `champion` and `challenger` say what the seats say."""

from dataclasses import replace
from typing import TYPE_CHECKING

from embedding_assets.experiments.plan import CHALLENGER, CHAMPION
from embedding_assets.registry import ModelVersion

if TYPE_CHECKING:
    from embedding_assets.workspace import Workspace


def align_aliases(workspace: "Workspace") -> bool:
    """Let the registry's aliases say what the seats say; whether anything had to be changed. Models
    that never had a seat here keep theirs: others may use the same registry.

    Raises RegistryError.
    """
    seats = workspace.seats
    tried = seats.challenger

    def is_left(other: ModelVersion) -> bool:
        if tried and tried.is_for(other.source, other.fingerprint):
            return tried.staged is not None
        return _is_known(workspace, other)

    changed = align_champion(workspace)
    version = workspace.at(tried.seat).model_version if tried and tried.staged else None
    changed = workspace.registry.give_alias(CHALLENGER, version, is_left) or changed
    if not seats.aliased:
        with workspace.seats_file.locked():
            if workspace.seats == seats:
                workspace.seats_file.write(replace(seats, aliased=True))
    return changed


def align_champion(workspace: "Workspace") -> bool:
    """The same for the alias of the model that serves alone."""
    version = workspace.at(workspace.seats.champion).model_version
    return workspace.registry.give_alias(
        CHAMPION, version, lambda other: _is_known(workspace, other)
    )


def _is_known(workspace: "Workspace", version: ModelVersion) -> bool:
    """Whether a version is of a model that has a seat here."""
    seats = workspace.seats
    champion = workspace.at(seats.champion).fingerprint
    return version.fingerprint in {champion, *(seat.fingerprint for seat in seats.all)} - {""}
