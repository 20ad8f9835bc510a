"""The experiments of `make demo`: users who are simulated, and what they are answered is not.

Each user asks one question, sees what the variant answers to it over the demo's own data, and
clicks or not. Both experiments run on afterwards, so that real users join.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from embedding_assets.apps.answers import SimilarQuery
from embedding_assets.errors import EmbeddingAssetsError, InputError, NotFoundError
from embedding_assets.experiments.outcomes import Outcome
from embedding_assets.experiments.plan import (
    Experiment,
    ExperimentConflictError,
    ExperimentPlan,
    Metric,
    UnknownExperimentError,
    Variant,
)

if TYPE_CHECKING:
    from embedding_assets.experiments.analysis import Analysis
    from embedding_assets.experiments.controller import ABTestController
    from embedding_assets.search.documents import Hit
    from embedding_assets.workspace import Workspace

Chances: TypeAlias = Mapping[str, npt.NDArray[np.float64]]
"""By variant float64 [q]: how likely who asks question q clicks what the variant answers."""

USERS = 6_000
DAYS = 14
_TURN = timedelta(hours=4)
_LONGEST_LOOK = timedelta(hours=1)
_SEED = 7
_MOST_APPS, _MOST_QUERIES = 500, 300
_APPS_SEEN, _DRAWN_TO = 5, 0.1
"""So far apart that every demo finds the winner: users are assigned by another salt each time."""
_NOTICED = (0.6, 0.4, 0.3)
"""How likely the wanted document is clicked in each of the first places."""
_WORDS, _MISSPELT = 3, 0.2
_WORD = re.compile(r"[^\W\d_]{4,}")

_METRICS = (
    Metric("click", "rate"),
    Metric("errors", "rate", "down", guard=True),
    Metric("empty", "rate", "down", guard=True),
)
APPS = ExperimentPlan(
    id="apps-v1-v2",
    variants=(Variant("v1", 1, "v1"), Variant("v2", 1, "v2")),
    metrics=_METRICS,
    endpoint="find-similar",
    hypothesis=f"The vectors of v2 find more apps of the same category than those of v1, so that "
    f"more people click one. Its first {USERS:,} users (demo-...) are simulated: each sees the "
    f"first {_APPS_SEEN} apps that the variant really answers for an app, and is drawn to each of "
    f"the same category with a probability of {_DRAWN_TO:.0%}.",
)
SEARCH = ExperimentPlan(
    id="search-keyword-hybrid",
    variants=(Variant("keyword", 1, "keyword"), Variant("hybrid", 1, "hybrid")),
    metrics=_METRICS,
    endpoint="search",
    hypothesis=f"Search by words and meaning together shows the wanted document among the first "
    f"{len(_NOTICED)} passages more often than search by words alone. Its first {USERS:,} users "
    f"(demo-...) are simulated: each remembers {_WORDS} words of a passage, {_MISSPELT:.0%} of "
    f"them misspelt, and clicks its document at the places 1 to {len(_NOTICED)} of what the "
    f"variant really answers with probabilities of {', '.join(f'{p:.0%}' for p in _NOTICED)}.",
)


@dataclass
class Clock:
    """Tells the time that is set, else the real one."""

    at: datetime | None = None

    def __call__(self) -> datetime:
        """The moment in UTC."""
        return self.at or datetime.now(UTC)


def provide_experiments(workspace: "Workspace", say: Callable[[str], None]) -> "list[Analysis]":
    """What may be said now of the demo's experiments, which are started and filled where they are
    not yet.

    One that cannot run here is left out, and `say` is told why. Raises DatabaseUnavailableError.
    """
    from embedding_assets.api.service import open_service_engine
    from embedding_assets.experiments.controller import ABTestController

    clock, engine = Clock(), open_service_engine(workspace.settings)
    try:
        controller = ABTestController(engine, clock)
        for plan, chances in ((APPS, app_chances), (SEARCH, search_chances)):
            try:
                if needs_users(controller, plan):
                    say(f"Simulating {USERS:,} users of {plan.id} ...")
                    replay(controller, clock, plan, chances(workspace))
            except (ExperimentConflictError, InputError, NotFoundError) as error:
                say(f"{plan.id} is left as it is: {error.problem}")
        return [controller.analyse(plan.id) for plan in (APPS, SEARCH) if _find(controller, plan)]
    finally:
        engine.dispose()


def needs_users(controller: "ABTestController", plan: ExperimentPlan) -> bool:
    """Whether the experiment is not there yet, or filling it was interrupted."""
    found = _find(controller, plan)
    if found is None:
        return True
    if found.plan != plan or found.state not in ("draft", "running"):
        return False
    if found.started is not None and found.started > _beginning(plan):
        return False
    judged = controller.analyse(plan.id).judgement
    return not any(each.mean or each.control_mean for each in judged.comparisons)


def replay(
    controller: "ABTestController", clock: Clock, plan: ExperimentPlan, chances: Chances
) -> None:
    """Start the experiment in the past and let its simulated users see it, until now.

    May be repeated: each user and each click counts once. Raises ExperimentConflictError when
    another experiment has the endpoint.
    """
    clock.at = _beginning(plan)
    started = _started(controller, plan)
    rng = np.random.default_rng(_SEED)
    questions = rng.integers(len(chances[plan.control.name]), size=USERS)
    looks, moods = rng.random((2, USERS))
    turns = np.array_split(np.arange(USERS), timedelta(days=DAYS) // _TURN)
    clicks = []
    for turn, users in enumerate(turns):
        clock.at = started + turn * _TURN
        units = {f"demo-{user:05}": user for user in users}
        for unit, variant in controller.expose(plan.id, units).items():
            user = units[unit]
            if moods[user] < chances[variant.name][questions[user]]:
                clicked = clock.at + float(looks[user]) * _LONGEST_LOOK
                clicks.append(Outcome(f"{unit} click", unit, "click", 1.0, clicked))
    clock.at = None
    controller.record(plan.id, clicks)


def app_chances(workspace: "Workspace") -> Chances:
    """How likely people click an app similar to theirs: the more of those that they see are of its
    category, the likelier.

    Raises NotFoundError while nothing is indexed, or not in both versions.
    """
    apps = workspace.table("app_catalogue").read().filter(pc.field("super_category").is_valid())
    chosen = apps.take(_sample(apps.num_rows, _MOST_APPS)).to_pylist()
    if not chosen:
        raise NotFoundError("No app has a category.", "Give some of them one.")
    service, chances = workspace.catalogue.service, {}
    for variant in APPS.variants:
        asked = [SimilarQuery(a["app_id"], None, variant.setting, _APPS_SEEN) for a in chosen]
        alike = []
        for app, answer in zip(chosen, service.find_similar_many(asked), strict=True):
            if isinstance(answer, EmbeddingAssetsError):
                raise answer
            mine = app["super_category"].casefold()
            alike.append(sum((a.category or "").casefold() == mine for a in answer.results))
        chances[variant.name] = 1 - (1 - _DRAWN_TO) ** np.array(alike)
    return chances


def search_chances(workspace: "Workspace") -> Chances:
    """How likely people click the document whose words they remember: the higher it stands, the
    likelier.

    Raises NotFoundError while nothing is indexed.
    """
    passages = workspace.table("doc_chunks").dataset()
    places = _sample(passages.count_rows(), _MOST_QUERIES)
    rng = np.random.default_rng(_SEED)
    wanted = {}
    for passage in passages.take(places, columns=["doc_id", "text"]).to_pylist():
        if query := remembered(passage["text"], rng):
            wanted[query] = passage["doc_id"]
    if not wanted:
        raise NotFoundError("No passage has words to search for.", "Put documents there.")
    search, chances = workspace.library.search, {}
    for variant in SEARCH.variants:
        answers = search.search_many([*wanted], variant.setting, len(_NOTICED))
        noticed = (_noticed(*each) for each in zip(wanted.values(), answers, strict=True))
        chances[variant.name] = np.fromiter(noticed, np.float64)
    return chances


def remembered(text: str, rng: np.random.Generator) -> str:
    """Some words of a text, some with two neighbouring letters exchanged; "" when it has too few
    words."""
    words = list(dict.fromkeys(_WORD.findall(text)))
    if len(words) < _WORDS:
        return ""
    chosen = [words[place] for place in rng.choice(len(words), _WORDS, replace=False)]
    return " ".join(_misspelt(word, rng) if rng.random() < _MISSPELT else word for word in chosen)


def _misspelt(word: str, rng: np.random.Generator) -> str:
    place = int(rng.integers(1, len(word) - 1))
    return word[:place] + word[place + 1] + word[place] + word[place + 2 :]


def _noticed(doc_id: str, hits: "list[Hit]") -> float:
    found = [hit.doc_id for hit in hits]
    return _NOTICED[found.index(doc_id)] if doc_id in found else 0.0


def _beginning(plan: ExperimentPlan) -> datetime:
    """When to start so that the windows of all simulated users are closed by now."""
    return datetime.now(UTC) - timedelta(days=DAYS, seconds=plan.attribution_seconds)


def _started(controller: "ABTestController", plan: ExperimentPlan) -> datetime:
    """When the experiment started; where it has not, it does so now."""
    found = _find(controller, plan) or controller.create(plan)
    started = found.started or controller.start(plan.id).started
    assert started is not None
    return started


def _find(controller: "ABTestController", plan: ExperimentPlan) -> Experiment | None:
    try:
        return controller.find(plan.id)
    except UnknownExperimentError:
        return None


def _sample(count: int, most: int) -> npt.NDArray[np.int64]:
    """Up to `most` of the numbers below `count`, in order."""
    rng = np.random.default_rng(_SEED)
    return np.sort(rng.choice(count, min(count, most), replace=False)) if count else np.arange(0)
