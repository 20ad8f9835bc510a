"""Other processes, for the tests of what processes do to each other."""

import signal
import subprocess
import sys
from contextlib import contextmanager


def run(code):
    """The standard output of a Python program."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def start(code):
    """A Python program that runs meanwhile."""
    return subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


@contextmanager
def waiting(code):
    """A Python program that has run `code`, until it is killed or the block ends."""
    child = start(f"{code}\nprint('ready', flush=True)\ninput()")
    try:
        assert child.stdout.readline() == "ready\n"
        yield child
    finally:
        child.kill()
        child.communicate()


def killed_while_writing(path):
    """The system ends a process in the middle of its writing weights to `path`: the file grows over
    a limit."""
    code = f"""
import resource, signal, torch
from safetensors.torch import save_file
signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
save_file({{"one": torch.zeros(9999)}}, {str(path)!r})
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode == -signal.SIGXFSZ, done.stderr
