from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.dataset
import pytest

from embedding_assets import demo_experiments
from embedding_assets.database import open_engine
from embedding_assets.demo_experiments import (
    APPS,
    SEARCH,
    USERS,
    Clock,
    app_chances,
    needs_users,
    provide_experiments,
    remembered,
    replay,
    search_chances,
)
from embedding_assets.errors import NotFoundError
from embedding_assets.experiments.controller import ABTestController
from embedding_assets.experiments.plan import ExperimentPlan, Metric, Variant
from embedding_assets.search.snapshots import Snapshots
from embedding_assets.settings import Settings
from embedding_assets_tests.apps.shelf import published, service, tables, vectors

NEVER_OR_ALWAYS = {"v1": np.array([0.0, 0.0]), "v2": np.array([1.0, 1.0])}


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def controller(tmp_path, clock):
    engine = open_engine(f"sqlite:///{tmp_path / 'service.db'}")
    yield ABTestController(engine, clock)
    engine.dispose()


def means(analysis):
    """Of the control and of the other variant, by the metric that decides."""
    primary = analysis.judgement.comparisons[0]
    return primary.control_mean, primary.mean


class TestReplay:
    def test_users_click_as_likely_as_what_their_variant_answers_makes_it(self, controller, clock):
        replay(controller, clock, APPS, NEVER_OR_ALWAYS)
        found = controller.analyse(APPS.id)
        assert means(found) == (0.0, 1.0)
        assert (found.judgement.decision, found.judgement.winner) == ("winner", "v2")

    def test_every_simulated_user_is_judged_and_the_experiment_runs_on(self, controller, clock):
        replay(controller, clock, APPS, NEVER_OR_ALWAYS)
        found = controller.analyse(APPS.id)
        assert (sum(found.exposures.values()), found.waiting) == (USERS, 0)
        assert found.experiment.state == "running"
        assert controller.expose(APPS.id, ["a real user"])
        assert controller.analyse(APPS.id).waiting == 1

    def test_a_question_is_asked_by_its_share_of_the_users(self, controller, clock):
        half = {"v1": np.array([0.0, 1.0]), "v2": np.array([0.0, 1.0])}
        replay(controller, clock, APPS, half)
        assert all(0.45 < mean < 0.55 for mean in means(controller.analyse(APPS.id)))

    def test_one_that_is_repeated_counts_nobody_twice(self, controller, clock):
        replay(controller, clock, APPS, NEVER_OR_ALWAYS)
        before = controller.analyse(APPS.id)
        replay(controller, clock, APPS, NEVER_OR_ALWAYS)
        after = controller.analyse(APPS.id)
        assert after.judgement == before.judgement
        assert after.experiment == before.experiment


class TestNeedsUsers:
    def test_before_there_is_an_experiment_and_until_it_is_filled(self, controller, clock):
        assert needs_users(controller, APPS)
        controller.create(APPS)
        assert needs_users(controller, APPS)
        clock.at = datetime.now(UTC) - timedelta(days=20)
        controller.start(APPS.id)
        controller.expose(APPS.id, ["demo-00001"])
        clock.at = None
        assert needs_users(controller, APPS)
        replay(controller, clock, APPS, NEVER_OR_ALWAYS)
        assert not needs_users(controller, APPS)

    def test_never_one_of_somebody_else_that_has_the_same_id(self, controller):
        variants = (Variant("a", 1), Variant("b", 1))
        controller.create(ExperimentPlan(APPS.id, variants, (Metric("clicks", "rate"),)))
        assert not needs_users(controller, APPS)

    def test_never_one_that_was_started_otherwise(self, controller):
        controller.create(APPS)
        controller.start(APPS.id)
        assert not needs_users(controller, APPS)

    def test_never_one_that_was_ended(self, controller):
        controller.create(APPS)
        controller.start(APPS.id)
        controller.stop(APPS.id)
        assert not needs_users(controller, APPS)


