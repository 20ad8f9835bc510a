"""What `documents sync` and a search do when settings, files or other processes get in the way."""

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from embedding_assets_tests.integration.faults import Held, until
from embedding_assets_tests.integration.papers import (
    Plugged,
    documents,
    found,
    put,
    put_pair,
    quarantined,
    searched,
    states,
    synced,
)
from embedding_assets_tests.integration.workplace import EMBEDDING_ASSETS, assert_named_failure

LOCKED = Path(__file__).parents[3] / "shared" / "data" / "pdf" / "crazyones-encrypted-256.pdf"
WORDS = "Couriers carry a card and a bag of ten kilograms through the whole of the town. "
HOSTILE = {
    "spin": "cpu_limit", "sleep": "time_limit", "eat": "memory_limit", "abort": "crash",
    "segfault": "crash", "killed": "killed", "exit": "fault", "raise-long": "fault",
}  # fmt: skip


@dataclass(frozen=True)
class Vanishing:
    """Deletes files when they are about to be parsed."""

    paths: tuple[Path, ...]

    def __call__(self):
        from embedding_assets.documents import slices

        parse_many = slices.parse_many

        def vanished(*arguments, **options):
            for path in self.paths:
                path.unlink()
            return parse_many(*arguments, **options)

        slices.parse_many = vanished


def serve_versions(place):
    return [each["version"] for each in json.loads(documents(place, "versions", "--json").out)]


def test_limits_hold_and_the_other_files_go_on(graph, tmp_path):
    for order in HOSTILE:
        (graph.documents / f"{order}.odd").write_text(order)
    (graph.documents / "good.odd").write_text("say Good walrus.")
    put(graph.documents, "good.json", "Good walrus.")
    options = {
        "prepare": Plugged(tmp_path / "plugged"),
        "EMBEDDING_ASSETS_DOCUMENTS__FILE_SECONDS": 1,
        "EMBEDDING_ASSETS_DOCUMENTS__FILE_MEMORY_MB": 400,
    }
    synced(graph, **options)
    assert sorted(found(graph, "walrus")) == ["good.json", "good.odd"]
    kinds = {doc_id: row["kind"] for doc_id, row in quarantined(graph).items()}
    assert kinds == {f"{order}.odd": kind for order, kind in HOSTILE.items()}
    for order in ("sleep", "killed"):
        (graph.documents / f"{order}.odd").unlink()
    assert synced(graph, **options)["to_run"] == 0


def test_a_file_that_vanishes_while_it_is_read_leaves_nothing(graph):
    put(graph.documents, "kept.json", "Kept walrus.")
    put_pair(graph.documents, "pair", [("A tapir.", ["p1"])])
    gone = (put(graph.documents, "gone.json", "Gone gnu."), graph.documents / "pages_pair.csv")
    synced(graph, prepare=Vanishing(gone))
    assert {key: row["class"] for key, row in quarantined(graph).items()} == {
        "gone.json": "transient", "pair": "transient",
    }  # fmt: skip
    assert found(graph, "walrus") == ["kept.json"]
    synced(graph)
    rows = quarantined(graph)
    assert rows.keys() == {"pair"}
    assert rows["pair"]["reason"] == "Its other half pages_pair.csv is missing."
    put_pair(graph.documents, "pair", [("A tapir.", ["p1"])])
    (graph.documents / "texts_pair.json").unlink()
    synced(graph)
    assert quarantined(graph)["pair"]["reason"] == "Its other half texts_pair.json is missing."


@pytest.mark.skipif(not LOCKED.exists(), reason="needs ../shared/data beside the checkout")
def test_a_locked_file_is_opened_by_the_next_sync_once_its_password_is_known(graph):
    shutil.copy(LOCKED, graph.documents / "crazy.pdf")
    synced(graph)
    assert quarantined(graph)["crazy.pdf"]["kind"] == "locked"
    assert synced(graph)["run_id"] is None
    wrong = {"EMBEDDING_ASSETS_DOCUMENTS__PASSWORDS": '["hunter7f3a"]'}
    assert synced(graph, **wrong)["quarantined"] == 1
    known = {"EMBEDDING_ASSETS_DOCUMENTS__PASSWORDS": '["hunter7f3a", "password"]'}
    assert synced(graph, **known)["quarantined"] == 0
    assert quarantined(graph) == {}
    assert found(graph, "misfits") == ["crazy.pdf"]
    assert synced(graph)["run_id"] is None
    kept = [path for path in graph.data_dir.rglob("*") if path.is_file()]
    assert not [path for path in kept if b"hunter7f3a" in path.read_bytes()]


