import os
import subprocess
import sys

import pytest

from embedding_assets.documents import isolate, process
from embedding_assets.documents.document import Document
from embedding_assets.documents.failure import Failure, FailureKind
from embedding_assets.documents.isolate import Source, parse_many
from embedding_assets.documents.limits import Limits
from embedding_assets.documents.process import WorkerProcess, WorkerStartError
from embedding_assets_tests.documents import odd_format

SMALL = Limits(memory_mb=200, document_mb=20)
HOSTILE = {
    "eat": FailureKind.MEMORY_LIMIT,
    "eat-at-once": FailureKind.MEMORY_LIMIT,
    "long 150": FailureKind.MEMORY_LIMIT,
    "long 30": FailureKind.REFUSED,
    "abort": FailureKind.CRASH,
    "segfault": FailureKind.CRASH,
    "leave": FailureKind.CRASH,
    "close-all": FailureKind.CRASH,
    "killed": FailureKind.KILLED,
    "exit": FailureKind.FAULT,
    "raise": FailureKind.FAULT,
    "raise-long": FailureKind.FAULT,
    "raise-unspeakable": FailureKind.FAULT,
    "raise-base": FailureKind.CRASH,
    "odd-document": FailureKind.FAULT,
    "no-document": FailureKind.UNREADABLE,
    "damaged": FailureKind.DAMAGED,
    "device-fails": FailureKind.NO_ACCESS,
    "no-access": FailureKind.NO_ACCESS,
    "vanish": FailureKind.MISSING,
}


@pytest.fixture(autouse=True)
def odd(monkeypatch, tmp_path):
    odd_format.plug_in(monkeypatch, tmp_path)


@pytest.fixture
def sources(tmp_path):
    """Sources by what their files order; the order is the doc_id, too."""

    def write(*orders):
        for number, order in enumerate(orders):
            path = tmp_path / f"{number}.odd"
            path.write_text(order)
            yield Source(order, path)

    return lambda *orders: list(write(*orders))


