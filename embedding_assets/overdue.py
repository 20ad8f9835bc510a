"""What should have been made by now and was not, by digest and not by the age of files."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from embedding_assets.workspace import Workspace

_SAMPLE = 50


@dataclass(frozen=True)
class Due:
    """A partition of an asset that a run would make otherwise, or cannot make.

    partition: "" for an asset that has none. state: `missing`, `stale` or `blocked`.
    """

    asset: str
    partition: str
    state: str
    why: str

    @property
    def name(self) -> str:
        """Under which it is remembered."""
        return f"{self.asset}[{self.partition}]" if self.partition else self.asset


def due_now(workspace: Workspace) -> Iterator[Due]:
    """Every partition that is missing, stale or blocked now; a file that has changed is read once
    in this process, however long no run takes it up.

    What the folders hold counts, so that a folder that is not there has nothing that is due.
    """
    if workspace.accounts.has_records:
        for day in workspace.accounts.states(workspace.accounts.look()):
            if day.is_due or day.state == "blocked":
                yield Due(day.asset, str(day.day), day.state, day.why or day.state)
    library = workspace.library
    if library.folder.is_dir():
        inventory = library.look()
        for document in library.states(inventory):
            if document.is_due:
                why = document.why or document.state
                yield Due(document.asset, document.doc_id, document.state, why)
        if library.work(inventory).index_is_stale:
            yield Due("document_index", "", "stale", "the index lacks what is stored")
    catalogue = workspace.catalogue
    if catalogue.files.folder.is_dir() and not catalogue.missing() and catalogue.is_stale():
        yield Due("app_index", "", "stale", "the files of apps have changed")


def sample(due: Iterator[Due], known: set[str]) -> dict[str, Due]:
    """Some of each asset, those first that are `known` from the last look: what stays due for
    long stays in the sample, however many there are."""
    found: dict[str, dict[str, Due]] = {}
    counts: dict[str, int] = {}
    for each in due:
        mine = found.setdefault(each.asset, {})
        counts[each.asset] = counts.get(each.asset, 0) + 1
        if each.name in known or len(mine) < _SAMPLE:
            mine[each.name] = each
    return {
        name: replace(each, why=f"{each.why} ({counts[asset]} partitions are due)")
        if counts[asset] > 1
        else each
        for asset, mine in found.items()
        for name, each in mine.items()
    }
