import os
import pickle
import select
import signal
import sys
import time
from pathlib import Path

import pytest

from embedding_assets.aside import AsideError, aside
from embedding_assets.errors import InputNotFoundError, ModelPrecisionError, NotEnoughMemoryError
from embedding_assets_tests.storage import processes

ROOT = Path(__file__).parent.parent


@pytest.fixture(autouse=True)
def nothing_heavy_loaded(monkeypatch):
    monkeypatch.delitem(sys.modules, "sentence_transformers", raising=False)


def pid():
    return os.getpid()


def fail():
    print("this must not get into the answer")
    raise ModelPrecisionError("No such arithmetic.", "Choose another.")


def break_down():
    raise ValueError("wrong number")


def die(number):
    os.kill(os.getpid(), number)


def outlive(pipe):
    with open(pipe, "wb", buffering=0) as told:
        told.write(b"at work")
        time.sleep(60)
        told.write(b" and still")


def test_work_is_done_in_another_process():
    assert aside(pid) != os.getpid()


def test_it_is_done_here_when_the_library_is_loaded_already(monkeypatch):
    monkeypatch.setitem(sys.modules, "sentence_transformers", sys)
    assert aside(pid) == os.getpid()


def test_a_named_error_arrives_as_it_was_raised():
    with pytest.raises(ModelPrecisionError, match=r"^No such arithmetic\. Choose another\.$"):
        aside(fail)


def test_any_other_error_is_told_with_its_last_words():
    with pytest.raises(AsideError, match="ValueError: wrong number"):
        aside(break_down)


def test_a_process_ended_by_the_system_wanted_memory():
    with pytest.raises(NotEnoughMemoryError):
        aside(die, signal.SIGKILL)


def test_work_ends_with_a_caller_that_is_killed(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    told = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    caller = processes.start(
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
        "from embedding_assets.aside import aside\n"
        "from embedding_assets_tests.test_aside import outlive\n"
        f"aside(outlive, {str(pipe)!r})"
    )
    while not select.select([told], [], [], 0.1)[0]:
        assert caller.poll() is None
    os.set_blocking(told, True)
    assert os.read(told, 99) == b"at work"
    caller.kill()
    caller.communicate()
    assert os.read(told, 99) == b""
    os.close(told)


def test_files_in_the_current_folder_are_not_taken_for_libraries(tmp_path, monkeypatch):
    (tmp_path / "pickle.py").write_text("raise SystemExit(3)")
    monkeypatch.chdir(tmp_path)
    assert aside(pid) != os.getpid()


def test_an_error_keeps_its_problem_and_mend_between_processes():
    error = pickle.loads(pickle.dumps(InputNotFoundError("No file.", "Make one.")))
    assert (type(error), error.problem, error.mend) == (InputNotFoundError, "No file.", "Make one.")
