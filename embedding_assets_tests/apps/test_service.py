import errno
import threading

import numpy as np
import pytest

from embedding_assets.api.encoders import Encoders
from embedding_assets.api.metrics import Metrics
from embedding_assets.apps.answers import AppFilterError, AppFilters, SimilarApp, SimilarQuery
from embedding_assets.apps.metadata import AppQuery
from embedding_assets.apps.outcomes import AppOutcomes
from embedding_assets.apps.performance import PerformanceModel
from embedding_assets.apps.service import SimilarityService
from embedding_assets.embedding.encoder import HashingEncoder
from embedding_assets.errors import (
    InputError,
    ModelChangedError,
    NotFoundError,
    StoreDamagedError,
    StoreVersionError,
)
from embedding_assets.search.snapshots import Snapshots
from embedding_assets_tests.apps.shelf import ENCODER, V1, published, service, vectors

GAMES = AppFilters(categories=("GAMES",))


@pytest.fixture
def snapshots(tmp_path):
    found = Snapshots(tmp_path / "apps")
    published(found)
    return found


@pytest.fixture
def apps(snapshots):
    return service(snapshots)


def ids(answer):
    return [each.app_id for each in answer.results]


def test_a_known_app_has_its_nearest_by_cosine_without_itself(apps, snapshots):
    answer = apps.find_similar("chess")
    assert ids(answer) == ["checkers", "sudoku", "weather", "radio"]
    assert [each.score for each in answer.results] == pytest.approx([2 / 5**0.5, 0.5**0.5, 0, 0])
    assert (answer.version, answer.placed_by) == ("v1", "known")
    assert answer.index_version == snapshots.current()


def test_a_result_says_what_is_known_of_the_app_and_why_it_is_similar(apps):
    [found] = apps.find_similar("chess", k=1).results
    assert found == SimilarApp(
        app_id="checkers",
        name="Checkers Puzzle",
        category="Games",
        platform="android",
        score=found.score,
        reasons=("same category Games", "name shares 'puzzle'"),
        rate=found.rate,
        impressions=1_000,
    )
    assert found.rate == pytest.approx(0.06, abs=0.01)


def test_categories_that_differ_in_letter_case_are_the_same(apps):
    found = {each.app_id: each.reasons for each in apps.find_similar("chess").results}
    assert found["sudoku"] == ("same category Games", "same platform ios")
    assert found["radio"] == ()


def test_versions_have_their_own_vectors(apps):
    assert ids(apps.find_similar("chess", "v2")) == ["only-v2", "weather"]
    assert ids(apps.find_similar("only-v2", "v2")) == ["chess", "weather"]


def test_filters_hold_before_the_ranking(apps):
    assert ids(apps.find_similar("weather", k=1, filters=GAMES)) == ["chess"]
    both = AppFilters(categories=("games",), platforms=("Android", "ios"))
    assert ids(apps.find_similar("chess", filters=both)) == ["checkers", "sudoku"]
    assert ids(apps.find_similar("chess", "v2", filters=GAMES)) == []


def test_an_unknown_filter_value_is_refused_with_the_closest_ones(apps):
    with pytest.raises(AppFilterError, match=r"category 'gaming'.*'Games'"):
        apps.find_similar("chess", filters=AppFilters(categories=("gaming",)))
    with pytest.raises(AppFilterError, match=r"platform 'web'.*'android', 'ios'"):
        apps.find_similar("chess", filters=AppFilters(platforms=("ios", "web")))


@pytest.mark.parametrize("k", [1, 4, 5, 1_000, 10**9])
def test_k_may_be_larger_than_the_number_of_apps(apps, k):
    assert len(ids(apps.find_similar("chess", k=k))) == min(k, 4)


@pytest.mark.parametrize("k", [0, -1])
def test_k_below_1_is_refused(apps, k):
    with pytest.raises(InputError, match=f"{k} apps"):
        apps.find_similar("chess", k=k)


def test_an_app_with_twins_is_never_among_its_own(snapshots):
    same = {app: [1.0, 0.0, 0.0] for app in V1}
    published(snapshots, v1=same)
    for app in same:
        for k in (1, 2, 4):
            found = ids(service(snapshots).find_similar(app, k=k))
            assert len(found) == k and app not in found


@pytest.mark.parametrize(
    ("app_id", "hint"),
    [("ches", "chess"), ("CHESS", "chess"), ("chessy", "chess"), ("zzz", "Check the id")],
)
def test_an_unknown_app_is_refused_with_close_ids(apps, app_id, hint):
    with pytest.raises(NotFoundError, match=f"no app '{app_id}'.*{hint}"):
        apps.find_similar(app_id)


