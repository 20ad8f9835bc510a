"""A format of our own whose files say what happens when they are read: `.odd`."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from embedding_assets.documents import reader
from embedding_assets.documents.document import Block, DamagedDocumentError, Document, Kind

SURVIVED = b"it still ran after ten seconds"
held = []


def plug_in(monkeypatch, folder):
    """Make `.odd` a known format, for this process and those that it starts."""
    package = folder / "plugged" / "odd_format-1.0.dist-info"
    package.mkdir(parents=True)
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: odd-format\nVersion: 1.0\n")
    (package / "entry_points.txt").write_text(
        f"[{reader.FORMATS_GROUP}]\nodd = embedding_assets_tests.documents.odd_format:read\n"
    )
    monkeypatch.syspath_prepend(str(package.parent))
    reader._readers.cache_clear()
    reader.plugged_release.cache_clear()


def read(path, options):
    order, _, rest = path.read_text().partition(" ")
    return ORDERS[order](rest, options)


def document(*texts):
    return Document("odd", tuple(Block(Kind.PARAGRAPH, text) for text in texts))


def outlive(pipe):
    """Tell, through a named pipe, whether this process is still there later."""
    end = os.open(pipe, os.O_WRONLY)
    time.sleep(10)
    os.write(end, SURVIVED)


def start_a_program(pipe):
    end = os.open(pipe, os.O_WRONLY)
    subprocess.Popen(
        [sys.executable, "-c", f"import time, os; time.sleep(10); os.write({end}, {SURVIVED!r})"],
        pass_fds=[end],
    )
    os.close(end)
    time.sleep(1000)


def spin():
    while True:
        pass


def eat():
    while True:
        held.append(bytearray(10_000_000))


def print_much():
    for _ in range(200):
        os.write(1, b"\x00" * 10_000)
        os.write(2, b"noise" * 2_000)
        print("more noise", flush=True)
    return document(repr(sys.stdin.read()))


def fail(error):
    raise error


class Unspeakable(Exception):
    def __str__(self):
        raise ValueError


ORDERS = {
    "say": lambda text, _: document(text),
    "process": lambda _, __: document(str(os.getpid())),
    "passwords": lambda _, options: document(*options.passwords, str(options.ocr)),
    "hold": lambda mb, _: held.append(bytearray(int(mb) * 2**20)) or document(str(os.getpid())),
    "long": lambda mb, _: document("x" * int(mb) * 2**20),
    "many": lambda number, _: document(*map(str, range(int(number)))),
    "print": lambda _, __: print_much(),
    "sleep": lambda _, __: time.sleep(1000),
    "outlive": lambda pipe, _: outlive(pipe),
    "start": lambda pipe, _: start_a_program(pipe),
    "spin": lambda _, __: spin(),
    "eat": lambda _, __: eat(),
    "eat-at-once": lambda _, __: bytearray(10**12),
    "abort": lambda _, __: os.abort(),
    "segfault": lambda _, __: ctypes.string_at(0),
    "leave": lambda _, __: os._exit(7),
    "exit": lambda _, __: sys.exit(7),
    "killed": lambda _, __: os.kill(os.getpid(), signal.SIGKILL),
    "close-all": lambda _, __: os.closerange(3, 100),
    "raise": lambda text, _: fail(KeyError(text)),
    "raise-long": lambda _, __: fail(ValueError("x" * 1_000_000)),
    "raise-unspeakable": lambda _, __: fail(Unspeakable()),
    "raise-base": lambda _, __: fail(GeneratorExit()),
    "damaged": lambda _, __: fail(DamagedDocumentError("It is torn.", "Copy it again.")),
    "device-fails": lambda _, __: fail(OSError(5, "Input/output error")),
    "no-access": lambda _, __: fail(PermissionError(13, "Permission denied")),
    "vanish": lambda _, __: Path("gone").read_text(),
    "no-document": lambda _, __: "text",
    "odd-document": lambda _, __: Document("odd", (Path(),)),
}
