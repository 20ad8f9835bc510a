import shutil
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from embedding_assets.errors import OutputError, StoreDamagedError
from embedding_assets.search.build import build_index
from embedding_assets.search.documents import DocumentSearch, Mode
from embedding_assets.search.query_log import QUERIES
from embedding_assets_tests.api.stocked import TEXTS
from embedding_assets_tests.search.collection import ENCODER, Collection


def ask(client, query="cool cake rack", **body):
    return client.post("/search", json={"query": query, **body})


def found(client, query="cool cake rack", **body):
    answer = ask(client, query, **body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def ids(answer):
    return [result["chunk_id"] for result in answer["results"]]


def until(holds):
    """Ask until it holds."""
    for _ in range(1000):
        if holds():
            return
    raise AssertionError("it never held")


def refused(answer, status, *words):
    """A problem with that status that says those words."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    said = f"{body['detail']} {body['mend']}"
    assert body["status"] == status and all(word in said for word in words), said
    return body


def test_an_answer_says_what_was_found_where_and_by_what(kept, kept_stock):
    answer = found(kept, k=1)
    [result] = answer.pop("results")
    assert answer.pop("took_ms") > 0
    assert answer == {
        "query": "cool cake rack",
        "mode": "hybrid",
        "model_version": "7",
        "index_version": kept_stock.snapshots.current(),
        "experiment": None,
        "facets": None,
    }
    assert 0 < result.pop("score") <= 1
    assert result == {
        "text": "cool the cake on a rack",
        "highlights": [[0, 4], [9, 13], [19, 23]],
        "doc_id": "cake.pdf",
        "path": "cake.pdf",
        "title": "Cake.Pdf",
        "pages": [2],
        "boxes": [{"page": 1, "left": 1.0, "top": 2.0, "right": 3.0, "bottom": 4.0}],
        "heading_path": ["Part", "Chapter"],
        "chunk_id": "cake.pdf-1",
        "kind": "paragraph",
        "image": "/documents/image?doc_id=cake.pdf&page=1&chunk_id=cake.pdf-1",
        "category": None,
        "entities": [],
    }


@pytest.mark.parametrize("mode", list(Mode))
def test_the_answer_is_that_of_the_core(kept, kept_stock, mode):
    core = DocumentSearch(kept_stock.snapshots, lambda manifest: ENCODER)
    hits = core.search("serve the cake", mode, 4)
    answer = found(kept, "serve the cake", mode=mode, k=4)
    assert answer["mode"] == mode.value
    assert ids(answer) == [hit.chunk_id for hit in hits]
    assert [r["score"] for r in answer["results"]] == pytest.approx([h.score for h in hits])


def test_the_picture_of_a_hit_can_be_had_at_its_address(kept):
    [hit] = found(kept, "rack", mode="keyword", k=1)["results"]
    picture = kept.get(hit["image"])
    assert picture.status_code == 200 and picture.content.startswith(b"\x89PNG")


def test_documents_that_are_no_pdf_have_no_picture(kept):
    [hit] = found(kept, "plaintiff", mode="keyword")["results"]
    assert hit["doc_id"] == "laws/court.json" and hit["image"] is None


def test_filters_hold_before_the_ranking(kept):
    answer = found(kept, "the soup", k=2, filters=["document=cake*", "page>=2"])
    assert set(ids(answer)) == {"cake.pdf-1", "cake.pdf-2"}
    assert ids(found(kept, filters=["category=none"])) == []


@pytest.mark.parametrize(
    "condition",
    ["document=x' OR '1'='1", 'title="; DROP TABLE documents; --', "category=%", "entity=*"],
)
def test_sql_in_a_filter_is_just_a_value(kept, condition):
    assert ids(found(kept, filters=[condition])) == []
    assert len(ids(found(kept))) == 6


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        ("soup", "has no '='"),
        ("path=x; DROP TABLE x", "unknown field 'path'"),
        ("page=x", "no page number"),
        ("date=yesterday", "cannot be read"),
        ("title=" + "x" * 4_097, "4097 characters"),
    ],
)
def test_filters_that_cannot_be_read_are_named(kept, condition, words):
    refused(ask(kept, filters=[condition]), 422, words)


@pytest.mark.parametrize("k", [0, -1, 101, 10**9, 10**30, "x", "5", 1.5, True, None, [1]])
def test_impossible_counts_are_refused(kept, k):
    refused(ask(kept, k=k), 422)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"query": ""},
        {"query": " \t"},
        {"query": "x" * 10_001},
        {"query": None},
        {"query": ["cake"]},
        {"query": "cake", "mode": "fuzzy"},
        {"query": "cake", "filters": "page=1"},
        {"query": "cake", "filters": ["page=1"] * 33},
        {"query": "cake", "unit": ""},
        {"query": "cake", "unit": "x" * 201},
        {"query": "cake", "page": 1},
    ],
)
def test_bodies_that_are_not_allowed_are_refused(kept, body):
    refused(kept.post("/search", json=body), 422)


def test_half_a_character_is_refused(kept):
    body, headers = b'{"query": "\\ud800 cake"}', {"Content-Type": "application/json"}
    refused(kept.post("/search", content=body, headers=headers), 422)


@pytest.mark.parametrize("query", ["\0", "*", "' OR 1=1 --", "汤", "x" * 10_000, "\u202e cake"])
@pytest.mark.parametrize("mode", list(Mode))
def test_odd_queries_are_just_text(kept, query, mode):
    assert len(ids(found(kept, query, mode=mode))) <= 6


def test_without_an_index_there_is_a_named_problem(client):
    refused(ask(client, mode="keyword"), 404, "No index stands", "documents sync")


def test_keyword_search_loads_no_model(stock, open_client):
    def refuse():
        raise AssertionError

    with suppress(AssertionError):
        client = open_client(encoder=refuse)
    assert ids(found(client, "plaintiff", mode="keyword")) == ["laws/court.json-0"]


def test_queries_at_the_same_time_share_a_pass_of_the_model(stocked):
    passes = []
    service = stocked.app.state.service
    service.parts._warming.join()
    real = service.queries._encoder().encode
    begun, free = threading.Event(), threading.Event()

    class Slow:
        fingerprint, dimension, window = ENCODER.fingerprint, 32, 254

        def encode(self, texts):
            passes.append(list(texts))
            begun.set()
            assert free.wait(10)
            return real(texts)

    service.queries._encoder._opened[0] = Slow()
    threads = [
        threading.Thread(target=found, args=(stocked, f"cake {n}"), daemon=True) for n in range(8)
    ]
    threads[0].start()
    assert begun.wait(10)
    for thread in threads[1:]:
        thread.start()
    while len(service.queries._short) < 7:
        pass
    free.set()
    for thread in threads:
        thread.join(10)
    assert [len(each) for each in passes] == [1, 7]


class TestANewVersion:
    def test_is_served_from_the_next_request_on_and_none_fails(self, stocked, stock):
        statuses, versions, done = [], set(), threading.Event()

        def keep_asking():
            while not done.is_set():
                answer = ask(stocked, "sip the tea")
                statuses.append(answer.status_code)
                versions.add(answer.json().get("index_version"))

        threads = [threading.Thread(target=keep_asking) for _ in range(3)]
        for thread in threads:
            thread.start()
        for n in range(5):
            stock.index({**TEXTS, "tea.pdf": [f"sip the tea {n}"]})
            until(lambda: found(stocked)["index_version"] == stock.snapshots.current())
            assert found(stocked, f"tea {n}", mode="keyword")["results"][0]["doc_id"] == "tea.pdf"
        done.set()
        for thread in threads:
            thread.join()
        assert set(statuses) == {200} and None not in versions
        assert found(stocked)["index_version"] == stock.snapshots.current()

    def test_that_is_damaged_leaves_the_old_one_and_health_says_so(self, stocked, stock):
        old = found(stocked)["index_version"]
        stock.index({**TEXTS, "tea.pdf": ["sip the tea"]})
        stock.break_index()
        service = stocked.app.state.service
        until(lambda: found(stocked) and service.documents().trouble)
        assert found(stocked)["index_version"] == old
        with pytest.raises(StoreDamagedError, match="The version before it is served"):
            service._look_at_documents()


class TestForgetting:
    @pytest.mark.parametrize("mode", list(Mode))
    def test_holds_from_the_next_request_on(self, stocked, stock, mode):
        assert "cake.pdf" in {hit["doc_id"] for hit in found(stocked, "cake")["results"]}
        stock.snapshots.tombstones.add(["cake.pdf"])
        for filters in ([], ["document=cake.pdf"], ["document=cake*"]):
            results = found(stocked, "eat the cake", mode=mode, filters=filters)["results"]
            assert "cake.pdf" not in {hit["doc_id"] for hit in results}


@dataclass(frozen=True)
class Routed:
    setting: str
    experiment: str = "hybrid-or-words"
    variant: str = "words"


@dataclass
class Experiments:
    """Steers every unit the same way, and notes what it hears."""

    setting: str
    heard: list = field(default_factory=list)

    def route(self, endpoint, unit):
        return Routed(self.setting) if endpoint == "search" and unit == "ann" else None

    def note(self, steering, started, *, is_error=False):
        if steering.routed is not None:
            self.heard.append((steering.routed.variant, steering.is_empty, is_error))

    def close(self):
        pass


class TestAnExperiment:
    @pytest.fixture
    def experiments(self, stocked):
        made = stocked.app.state.service.experiments = Experiments("keyword")
        return made

    def test_chooses_the_mode_and_is_named(self, stocked, experiments):
        answer = found(stocked, unit="ann")
        assert answer["mode"] == "keyword"
        assert answer["experiment"] == {"id": "hybrid-or-words", "variant": "words"}
        assert found(stocked, "zebra", unit="ann")["results"] == []
        assert experiments.heard == [("words", False, False), ("words", True, False)]

    def test_leaves_others_and_explicit_modes_alone(self, stocked, experiments):
        for body in ({}, {"unit": "bob"}, {"unit": "ann", "mode": "semantic"}):
            answer = found(stocked, **body)
            assert answer["experiment"] is None and answer["mode"] == body.get("mode", "hybrid")
        assert experiments.heard == []

    def test_with_a_mode_that_does_not_exist_chooses_nothing(self, stocked, experiments):
        experiments.setting = "fuzzy"
        answer = found(stocked, unit="ann")
        assert answer["experiment"] is None and answer["mode"] == "hybrid"
        assert experiments.heard == []

    def test_hears_nothing_of_requests_that_the_caller_got_wrong(self, stocked, experiments):
        refused(ask(stocked, unit="ann", filters=["x"]), 422)
        refused(ask(stocked, " ", unit="ann"), 422)
        assert experiments.heard == []


def kept_searches(service):
    log = service.query_log()
    log.flush()
    return service.workspace().table(QUERIES).dataset().to_table()


def test_searches_leave_vectors_and_figures_but_no_texts(stock, open_client):
    client = open_client(encoder=lambda: ENCODER)
    [best] = found(client, mode="semantic", k=1)["results"]
    found(client, mode="keyword", query="nothingofthekind")
    [first, second] = kept_searches(client.app.state.service).sort_by("hits").to_pylist()
    assert (first["mode"], first["hits"], first["top_score"]) == ("keyword", 0, None)
    assert (second["mode"], second["hits"]) == ("semantic", 1)
    assert second["top_score"] == pytest.approx(best["score"])
    assert second["fingerprint"] == ENCODER.fingerprint
    assert second["vector"] == pytest.approx(ENCODER.encode(["cool cake rack"]).vectors[0].tolist())
    assert {first["text"], second["text"]} == {None}
    assert "cake" not in str(first | second)


def test_no_search_is_kept_where_the_settings_say_so(stock, open_client, monkeypatch):
    monkeypatch.setenv("EMBEDDING_ASSETS_DRIFT__QUERY_LOG", "false")
    client = open_client(encoder=lambda: ENCODER)
    found(client)
    service = client.app.state.service
    assert service.query_log() is None
    assert not service.workspace().table(QUERIES).folder.exists()


def test_health_says_how_many_searches_wait_and_why_they_are_not_kept(stock, open_client):
    client = open_client(encoder=lambda: ENCODER)
    service = client.app.state.service
    assert client.get("/health").json()["parts"]["query_log"]["details"] == {}
    found(client)
    service.query_log().flush()
    assert service._look_at_query_log() == {"waiting": 0, "dropped": 0}
    folder = Path(str(service.workspace().table(QUERIES).folder))
    shutil.rmtree(folder)
    folder.write_text("no folder")
    found(client)
    service.query_log().flush()
    with pytest.raises(OutputError, match="Searches wait to be kept"):
        service._look_at_query_log()


@pytest.fixture
def sorted_out(stock, open_client):
    """A client over documents with categories and entities."""
    acme = {"label": "ORG", "text": "Acme"}
    documents = {
        "soup.pdf": {"category": "food", "entities": [acme]},
        "cake.pdf": {"category": "food", "entities": [acme, {"label": "PER", "text": "Zoë"}]},
    }
    build_index(stock.snapshots, Collection(TEXTS, **documents).source)
    return open_client(encoder=lambda: ENCODER)


def test_a_search_is_narrowed_by_category_and_entity(sorted_out):
    answer = found(sorted_out, "the", filters=["category=Food", "entity=per:*"], facets=True)
    assert {result["doc_id"] for result in answer["results"]} == {"cake.pdf"}
    assert {result["category"] for result in answer["results"]} == {"food"}
    assert answer["results"][0]["entities"][1] == {"label": "PER", "text": "Zoë"}
    assert answer["facets"]["categories"] == [{"category": "food", "count": 1}]
    assert answer["facets"]["entities"][0] == {"label": "ORG", "text": "Acme", "count": 3}


def test_what_occurs_in_the_index_is_counted(sorted_out):
    whole = sorted_out.get("/facets").json()
    assert (whole["documents"], whole["passages"]) == (3, 6)
    assert whole["categories"] == [{"category": "food", "count": 2}]
    assert whole["labels"] == [{"label": "ORG", "count": 5}, {"label": "PER", "count": 3}]
    some = sorted_out.get("/facets", params={"filter": ["entity=zoë", "page=1"], "most": 1}).json()
    assert some["passages"] == 1
    assert some["entities"] == [{"label": "ORG", "text": "Acme", "count": 1}]
    refused(sorted_out.get("/facets", params={"filter": "author=Ann"}), 422, "author")


def test_without_an_index_nothing_occurs(client):
    assert client.get("/facets").json()["documents"] == 0