def test_an_unknown_version_is_refused_with_those_there_are(apps):
    with pytest.raises(NotFoundError, match=r"version 'v3'.*v1, v2"):
        apps.find_similar("chess", "v3")


def test_an_app_must_be_named_in_just_one_way(apps):
    with pytest.raises(InputError, match="No app was named"):
        apps.find_similar()
    with pytest.raises(InputError, match="Both"):
        apps.find_similar("chess", app=AppQuery("Chess"))


def test_a_new_app_is_placed_among_those_that_share_its_metadata(apps):
    answer = apps.find_similar(app=AppQuery(category="games", platform="ios"))
    assert answer.placed_by == "neighbours"
    assert {*ids(answer)[:3]} == {"chess", "checkers", "sudoku"}
    assert len(answer.results) == 5


def test_a_new_app_without_metadata_or_kin_is_refused(apps):
    with pytest.raises(InputError, match="Nothing is known"):
        apps.find_similar(app=AppQuery())
    with pytest.raises(InputError, match="No app shares"):
        apps.find_similar(app=AppQuery(category="Gardening"))


def test_a_known_app_without_a_vector_is_placed_by_its_metadata(apps):
    answer = apps.find_similar("checkers", "v2")
    assert answer.placed_by == "neighbours"
    assert ids(answer)[0] == "chess"
    with pytest.raises(NotFoundError, match=r"'radio' has neither.*v1"):
        apps.find_similar("radio", "v2")


def texts_decide(apps):
    """Vectors that are a linear map of the texts, so that the projection places new apps."""
    rows = [(f"app{n}", f"w{n % 7} v{n % 5}", None, None, None, None) for n in range(apps)]
    found = ENCODER.encode([AppQuery(row[1]).text for row in rows]).vectors
    plan = np.random.default_rng(0).normal(size=(64, 8))
    return rows, {row[0]: each.tolist() for row, each in zip(rows, found @ plan, strict=True)}


def test_a_new_app_is_placed_by_its_text_where_that_was_measured_to_be_better(snapshots):
    rows, v1 = texts_decide(70)
    published(snapshots, apps=rows, v1=v1)
    found = service(snapshots).find_similar(app=AppQuery("w3 v2"), k=2)
    assert found.placed_by == "projection"
    assert {each.name for each in found.results} == {"w3 v2"}


def test_warming_up_loads_the_text_encoder_only_where_it_is_needed(snapshots):
    asked = []

    def encoder_of(fingerprint):
        asked.append(fingerprint)
        return ENCODER

    apps = SimilarityService(snapshots, encoder_of)
    apps.warm_up()
    apps.find_similar(app=AppQuery(category="Games"))
    assert asked == []
    rows, v1 = texts_decide(70)
    published(snapshots, apps=rows, v1=v1)
    apps.warm_up()
    assert asked == [ENCODER.fingerprint]


def test_new_apps_are_placed_after_the_text_encoder_was_let_go_of(snapshots):
    models = {each.fingerprint: each for each in (ENCODER, *map(HashingEncoder, (8, 16, 32)))}
    encoders = Encoders(models.__getitem__, 0, Metrics())
    rows, v1 = texts_decide(70)
    published(snapshots, apps=rows, v1=v1)
    apps = SimilarityService(snapshots, encoders.of)
    before = apps.find_similar(app=AppQuery("w3 v2"))
    for fingerprint in list(models)[1:]:
        encoders.of(fingerprint)
    assert apps.find_similar(app=AppQuery("w3 v2")) == before
    encoders.close()


def test_a_text_encoder_that_is_not_the_index_s_is_refused(snapshots):
    rows, v1 = texts_decide(70)
    published(snapshots, apps=rows, v1=v1)
    other = service(snapshots, HashingEncoder(32))
    with pytest.raises(ModelChangedError, match="another model"):
        other.find_similar(app=AppQuery("w3 v2"))
    assert len(other.find_similar("app3").results) == 20


def test_many_questions_are_answered_as_each_alone(apps):
    queries = [
        SimilarQuery("chess", k=2),
        SimilarQuery("weather", k=2),
        SimilarQuery("weather", k=2, filters=GAMES),
        SimilarQuery("chess", version="v2"),
        SimilarQuery(app=AppQuery(category="tools"), k=3),
    ]
    for query, answer in zip(queries, apps.find_similar_many(queries), strict=True):
        alone = apps.find_similar(
            query.app_id, query.version, query.k, app=query.app, filters=query.filters
        )
        assert ids(answer) == ids(alone)
        assert answer.placed_by == alone.placed_by
    assert apps.find_similar_many([]) == []


