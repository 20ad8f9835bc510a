import itertools
import json
import threading
from dataclasses import replace
from datetime import datetime, timedelta
from types import SimpleNamespace

import numpy as np
import pytest

from embedding_assets.errors import ModelChangedError, NotFoundError, RegistryError
from embedding_assets.experiments.plan import Decision, Experiment, plan_of
from embedding_assets.forget.accounts import forget_account
from embedding_assets.forget.documents import forget_document
from embedding_assets.quality.gates import Gate
from embedding_assets.registry import Registry
from embedding_assets.release.aliases import align_aliases
from embedding_assets.release.gate_table import GATES, GATES_TABLE, Judgement
from embedding_assets.release.judge import judge, slices_of
from embedding_assets.release.promote import (
    GateError,
    evaluate_challenger,
    promote,
    remove_left,
    require_open,
    roll_back,
)
from embedding_assets.release.stage import catch_up, stage, take_seat
from embedding_assets.release.status import release_status, release_text
from embedding_assets.search.documents import DocumentSearch
from embedding_assets_tests.integration.tiny import tiny_model
from embedding_assets_tests.release.judged import LENIENT, add_documents, keep, opened_gates
from embedding_assets_tests.release.two_models import TOPICS, read_documents, write_documents


def test_every_gate_is_judged_and_tells_what_it_found(staged):
    found = evaluate_challenger(staged[0])
    assert [gate.name for gate in found.gates] == [*GATES]
    by_name = {gate.name: gate for gate in found.gates}
    for name in ("completeness", "norms", "truncation", "ann_recall"):
        assert by_name[name].verdict == "passed", by_name[name]
    assert by_name["document_self_retrieval"].champion is not None
    assert by_name["account_self_retrieval"].value is not None
    assert by_name["retrieval"].verdict == by_name["experiment"].verdict == "not applicable"
    assert Judgement.stored(staged[0].table(GATES_TABLE)) == found


def test_a_promoted_model_serves_and_the_one_before_comes_back_at_once(place, staged):
    first, second = staged
    opened_gates(first)
    switched = promote(first)
    assert (switched.champion, switched.pending) == (second.seat, ())
    serving = place.open(release=LENIENT)
    assert serving.fingerprint == second.fingerprint
    assert serving.library.search.search("soup")[0].index_version == (
        second.library.served_version()
    )
    assert serving.accounts.similar("account-0", 3)
    assert serving.registry.aliased("champion") == [second.model_version]
    assert serving.registry.aliased("challenger") == []
    told = []
    back = roll_back(serving, tell=told.append)
    assert back.champion.folder == ""
    assert told == [back.champion]
    again = place.open(release=LENIENT)
    assert again.fingerprint == first.fingerprint
    assert again.registry.aliased("challenger") == [second.model_version]
    with pytest.raises(NotFoundError, match="No model served before"):
        roll_back(again)
    with pytest.raises(GateError, match="another model has begun to serve since"):
        promote(again)


def test_the_registry_follows_after_it_was_told_who_serves(place, staged, monkeypatch):
    opened_gates(staged[0])
    promote(staged[0])
    order = []
    monkeypatch.setattr(Registry, "give_alias", lambda self, *args: order.append("registry"))
    roll_back(place.open(release=LENIENT), tell=lambda champion: order.append(champion.folder))
    assert order[:2] == ["", "registry"]


def test_the_warehouse_shows_the_tables_of_the_model_that_serves(place, staged):
    first, second = staged
    opened_gates(first)
    promote(first)
    serving = place.open(release=LENIENT)
    assert set(serving.warehouse.read("doc_vectors")["fingerprint"].to_pylist()) == {
        second.fingerprint
    }
    shown = serving.warehouse.read("similar_accounts")
    assert shown.num_rows == second.tables.read("similar_accounts").num_rows > 0
    assert [footer.digest for footer in serving.warehouse.footers("similar_accounts")] == [
        footer.digest for footer in second.tables.footers("similar_accounts")
    ]


