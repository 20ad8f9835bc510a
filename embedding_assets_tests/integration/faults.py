"""Faults that a command carries with it into its process."""

import ctypes
import importlib
import os
import re
import resource
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

_NEW_MOUNTS = 0x00020000  # CLONE_NEWNS


@dataclass(frozen=True)
class Killed:
    """SIGKILL to the own process group, just before or after a call with such arguments.

    function: `module:name`, or `module:Class.name`.
    words: a pattern to be found in the arguments.
    """

    function: str
    words: str = ""
    after: bool = False
    calls: int = 1

    def __call__(self) -> None:
        module, _, path = self.function.partition(":")
        owner = importlib.import_module(module)
        *outer, name = path.split(".")
        for each in outer:
            owner = getattr(owner, each)
        setattr(owner, name, self._deadly(getattr(owner, name)))

    def _deadly(self, call: Callable[..., object]) -> Callable[..., object]:
        left = self.calls

        def deadly(*arguments: object, **named: object) -> object:
            nonlocal left
            hit = re.search(self.words, f"{arguments} {named}") is not None
            left -= hit
            if hit and not left and not self.after:
                die()
            result = call(*arguments, **named)
            if hit and not left:
                die()
            return result

        return deadly

    def __str__(self) -> str:
        moment = "after" if self.after else "before"
        return f"{moment} {self.function} {self.words}".strip()


def die() -> None:
    os.killpg(0, signal.SIGKILL)


@dataclass(frozen=True)
class Held:
    """Waits before a file takes the place of `target`, until `until` exists; says so in `held`."""

    target: str
    held: Path
    until: Path

    def __call__(self) -> None:
        replace = os.replace

        def waiting(source: object, target: object) -> None:
            if str(target).endswith(self.target) and not self.held.exists():
                self.held.touch()
                until(self.until.exists)
            replace(source, target)

        os.replace = waiting


@dataclass(frozen=True)
class FileSizeLimit:
    """No file may grow beyond `size` bytes."""

    size: int

    def __call__(self) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (self.size, self.size))


class SmallDisk:
    """A disk of a few bytes, mounted where only processes that enter it see it; needs root."""

    def __init__(self, path: Path, kilobytes: int, options: str = "") -> None:
        path.mkdir()
        self.path = path
        mount = f"mount -t tmpfs -o size={kilobytes}k{options} tmpfs {path} && echo ready && cat"
        self._holder = subprocess.Popen(
            ["unshare", "--mount", "sh", "-c", mount],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self.is_mounted = self._holder.stdout.readline() == b"ready\n"

    @property
    def enter(self) -> "Entered":
        return Entered(self._holder.pid)

    @property
    def seen(self) -> Path:
        """The disk as a process outside sees it."""
        return Path(f"/proc/{self._holder.pid}/root{self.path}")

    def remount(self, options: str) -> None:
        subprocess.run(
            ["nsenter", f"--mount=/proc/{self._holder.pid}/ns/mnt", "mount", "-o",
             f"remount,{options}", str(self.path)],
            check=True,
        )  # fmt: skip

    def close(self) -> None:
        self._holder.stdin.close()
        self._holder.stdout.close()
        self._holder.wait()


@dataclass(frozen=True)
class Entered:
    """Sees the mounts of another process."""

    pid: int

    def __call__(self) -> None:
        namespace = os.open(f"/proc/{self.pid}/ns/mnt", os.O_RDONLY)
        if ctypes.CDLL(None, use_errno=True).setns(namespace, _NEW_MOUNTS):
            raise OSError(ctypes.get_errno(), "setns")
        os.close(namespace)


def until(condition: Callable[[], object], seconds: float = 120) -> None:
    """Wait for a condition; fail when it does not come about."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError("the awaited state did not come about")
        time.sleep(0.002)