def test_a_question_that_fails_leaves_the_others_answered(apps):
    answers = apps.find_similar_many(
        [
            SimilarQuery("chess", k=1),
            SimilarQuery("nobody"),
            SimilarQuery("chess", filters=AppFilters(platforms=("web",))),
            SimilarQuery(app=AppQuery("Nothing shared")),
        ]
    )
    assert ids(answers[0]) == ["checkers"]
    kinds = [type(each) for each in answers[1:]]
    assert kinds == [NotFoundError, AppFilterError, InputError]


def test_a_new_version_is_served_from_the_next_question_on(apps, snapshots):
    assert ids(apps.find_similar("chess", k=1)) == ["checkers"]
    published(snapshots, v1=V1 | {"weather": [3.0, 0.1, 0.0]})
    answer = apps.find_similar("chess", k=1)
    assert ids(answer) == ["weather"]
    assert answer.index_version == snapshots.current()
    snapshots.rollback()
    assert ids(apps.find_similar("chess", k=1)) == ["checkers"]


def test_a_damaged_new_version_leaves_the_old_one_served_and_is_told(apps, snapshots):
    before = apps.find_similar("chess")
    published(snapshots, v1=V1 | {"weather": [3.0, 0.1, 0.0]})
    (snapshots.path(snapshots.current()) / "v1" / "vectors.f32").write_bytes(b"torn")
    assert apps.find_similar("chess") == before
    assert "vectors.f32 is not as it was written" in apps.trouble
    assert apps.metrics().trouble == apps.trouble
    published(snapshots, v1=V1 | {"radio": [3.0, 0.1, 0.0]})
    assert ids(apps.find_similar("chess", k=1)) == ["radio"]
    assert apps.trouble is None


@pytest.mark.parametrize("error", [RecursionError("deep"), MemoryError()])
def test_a_new_version_that_breaks_when_it_is_opened_leaves_the_old_one(
    apps, snapshots, monkeypatch, error
):
    def fail(folder):
        raise error

    before = apps.find_similar("chess")
    published(snapshots, v1=V1 | {"weather": [3.0, 0.1, 0.0]})
    monkeypatch.setattr("embedding_assets.apps.served.AppIndex.open", fail)
    assert apps.find_similar("chess") == before
    assert type(error).__name__ in apps.trouble


def test_a_version_that_could_not_be_opened_for_a_moment_is_served_later(
    apps, snapshots, monkeypatch
):
    opened = []

    def fail(folder):
        opened.append(folder)
        raise OSError(errno.EMFILE, "Too many open files")

    before = apps.find_similar("chess")
    published(snapshots, v1=V1 | {"weather": [3.0, 0.1, 0.0]})
    with monkeypatch.context() as patch:
        patch.setattr("embedding_assets.apps.served.AppIndex.open", fail)
        assert [apps.find_similar("chess") for _ in range(3)] == [before] * 3
    assert len(opened) == 1 and "Too many open files" in apps.trouble
    monkeypatch.setattr("embedding_assets.apps.served._AGAIN_SECONDS", 0.0)
    assert apps.find_similar("chess").index_version == snapshots.current()
    assert apps.trouble is None


def test_going_back_from_a_damaged_version_ends_the_trouble(apps, snapshots):
    apps.find_similar("chess")
    published(snapshots, predicts="v1")
    (snapshots.path(snapshots.current()) / "apps.arrow").unlink()
    apps.find_similar("chess")
    assert apps.trouble is not None
    snapshots.rollback()
    apps.find_similar("chess")
    assert apps.trouble is None


def test_a_damaged_first_version_is_an_error(snapshots):
    (snapshots.path(snapshots.current()) / "apps.arrow").unlink()
    with pytest.raises(StoreDamagedError, match="apps.arrow"):
        service(snapshots).find_similar("chess")


def test_without_an_index_the_mend_is_named(tmp_path):
    with pytest.raises(NotFoundError, match="Materialize it with all versions"):
        service(Snapshots(tmp_path / "none")).find_similar("chess")


