"""Other processes, for the tests of what processes do to each other."""

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