@pytest.fixture
def pipe(tmp_path):
    """A named pipe: who reads it waits until all who could write to it have ended."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    return path


def by_doc(parsed):
    return {each.source.doc_id: each.result for each in parsed}


def texts(result):
    return [block.text for block in result.blocks]


def test_a_document_comes_back_as_it_was_read(sources):
    [parsed] = parse_many(sources("say Grüße \x00 \u202e"))
    assert parsed.result == odd_format.document("Grüße \x00 \u202e")
    assert parsed.seconds > 0


def test_no_file_gives_nothing_and_starts_nothing(monkeypatch):
    monkeypatch.setattr(isolate, "WorkerProcess", None)
    assert list(parse_many([])) == []


def test_whatever_a_file_does_it_is_its_own_failure_and_the_others_are_read(sources):
    orders = [name for bad in HOSTILE for name in (bad, f"say after {bad}")]
    results = by_doc(parse_many(sources(*orders), SMALL, workers=2))
    kinds = {name: results[name].kind for name in HOSTILE if isinstance(results[name], Failure)}
    assert kinds == HOSTILE
    for name in HOSTILE:
        assert texts(results[f"say after {name}"]) == [f"after {name}"]


def test_a_failure_says_what_happened_and_how_to_mend_it(sources):
    orders = ["damaged", "abort", "leave", "raise this", "raise-long", "raise-unspeakable", "eat"]
    failures = by_doc(parse_many(sources(*orders), SMALL))
    assert (failures["damaged"].reason, failures["damaged"].mend) == (
        "It is torn.",
        "Copy it again.",
    )
    assert failures["abort"].reason == "The parser crashed over it (SIGABRT)."
    assert failures["leave"].reason == "The parser crashed over it (exit code 7)."
    assert failures["raise this"].reason.startswith(
        "The parser failed: KeyError: 'this' (odd_format.py, line "
    )
    assert len(failures["raise-long"].reason) < 3000
    assert "Unspeakable" in failures["raise-unspeakable"].reason
    assert "200 MB" in failures["eat"].reason
    assert all(failure.mend for failure in failures.values())


def test_what_came_from_around_the_file_is_worth_another_try(sources):
    orders = ["killed", "device-fails", "no-access", "vanish", "damaged", "abort", "eat", "raise"]
    results = by_doc(parse_many(sources(*orders), SMALL))
    assert [name for name in orders if results[name].is_transient] == orders[:4]


def test_a_file_that_hangs_is_ended_and_the_others_are_read(sources):
    orders = ["say 1", "sleep", "say 2", "say 3"]
    results = by_doc(parse_many(sources(*orders), Limits(seconds=3), workers=2))
    assert (results["sleep"].kind, results["sleep"].is_transient) == (FailureKind.TIME_LIMIT, True)
    assert [texts(results[f"say {n}"]) for n in (1, 2, 3)] == [["1"], ["2"], ["3"]]


def test_a_file_that_works_without_end_is_ended_by_its_cpu_seconds(sources):
    [spun, said] = parse_many(sources("spin", "say it"), Limits(cpu_seconds=0.1))
    assert (spun.result.kind, spun.result.is_transient) == (FailureKind.CPU_LIMIT, False)
    assert texts(said.result) == ["it"]


def test_the_limits_count_for_each_file_anew(sources):
    first, second = parse_many(sources("hold 45", "hold 90"), Limits(memory_mb=100))
    assert isinstance(first.result, Document)
    assert texts(first.result) == texts(second.result)


def test_a_process_is_used_again_for_the_next_file(sources):
    parsed = list(parse_many(sources(*["process"] * 20)))
    assert len({texts(each.result)[0] for each in parsed}) == 1


def test_a_process_is_replaced_after_so_many_files(sources):
    parsed = parse_many(sources(*["process"] * 5), Limits(files_per_worker=2))
    assert len({texts(each.result)[0] for each in parsed}) == 3


def test_a_process_that_keeps_much_memory_is_replaced(sources):
    kept, after = parse_many(sources("hold 60", "process"), Limits(memory_mb=100))
    assert texts(kept.result) != texts(after.result)


def test_a_process_that_frees_its_memory_is_kept(sources):
    before, _, after = parse_many(sources("process", "long 45", "process"), Limits(memory_mb=100))
    assert texts(before.result) == texts(after.result)


def test_noise_and_reading_of_standard_input_disturb_nothing(sources, capfd):
    results = by_doc(parse_many(sources("print", "say it"), workers=1))
    assert texts(results["print"]) == ["''"]
    assert texts(results["say it"]) == ["it"]
    assert capfd.readouterr() == ("", "")


def test_many_and_large_documents_come_back_whole(sources):
    results = list(parse_many(sources(*["many 20000", "long 15"] * 3), workers=2))
    assert sorted(sum(len(text) for text in texts(each.result)) for each in results) == sorted(
        [15 * 2**20, sum(len(str(number)) for number in range(20000))] * 3
    )


def test_passwords_and_options_reach_the_reader(sources):
    [parsed] = parse_many(sources("passwords"), passwords=["päß", "word"], ocr=True)
    assert texts(parsed.result) == ["päß", "word", "True"]


def test_no_more_processes_than_files_are_started(sources, monkeypatch):
    started = []
    monkeypatch.setattr(
        isolate, "WorkerProcess", lambda order: started.append(1) or WorkerProcess(order)
    )
    assert len(list(parse_many(sources("say 1", "say 2"), workers=8))) == 2
    assert len(started) == 2


def test_files_are_drawn_only_when_a_process_is_free(sources):
    drawn = []

    def endless():
        [source] = sources("say it")
        while True:
            drawn.append(1)
            yield source

    results = parse_many(endless(), workers=2)
    for _ in range(10):
        next(results)
    assert len(drawn) <= 10 + 2
    results.close()


def test_closing_the_iterator_ends_its_processes(sources, pipe):
    results = parse_many(sources(f"outlive {pipe}", "say it"), workers=2)
    next(results)
    with pipe.open("rb") as end:
        results.close()
        assert end.read() == b""


def test_programs_that_a_parser_started_end_with_it(sources, pipe):
    results = parse_many(sources(f"start {pipe}", "say it"), workers=2)
    next(results)
    with pipe.open("rb") as end:
        results.close()
        assert end.read() == b""


def test_a_killed_caller_leaves_no_process_behind(sources, pipe):
    [source] = sources(f"outlive {pipe}")
    caller = start_caller(f"list(parse_many([Source('it', Path({str(source.path)!r}))]))")
    with pipe.open("rb") as end:
        caller.kill()
        caller.communicate()
        assert end.read() == b""


def test_a_program_on_standard_input_without_a_main_guard_can_be_the_caller(sources):
    [source] = sources("say it")
    caller = start_caller(
        f"for parsed in parse_many([Source('it', Path({str(source.path)!r}))]):\n"
        "    print(parsed.result.blocks[0].text)"
    )
    assert caller.communicate() == ("it\n", "")


def test_a_process_that_cannot_start_is_an_error_that_says_why(sources, monkeypatch):
    monkeypatch.setattr(process, "_START", "raise SystemExit('no parser is installed')")
    with pytest.raises(WorkerStartError, match="code 1: no parser is installed"):
        list(parse_many(sources("say it")))


def start_caller(code):
    """A program that comes on standard input."""
    caller = subprocess.Popen(
        [sys.executable, "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        text=True,
    )
    imports = "from pathlib import Path\nfrom embedding_assets.documents.isolate import *\n"
    assert caller.stdin
    caller.stdin.write(imports + code)
    caller.stdin.close()
    caller.stdin = None
    return caller
