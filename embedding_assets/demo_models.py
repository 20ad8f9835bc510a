"""The demo's models: a second embedding model is made of the sample texts, judged, promoted and
rolled back, while somebody searches all the time."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from embedding_assets.errors import EmbeddingAssetsError
from embedding_assets.release.gate_table import Judgement
from embedding_assets.release.promote import evaluate_challenger, promote, roll_back
from embedding_assets.release.stage import Staged, stage, take_seat
from embedding_assets.search.documents import DocumentSearch, Mode
from embedding_assets.workspace import Workspace

_QUESTIONS = ("how long does a refund take", "what is sent with the parcel", "who answers at night")
_PATIENCE_SECONDS = 60.0
_ALIKE = 1e-4


@dataclass
class Searches:
    """What somebody saw who searched all the time: answers by model, in the order of their first.

    failed: answers that did not come. mixed: answers that no single model gives.
    """

    by_model: dict[str, int] = field(default_factory=dict)
    last: str = ""
    failed: int = 0
    mixed: int = 0

    @property
    def answers(self) -> int:
        """All that came."""
        return sum(self.by_model.values())


@dataclass(frozen=True)
class Released:
    """What became of the second model. seconds: of the switch and of the way back, until the first
    answer of the other model; None when the gates kept the champion."""

    staged: Staged
    judgement: Judgement
    searches: Searches
    seconds: tuple[float, float] | None


def provide_release(workspace: Workspace, say: Callable[[str], None]) -> Released:
    """Make the second model, stage it, judge it; where the gates let it, promote it and go back.

    Raises EmbeddingAssetsError subclasses.
    """
    say("Making a second embedding model of the stored texts ...")
    model = workspace.trainer.provide()
    workspace.trainer.register(model)
    say("Staging it beside the one that serves ...")
    tried = take_seat(workspace, str(model.folder))
    staged = stage(workspace, tried)
    say("Judging it ...")
    found = evaluate_challenger(workspace)
    if found.closed:
        return Released(staged, found, Searches(), None)
    say("Promoting it and going back, while somebody searches ...")
    with _searching(workspace, tried) as seen:
        before, after = (each.library.served_version() or "" for each in (workspace, tried))
        _wait(lambda: seen.answers > 0)
        there = _timed(lambda: promote(workspace), lambda: seen.last == after)
        back = _timed(lambda: roll_back(workspace.serving()), lambda: seen.last == before)
    return Released(staged, found, seen, (there, back))


def release_lines(released: Released) -> list[str]:
    """The same for people."""
    gates = released.judgement.gates
    width = max(len(gate.name) for gate in gates)
    lines = [f"  {gate.name:{width}}  {gate.verdict:14}  {gate.words}" for gate in gates]
    if released.seconds is None:
        closed = ", ".join(gate.name for gate in released.judgement.closed)
        return [*lines, f"The champion stays, because of {closed}."]
    seen, (there, back) = released.searches, released.seconds
    return [
        *lines,
        f"Promoted, and the first answer by it {there:.1f} s after the command; rolled back, "
        f"{back:.1f} s.",
        f"{seen.answers:,} searches meanwhile: {seen.failed} failed, {seen.mixed} of two models.",
    ]


@contextmanager
def _searching(workspace: Workspace, tried: Workspace) -> Iterator[Searches]:
    """Somebody searches inside the block, as the service does."""
    expected = {
        (each.library.served_version(), question): _scores(each.library.search, question)
        for each in (workspace, tried)
        for question in _QUESTIONS
    }
    search = DocumentSearch(
        lambda: workspace.serving().library.snapshots,
        lambda manifest: workspace.encoder_of(manifest.model.fingerprint),
        in_background=True,
        prepare=lambda version: workspace.encoder_of(version.manifest.model.fingerprint),
    )
    seen, done = Searches(), threading.Event()

    def ask() -> None:
        while not done.is_set():
            for question in _QUESTIONS:
                try:
                    hits = search.search(question, Mode.SEMANTIC)
                except EmbeddingAssetsError:
                    seen.failed += 1
                    continue
                name = hits[0].index_version
                wanted = expected.get((name, question), [])
                is_of_one = all(hit.index_version == name for hit in hits)
                seen.mixed += not (is_of_one and _are_alike([hit.score for hit in hits], wanted))
                seen.by_model[name] = seen.by_model.get(name, 0) + 1
                seen.last = name

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    try:
        yield seen
    finally:
        done.set()
        asking.join()


def _scores(search: DocumentSearch, question: str) -> list[float]:
    return [hit.score for hit in search.search(question, Mode.SEMANTIC)]


def _are_alike(scores: list[float], others: list[float]) -> bool:
    pairs = zip(scores, others, strict=False)
    return len(scores) == len(others) and all(abs(one - other) < _ALIKE for one, other in pairs)


def _timed(act: Callable[[], object], holds: Callable[[], bool]) -> float:
    began = time.monotonic()
    act()
    _wait(holds)
    return time.monotonic() - began


def _wait(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + _PATIENCE_SECONDS
    while not holds():
        if time.monotonic() > until:
            raise EmbeddingAssetsError(
                "Searches do not see the other model.", "Look into the log of the demo."
            )
        time.sleep(0.01)