@pytest.mark.parametrize("change", [promote, roll_back])
def test_the_next_run_lets_the_warehouse_follow_where_who_promoted_was_killed(
    place, staged, monkeypatch, change
):
    first, second = staged
    opened_gates(first)
    serving = first
    if change is roll_back:
        promote(first)
        serving = place.open(release=LENIENT)
    with monkeypatch.context() as patch:
        patch.setattr("embedding_assets.release.promote._follow", lambda *of_both: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            change(serving)
    after = place.open(release=LENIENT)
    assert after.seat != serving.seat
    with after.following():
        pass
    assert {*after.warehouse.read("doc_vectors")["fingerprint"].to_pylist()} == {after.fingerprint}


def test_a_run_that_replaced_nothing_publishes_when_another_model_began_to_serve(place, staged):
    first, second = staged
    with first.following(), first.seats_file.locked():
        first.seats_file.write(first.seats.promoted())
    shown = first.warehouse.read("doc_vectors")["fingerprint"].to_pylist()
    assert {*shown} == {second.fingerprint}


def test_without_a_judgement_nothing_is_promoted(staged):
    with pytest.raises(GateError, match="never judged"):
        promote(staged[0])


@pytest.mark.parametrize("verdict", ["failed", "missing"])
def test_a_closed_gate_keeps_the_champion(place, staged, verdict):
    opened_gates(staged[0], duplicates=verdict)
    with pytest.raises(GateError, match=f"duplicates {verdict}"):
        promote(staged[0])
    assert place.open(release=LENIENT).fingerprint == staged[0].fingerprint


def test_a_gate_that_is_not_among_the_results_is_closed(staged):
    found = opened_gates(staged[0])
    keep(staged[0], replace(found, gates=tuple(g for g in found.gates if g.name != "norms")))
    with pytest.raises(GateError, match="norms missing"):
        promote(staged[0])


def test_old_results_are_stale(staged):
    found = opened_gates(staged[0])
    keep(staged[0], replace(found, at=found.at - timedelta(days=30)))
    with pytest.raises(GateError, match="hours ago"):
        promote(staged[0])


def test_results_of_other_models_limits_or_data_are_stale(place, staged):
    found = opened_gates(staged[0])
    keep(staged[0], replace(found, challenger="another"))
    with pytest.raises(GateError, match="another pair of models"):
        promote(staged[0])
    keep(staged[0], found)
    with pytest.raises(GateError, match="judged by has changed .limits"):
        promote(place.open())


TEA = {f"tea{n}": f"Steep the leaves for {n + 2} minutes and pour the tea." for n in range(4)}


def test_results_on_other_labelled_queries_are_stale(place, staged):
    folder = place.folder / "labelled"
    folder.mkdir()
    lines = [{"_id": name, "title": name, "text": text} for name, text in TOPICS.items()]
    (folder / "corpus.jsonl").write_text("\n".join(map(json.dumps, lines)))
    (folder / "queries.jsonl").write_text('{"_id": "q", "text": "onions in butter"}')
    judged = "query-id\tcorpus-id\tscore\nq\t{}\t1\n"
    (folder / "qrels.tsv").write_text(judged.format("soup"))
    opened = place.open(release=LENIENT, search={"evaluation": str(folder)})
    opened_gates(opened)
    require_open(opened, opened.at(staged[1].seat))
    (folder / "qrels.tsv").write_text(judged.format("cake"))
    with pytest.raises(GateError, match="has changed .queries"):
        promote(opened)


def test_what_is_stored_while_a_model_is_promoted_does_not_keep_it_back(place, staged, monkeypatch):
    first, second = staged
    opened_gates(first)

    def beside_a_backfill(champion, challenger):
        catch_up(champion, challenger)
        add_documents(place, champion, dict([*TEA.items()][:1]))

    monkeypatch.setattr("embedding_assets.release.promote.catch_up", beside_a_backfill)
    assert promote(first).champion == second.seat


def test_documents_that_were_deleted_are_gone_from_every_model(place, staged):
    first, second = staged
    opened_gates(first)
    promote(first)
    (place.folder / "documents" / "soup.json").unlink()
    read_documents(place.open(release=LENIENT))
    for each in staged:
        assert "soup.json" not in each.table("doc_vectors").keys()


def test_vectors_of_documents_that_are_gone_need_not_be_there(staged):
    first, second = staged
    first.table("documents").remove("soup.json")
    second.table("doc_vectors").remove("soup.json")
    completeness, *_ = evaluate_challenger(first).gates
    assert completeness.verdict == "passed"
    second.table("doc_vectors").remove("cake.json")
    assert judge(first, second, slices_of(first)).gates[0].verdict == "failed"


def test_documents_that_came_since_do_not_close_the_gate(place, staged):
    first, second = staged
    add_documents(place, first, dict([*TEA.items()][:1]))
    completeness, *_ = evaluate_challenger(first).gates
    assert completeness.verdict == "passed"
    assert second.table("doc_vectors").keys() == first.table("doc_vectors").keys()


def test_what_came_since_is_there_after_the_promotion(place, staged):
    first, second = staged
    write_documents(place, {f"tea{n}": f"Steep the leaves {n} minutes." for n in range(1)})
    opened_gates(first)
    read_documents(first)
    promote(first)
    serving = place.open(release=LENIENT)
    assert "tea0.json" in {hit.doc_id for hit in serving.library.search.search("tea", k=9)}


def test_vectors_that_are_broken_close_the_gate_though_it_was_open(staged, monkeypatch):
    opened_gates(staged[0])
    closed = Gate("norms", "failed", "3 with NaN")
    monkeypatch.setattr("embedding_assets.release.promote.structural", lambda *of_both: [closed])
    with pytest.raises(GateError, match="3 with NaN"):
        promote(staged[0])
    assert staged[0].seats.champion.folder == ""


def unreachable(self, *args):
    raise RegistryError("The model registry is gone.", "Start it.")


def test_without_the_registry_nothing_is_promoted_but_the_way_back_is_open(
    place, staged, monkeypatch
):
    first, second = staged
    opened_gates(first)
    with monkeypatch.context() as patch:
        patch.setattr(Registry, "reach", unreachable)
        with pytest.raises(RegistryError):
            promote(first)
        assert first.seats.champion.folder == ""
    promote(first)
    with monkeypatch.context() as patch:
        patch.setattr(Registry, "give_alias", unreachable)
        back = roll_back(place.open(release=LENIENT))
    assert back.pending == ("The model registry is gone.",)
    assert place.open(release=LENIENT).fingerprint == first.fingerprint


def test_an_experiment_that_was_asked_for_has_to_be_decided(staged):
    first, _ = staged
    with first.seats_file.locked():
        tried = replace(first.seats.challenger, experiment="models-1")
        first.seats_file.write(first.seats.with_challenger(tried))
    found = evaluate_challenger(first)
    gate = {each.name: each for each in found.gates}["experiment"]
    assert gate.verdict == "missing"
    assert gate in found.closed


def decided(settings, started, endpoint="search"):
    variants = [{"name": each, "weight": 1, "setting": each} for each in settings]
    metrics = [{"name": "click", "kind": "rate"}]
    plan = {"id": "models-1", "endpoint": endpoint, "variants": variants, "metrics": metrics}
    decision = Decision("winner", settings[1], (), "statistics", started)
    return Experiment(plan_of(plan), "decided", 1.0, started, started, decision=decision)


MODELS = ("champion", "challenger")


@pytest.mark.parametrize(
    ("settings", "hours", "verdict"),
    [(MODELS, 1, "passed"), (MODELS, -1, "missing"), (("keyword", "hybrid"), 1, "missing")],
    ids=["the two models", "before the challenger was complete", "something else"],
)
def test_only_an_experiment_on_the_two_models_as_they_stand_counts(
    staged, settings, hours, verdict
):
    first, second = staged
    ready = datetime.fromisoformat(first.seats.challenger.staged)
    found = decided(settings, ready + timedelta(hours=hours))
    first.__dict__["experiments"] = SimpleNamespace(find=lambda id: found)
    with first.seats_file.locked():
        tried = replace(first.seats.challenger, experiment="models-1")
        first.seats_file.write(first.seats.with_challenger(tried))
    stage(first, second)
    gates = {each.name: each for each in evaluate_challenger(first).gates}
    del first.__dict__["experiments"]
    assert gates["experiment"].verdict == verdict


def test_an_experiment_with_another_champion_does_not_count(place, staged):
    opened_gates(staged[0])
    promote(staged[0])
    serving = place.open(release=LENIENT)
    stage(serving, take_seat(serving, str(tiny_model(place.folder / "third", 48))))
    ready = datetime.fromisoformat(serving.seats.challenger.staged)
    found = decided(MODELS, ready + timedelta(microseconds=1))
    with serving.seats_file.locked():
        tried = replace(serving.seats.challenger, experiment="models-1")
        serving.seats_file.write(serving.seats.with_challenger(tried))
    roll_back(serving)
    first = place.open(release=LENIENT)
    first.__dict__["experiments"] = SimpleNamespace(find=lambda id: found)
    gate = {each.name: each for each in evaluate_challenger(first).gates}["experiment"]
    del first.__dict__["experiments"]
    assert (gate.verdict, "when another model served" in gate.words) == ("missing", True)


def test_going_back_while_a_third_one_is_tried_keeps_who_leaves_for_keep_days(place, staged):
    first, second = staged
    opened_gates(first)
    promote(first)
    serving = place.open(release=LENIENT)
    take_seat(serving, str(tiny_model(place.folder / "third", 48)))
    roll_back(serving)
    again = place.open(release=LENIENT)
    align_aliases(again)
    assert remove_left(again) == ()
    assert second.table("doc_vectors").keys()
    at_once = place.open(release={**LENIENT, "keep_days": 0})
    assert remove_left(at_once) == (second.seat,)


def test_what_is_forgotten_is_forgotten_by_every_model(staged):
    first, second = staged
    forget_document(first, "soup.json", delete_source=False)
    forget_account(first, "account-1")
    for each in (first, second):
        assert "soup.json" not in each.table("doc_vectors").keys()
        hits = each.library.search.search("onions in butter", "keyword", k=9)
        assert "soup.json" not in {hit.doc_id for hit in hits}
        latest = each.table("latest_account_embeddings").read()["account_id"].to_pylist()
        assert sorted(latest) == ["account-0", "account-2", "account-3"]
        assert "account-1" not in each.tables.read("similar_accounts")["account_id"].to_pylist()
    words = TOPICS["soup"].encode()[:20]
    files = [path for path in first.data_dir.rglob("*") if path.is_file()]
    assert not [path for path in files if words in path.read_bytes()]
    assert stage(first, second).computed == 0
    promoted = evaluate_challenger(first)
    assert {g.name: g.verdict for g in promoted.gates}["completeness"] == "passed"


def test_a_model_that_left_long_ago_is_removed_and_cannot_be_gone_back_to(place, staged):
    first, second = staged
    opened_gates(first)
    promote(first)
    serving = place.open(release=LENIENT)
    assert remove_left(serving) == ()
    at_once = place.open(release={**LENIENT, "keep_days": 0})
    with at_once.seats_file.working():
        assert remove_left(at_once) == ()
    [gone] = remove_left(at_once)
    assert gone.folder == ""
    assert not (at_once.data_dir / "assets" / "doc_vectors").exists()
    assert (at_once.data_dir / "assets" / "documents").exists()
    assert at_once.library.search.search("soup")
    assert first.tables.footers("similar_accounts") == []
    assert second.tables.footers("similar_accounts")
    with pytest.raises(NotFoundError):
        roll_back(at_once)


def test_where_no_other_model_was_tried_none_is_removed_and_nothing_written(place):
    opened = place.open()
    assert remove_left(opened) == ()
    assert opened.seats_file.state() is None


def test_nothing_is_written_where_nobody_left(staged):
    before = staged[0].seats_file.state()
    assert remove_left(staged[0]) == ()
    assert staged[0].seats_file.state() == before


def test_a_model_that_the_registry_may_still_call_challenger_is_kept(staged):
    first, second = staged
    with first.seats_file.locked():
        first.seats_file.write(first.seats.with_challenger(None))
    assert remove_left(first) == ()
    align_aliases(first)
    assert remove_left(first) == (second.seat,)


def test_where_models_take_turns_none_is_made_the_live_one_in_place(place, staged):
    other = place.open(model={"name": "another", "threads": 1})
    with pytest.raises(ModelChangedError, match="models take turns"):
        other.switch_model()
    assert other.live_model()["fingerprint"] == staged[0].fingerprint


def test_after_a_promotion_the_settings_may_stay_as_they_are_or_name_the_new_model(place, staged):
    opened_gates(staged[0])
    promote(staged[0])
    assert place.open(release=LENIENT).encoder.dimension == 64
    named = place.open(model={"name": str(place.second), "threads": 1})
    assert named.encoder.dimension == 64
    with pytest.raises(ModelChangedError, match="model stage"):
        _ = place.open(model={"name": "all-MiniLM-L6-v2"}).encoder


def test_the_state_is_told(place, staged):
    assert "not judged yet" in release_text(release_status(staged[0]))
    opened_gates(staged[0], norms="failed")
    assert "closed: norms" in release_text(release_status(staged[0]))
    opened_gates(staged[0])
    assert "gates       open" in release_text(release_status(staged[0]))
    promote(staged[0])
    text = release_text(release_status(place.open(release=LENIENT)))
    assert f"serves      {place.second}" in text and f"before      {place.first}" in text
    assert "challenger  none" in text


def test_searches_go_on_while_models_take_turns_and_no_answer_mixes_them(place, staged):
    """Each answer has the vectors' scores of one model, for that model's query vector."""
    first, second = staged
    by_index = {each.library.served_version(): each for each in (first, second)}
    query = "bread with butter"
    expected = {
        name: np.array([hit.score for hit in each.library.search.search(query, "semantic", k=4)])
        for name, each in by_index.items()
    }
    search = DocumentSearch(
        lambda: place.open(release=LENIENT).library.snapshots,
        lambda manifest: place.open(release=LENIENT).encoder_of(manifest.model.fingerprint),
        in_background=True,
        prepare=lambda version: None,
    )
    seen, wrong, done = [], [], threading.Event()

    def ask():
        for number in itertools.count():
            if done.is_set() and number > 500:
                return
            hits = search.search(query, "semantic", k=4)
            name = hits[0].index_version
            seen.append(name)
            scores = np.array([hit.score for hit in hits])
            if {hit.index_version for hit in hits} != {name} or not np.allclose(
                scores, expected[name], atol=1e-5
            ):
                wrong.append(hits)

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    opened_gates(first)
    promote(first)
    _until(lambda: seen[-1] == second.library.served_version())
    roll_back(place.open(release=LENIENT))
    _until(lambda: seen[-1] == first.library.served_version())
    done.set()
    for thread in threads:
        thread.join()
    assert not wrong and len(seen) >= 1_000 and {*seen} == {*by_index}


def _until(holds):
    waiting = threading.Event()
    while not holds():
        waiting.wait(0.01)