class TestAppChances:
    @pytest.fixture
    def workspace(self, tmp_path, monkeypatch):
        """Apps of which one is shown: in v2 it is of another category, but for checkers."""
        monkeypatch.setattr(demo_experiments, "_APPS_SEEN", 1)
        monkeypatch.setattr(demo_experiments, "_DRAWN_TO", 0.25)
        v2 = {
            "chess": [1.0, 0.0],
            "weather": [1.0, 0.1],
            "checkers": [0.0, 1.0],
            "sudoku": [0.5, 0.9],
            "radio": [-1.0, -1.0],
        }
        snapshots = Snapshots(tmp_path / "index", 5.0)
        published(snapshots, v2=v2)
        catalogue = SimpleNamespace(read=lambda: tables()[0])
        return SimpleNamespace(
            snapshots=snapshots,
            table=lambda asset: catalogue,
            catalogue=SimpleNamespace(service=service(snapshots)),
        )

    def test_rise_with_the_apps_of_the_same_category_that_are_really_shown(self, workspace):
        found = app_chances(workspace)
        # Of chess, checkers, sudoku and weather: radio has no category.
        assert found["v1"].tolist() == [0.25, 0.25, 0.25, 0.0]
        assert found["v2"].tolist() == [0.0, 0.25, 0.25, 0.0]

    def test_are_refused_for_an_index_without_one_of_the_versions(self, workspace):
        v1 = {"chess": [1.0, 0.0], "checkers": [0.0, 1.0]}
        published(workspace.snapshots, versions={"v1": vectors(v1)})
        with pytest.raises(NotFoundError, match="v2"):
            app_chances(workspace)


class TestSearchChances:
    def test_fall_with_the_place_of_the_wanted_document(self):
        def search_many(queries, mode, k):
            hits = [SimpleNamespace(doc_id=name) for name in ("a.pdf", "b.pdf", "c.pdf")[:k]]
            return [hits if mode == "hybrid" else hits[:1] for _ in queries]

        texts = ("Hungry couriers wait", "Refunds take days", "Kitchens stay clean", "Never found")
        names = ("a.pdf", "b.pdf", "c.pdf", "d.pdf")
        rows = pa.table({"doc_id": names, "text": [f"{text} today" for text in texts]})
        chunks = SimpleNamespace(dataset=lambda: pyarrow.dataset.dataset(rows))
        search = SimpleNamespace(search_many=search_many)
        found = search_chances(
            SimpleNamespace(table=lambda asset: chunks, library=SimpleNamespace(search=search))
        )
        assert found["keyword"].tolist() == [0.6, 0.0, 0.0, 0.0]
        assert found["hybrid"].tolist() == [0.6, 0.4, 0.3, 0.0]

    def test_are_refused_where_there_is_nothing_to_search(self):
        rows = pa.table({"doc_id": pa.array([], pa.string()), "text": pa.array([], pa.string())})
        chunks = SimpleNamespace(dataset=lambda: pyarrow.dataset.dataset(rows))
        with pytest.raises(NotFoundError, match="No passage"):
            search_chances(SimpleNamespace(table=lambda asset: chunks))


class TestRemembered:
    def test_are_words_of_the_text_with_at_most_two_letters_exchanged(self):
        rng = np.random.default_rng(1)
        text = "A refund to a card takes four working days, a refund to a wallet none."
        letters = {"".join(sorted(word.strip(",."))) for word in text.split()}
        queries = [remembered(text, rng).split() for _ in range(100)]
        assert {len(set(query)) for query in queries} == {3}
        words = {word for query in queries for word in query}
        assert {"".join(sorted(word)) for word in words} <= letters
        assert "refund" in words and words - set(text.replace(",", "").split())

    def test_are_none_where_there_are_too_few(self):
        assert remembered("At 7 to 12, or a refund today", np.random.default_rng(1)) == ""


class TestProvide:
    @pytest.fixture
    def workspace(self, tmp_path, monkeypatch):
        chances = {"keyword": np.array([0.5]), "hybrid": np.array([0.5])}
        monkeypatch.setattr(demo_experiments, "app_chances", lambda _: NEVER_OR_ALWAYS)
        monkeypatch.setattr(demo_experiments, "search_chances", lambda _: chances)
        return SimpleNamespace(settings=Settings(data_dir=tmp_path))

    def test_both_are_filled_once(self, workspace, controller):
        told = []
        first = provide_experiments(workspace, told.append)
        assert [each.experiment.plan for each in first] == [APPS, SEARCH]
        assert [sum(each.exposures.values()) for each in first] == [USERS, USERS]
        assert len(told) == 2
        again = provide_experiments(workspace, told.append)
        assert [each.judgement for each in again] == [each.judgement for each in first]
        assert len(told) == 2
        assert {each.state for each in controller.experiments()} == {"running"}

    def test_one_whose_endpoint_is_taken_stays_a_draft_and_that_is_told(
        self, workspace, controller
    ):
        variants = (Variant("a", 1, "semantic"), Variant("b", 1, "hybrid"))
        controller.create(
            ExperimentPlan("mine", variants, (Metric("clicks", "rate"),), endpoint="search")
        )
        controller.start("mine")
        told = []
        found = provide_experiments(workspace, told.append)
        assert [each.experiment.state for each in found] == ["running", "draft"]
        assert "mine runs on search already" in told[-1]