def test_threads_see_no_failed_question_while_versions_are_swapped(apps, snapshots):
    apps.find_similar("chess")
    stop, wrong = threading.Event(), []

    def ask():
        while not stop.is_set():
            try:
                answer = apps.find_similar("chess", k=3)
            except Exception as error:  # noqa: BLE001
                wrong.append(error)
                return
            if len(answer.results) != 3:
                wrong.append(answer)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for n in range(4):
        published(snapshots, v1=V1 | {"weather": [3.0, float(n), 0.0]})
    stop.set()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert apps.find_similar("chess").index_version == snapshots.current()


def test_metrics_count_what_was_asked_by_version(apps):
    apps.find_similar("chess")
    apps.find_similar("chess", "v2")
    apps.find_similar(app=AppQuery(category="Games"))
    with pytest.raises(NotFoundError):
        apps.find_similar("nobody")
    metrics = apps.metrics()
    assert (metrics.queries, metrics.failures, metrics.swaps, metrics.apps) == (3, 1, 1, 6)
    v1 = metrics.versions["v1"]
    assert (v1.queries, v1.newcomers, metrics.versions["v2"].queries) == (2, 1, 1)
    assert 0 < v1.p50_ms <= v1.p95_ms <= v1.p99_ms


def test_before_the_first_question_metrics_are_empty(apps):
    metrics = apps.metrics()
    assert (metrics.index_version, metrics.queries, metrics.versions) == (None, 0, {})


def test_without_outcomes_nothing_is_predicted(apps):
    with pytest.raises(NotFoundError, match="No performance is known"):
        apps.predict("chess")


class TestPredictions:
    """Two kinds of apps, each around its own direction; one is clicked ten times as often."""

    IDS = tuple(f"app{n}" for n in range(80))
    GOOD = np.arange(80) % 2 == 0

    @pytest.fixture
    def predicting(self, snapshots):
        chance = np.random.default_rng(0)
        centres = np.where(self.GOOD[:, None], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0])
        directions = (centres + 0.1 * chance.normal(size=(80, 3))).astype(np.float32)
        shown = np.full(80, 2_000)
        clicks = chance.binomial(shown, np.where(self.GOOD, 0.2, 0.02))
        categories = tuple("Games" if each else "Tools" for each in self.GOOD)
        outcomes = AppOutcomes(self.IDS, directions, categories, ("ios",) * 80, clicks, shown)
        model = PerformanceModel.fit(outcomes)
        rows = [
            (app_id, None, category, "ios", int(count), 2_000)
            for app_id, category, count in zip(self.IDS, categories, clicks, strict=True)
        ]
        v1 = dict(zip(self.IDS, directions.tolist(), strict=True))
        versions = {"v1": vectors(v1), "v2": vectors(v1, model.save)}
        published(snapshots, apps=rows, versions=versions, predicts="v2")
        return service(snapshots)

    def test_a_known_and_a_new_app_are_expected_to_do_as_those_like_it(self, predicting):
        for app in (AppQuery(category="games"), AppQuery(category="Games", platform="ios")):
            found = predicting.predict(app=app)
            assert found.low <= found.rate <= found.high
            assert found.rate == pytest.approx(0.2, abs=0.03)
        assert predicting.predict("app1").rate < 0.06
        assert predicting.metrics().predictions == 3

    def test_an_app_is_no_evidence_for_itself(self, predicting):
        found = predicting.predict("app0")
        assert found.segments
        assert "app0" not in [app for each in found.segments for app in each.apps]

    def test_a_version_that_is_swept_while_it_is_served_predicts_on(self, predicting, snapshots):
        predicting.find_similar("app0")
        with snapshots.locked():
            snapshots.remove([snapshots.current()])
        assert predicting.find_similar("app0").results
        assert predicting.predict("app1", "v2").rate < 0.06

    def test_a_model_of_another_release_leaves_similar_apps_found(
        self, predicting, snapshots, monkeypatch
    ):
        monkeypatch.setattr("embedding_assets.apps.performance.PERFORMANCE_CODE", "other")
        assert predicting.find_similar("app0").results
        with pytest.raises(StoreVersionError, match="format"):
            predicting.predict("app1", "v2")

    def test_a_version_without_a_model_says_so(self, predicting):
        with pytest.raises(NotFoundError, match="apps of v1"):
            predicting.predict("app0", "v1")

    def test_the_app_must_be_known_or_described(self, predicting):
        with pytest.raises(NotFoundError, match="no app 'nobody'"):
            predicting.predict("nobody")
        with pytest.raises(InputError, match="No app was named"):
            predicting.predict()
        assert predicting.metrics().failures == 2