def test_redrive_tries_all_again(graph, tmp_path):
    (graph.documents / "a.odd").write_text("say Good walrus.")
    (graph.documents / "torn.json").write_text("{")
    broken, mended = (Plugged(tmp_path / name, name) for name in ("forgotten", "read"))
    synced(graph, prepare=broken)
    assert quarantined(graph)["a.odd"]["kind"] == "fault"
    assert synced(graph, prepare=mended)["to_run"] == 0
    done = documents(graph, "redrive", "--json", prepare=mended)
    assert done.code == 0, done
    said = json.loads(done.out)
    assert (said["to_run"], said["quarantined"]) == (2, 1)
    assert quarantined(graph).keys() == {"torn.json"}
    assert found(graph, "walrus") == ["a.odd"]


def test_smaller_chunks_make_documents_stale_and_cut_them_again(graph):
    put(graph.documents, "long.json", *[f"Passage {number}. {WORDS * 3}" for number in range(6)])
    put(graph.documents, "breaks.json", f"Old walrus. {WORDS * 9}")
    synced(graph)
    (graph.documents / "breaks.json").write_text("{")
    synced(graph)
    large = graph.table("doc_chunks").num_rows
    smaller = {"EMBEDDING_ASSETS_DOCUMENTS__CHUNK_TOKENS": 40}
    assert set(states(graph, **smaller).values()) == {"stale"}
    assert synced(graph, **smaller)["to_run"] == 2
    chunks = graph.table("doc_chunks")
    assert chunks.num_rows > large
    assert max(chunks["tokens"].to_pylist()) <= 40
    assert found(graph, "walrus") == ["breaks.json"]
    assert synced(graph, **smaller)["run_id"] is None
    assert quarantined(graph).keys() == {"breaks.json"}


def test_an_overlap_that_does_not_fit_is_named(graph):
    put(graph.documents, "a.json", "Words.")
    overlap = {"EMBEDDING_ASSETS_DOCUMENTS__CHUNK_TOKENS": 40,
               "EMBEDDING_ASSETS_DOCUMENTS__CHUNK_OVERLAP": 30}  # fmt: skip
    assert_named_failure(documents(graph, "sync", **overlap), "chunk_overlap", "30", "40")


def test_a_run_that_fails_is_told_in_two_lines(graph):
    put(graph.documents, "a.json", "Words.")
    done = documents(graph, "sync", EMBEDDING_ASSETS_MODEL__NAME="all-MiniLM-L6-v2")
    assert (done.code, done.out) == (1, "")
    problem, mend = done.err.splitlines()[-2:]
    assert problem.startswith("error: The embeddings in ")
    assert mend.startswith("       Set the model back")
    assert "Traceback" not in done.err
    assert synced(graph)["to_run"] == 1
    assert found(graph, "words") == ["a.json"]


def test_after_going_back_the_older_version_answers_until_documents_change(graph):
    put(graph.documents, "a.json", "Old walrus.")
    synced(graph)
    put(graph.documents, "b.json", "New walrus.")
    synced(graph)
    older, newer = serve_versions(graph)
    done = documents(graph, "rollback")
    assert done.code == 0 and older in done.out
    assert found(graph, "walrus") == ["a.json"]
    assert synced(graph)["run_id"] is None
    assert found(graph, "walrus") == ["a.json"]
    put(graph.documents, "c.json", "Another walrus.")
    synced(graph)
    assert sorted(found(graph, "walrus")) == ["a.json", "b.json", "c.json"]
    assert newer in serve_versions(graph)


def test_there_is_nothing_to_go_back_to_at_first(graph):
    assert_named_failure(documents(graph, "rollback"), "No index stands")


def test_two_syncs_at_once_do_the_work_once(graph, tmp_path):
    for name in "abc":
        put(graph.documents, f"{name}.json", f"Walrus of {name}.")
    held, free = tmp_path / "held", tmp_path / "free"
    slow = graph.start(
        EMBEDDING_ASSETS, "documents", "sync", "--json",
        prepare=Held("documents/b.json.parquet", held, free),
    )  # fmt: skip
    until(held.exists)
    put(graph.documents, "d.json", "Walrus of d.")
    other = graph.start(EMBEDDING_ASSETS, "documents", "sync", "--json")
    until(lambda: any("documents.lock" in link for link in open_files(other.pid)))
    free.touch()
    first, second = slow.wait(), other.wait()
    assert (first.code, second.code) == (0, 0), (first, second)
    assert [json.loads(done.out)["to_run"] for done in (first, second)] == [3, 1]
    assert sorted(found(graph, "walrus")) == [f"{name}.json" for name in "abcd"]


def open_files(pid):
    try:
        return [os.readlink(link) for link in Path(f"/proc/{pid}/fd").iterdir()]
    except OSError:
        return []


def test_a_file_from_the_future_is_read(graph):
    path = put(graph.documents, "a.json", "Walrus.")
    os.utime(path, (4_000_000_000, 4_000_000_000))
    settle = {"EMBEDDING_ASSETS_DOCUMENTS__SETTLE_SECONDS": 0.1}
    assert synced(graph, **settle)["unsettled"] == 0
    assert found(graph, "walrus") == ["a.json"]


def test_a_folder_that_is_not_there_removes_nothing(graph):
    put(graph.documents, "a.json", "Walrus.")
    synced(graph)
    aside = graph.documents.rename(graph.folder / "aside")
    assert_named_failure(documents(graph, "sync"), "does not exist")
    assert found(graph, "walrus") == ["a.json"]
    aside.rename(graph.documents)
    assert synced(graph)["run_id"] is None


def nest(folder, levels):
    here = os.open(folder, os.O_RDONLY)
    for _ in range(levels):
        os.mkdir("d" * 250, dir_fd=here)
        inner = os.open("d" * 250, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(here)


def test_a_folder_that_cannot_be_listed_is_quarantined_once(graph):
    put(graph.documents, "a.json", "Walrus.")
    nest(graph.documents, levels=17)  # a path of more than 4,096 bytes: not even root can list it
    synced(graph)
    [row] = quarantined(graph).values()
    assert row["reason"] == "The folder cannot be listed: File name too long."
    assert found(graph, "walrus") == ["a.json"]
    assert synced(graph)["run_id"] is None


@pytest.fixture(scope="module")
def indexed(registered, tmp_path_factory):
    place = registered.copy(tmp_path_factory.mktemp("indexed") / "place")
    put(place.documents, "a.json", "The walrus sleeps.")
    put(place.documents, "b.json", "Refunds take five days.")
    synced(place)
    return place


@pytest.mark.parametrize("mode", ["keyword", "semantic", "hybrid"])
@pytest.mark.parametrize(
    "query",
    [
        "walrus " * 14_286,
        "'; DROP TABLE documents; --",
        '"(walrus* OR',
        "\U0001f355 \u200f \x7f",
        "--k=3 -1",
    ],
    ids=["100000-characters", "sql", "operators", "emoji", "options"],
)
def test_any_query_is_answered(indexed, query, mode):
    done = indexed.run(EMBEDDING_ASSETS, "search", "--mode", mode, "--json", "--", query)
    assert done.code == 0, done
    hits = json.loads(done.out)
    if "walrus" in query:
        assert hits[0]["doc_id"] == "a.json"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["", "--mode", "keyword"], ["The query is empty"]),
        ([" \n\t", "--mode", "hybrid"], ["The query is empty"]),
        (["walrus", "--filter", "colour=red"], ["unknown field 'colour'", "document, title"]),
        (["walrus", "--filter", "walrus"], ["has no '='"]),
        (["walrus", "--filter", "page=x"], ["page=x"]),
        (["walrus", "--mode", "psychic"], ["'psychic' is no search mode", "hybrid"]),
    ],
)  # fmt: skip
def test_a_search_that_cannot_be_done_is_named(indexed, arguments, words):
    done = indexed.run(EMBEDDING_ASSETS, "search", *arguments)
    assert_named_failure(done, *words)


def test_a_search_before_anything_is_indexed_says_what_to_do(graph):
    assert_named_failure(searched(graph, "walrus"), "No index stands", "document_index")


def test_an_index_of_quarantined_documents_alone_says_so(graph):
    (graph.documents / "torn.json").write_text("{")
    (graph.documents / "blank.json").write_text('{"body": []}')
    synced(graph)
    assert_named_failure(searched(graph, "walrus"), "holds no passage")
