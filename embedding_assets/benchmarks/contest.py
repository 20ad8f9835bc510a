"""One contestant in a process of its own, told by lines of JSON what to measure."""

import json
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from embedding_assets.benchmarks.contestants import CONTESTANTS, Embed
from embedding_assets.benchmarks.texts import QUERIES, account_texts
from embedding_assets.embedding.encoder import Vectors


class Contestant:
    """A running contestant, seen from the benchmark's process."""

    def __init__(self, name: str, folder: Path, scratch: Path, texts: int, seed: int) -> None:
        self.name = name
        self._scratch = scratch
        scratch.mkdir()
        order = {"name": name, "folder": str(folder), "scratch": str(scratch)}
        with (scratch / "log.txt").open("w") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-W", "ignore", "-m", __name__],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        self._ask({**order, "texts": texts, "seed": seed})

    def round_seconds(self) -> float:
        """Seconds to embed all texts once."""
        return float(self._ask("round"))

    def query_ms(self) -> float:
        """Median milliseconds of one short text."""
        return float(self._ask("query"))

    def vectors(self) -> Vectors:
        """float32 [n, d]: what it gave for the texts."""
        return np.asarray(np.load(self._ask("vectors")))

    def close(self) -> float:
        """End the process; its peak resident memory in MB."""
        peak = float(self._ask("peak"))
        self._process.communicate()
        return peak

    def _ask(self, order: Any) -> Any:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            log = (self._scratch / "log.txt").read_text().strip().splitlines()
            raise ContestantFailed(log[-1] if log else "it ended without a word")
        return json.loads(answer)


class ContestantFailed(Exception):
    """The contestant's process ended; the last line that it wrote."""


def serve() -> None:
    """Load the contestant that the first line names, then answer one line for each line."""
    answers, sys.stdout = sys.stdout, sys.stderr  # libraries print; answers must stay alone
    start = json.loads(sys.stdin.readline())
    scratch = Path(start["scratch"])
    texts = account_texts(start["texts"], start["seed"])
    embed = CONTESTANTS[start["name"]][1](Path(start["folder"]), scratch)
    embed(texts[:64])
    print(json.dumps("ready"), file=answers, flush=True)
    for line in sys.stdin:
        print(
            json.dumps(_answer(json.loads(line), embed, texts, scratch)), file=answers, flush=True
        )


def _answer(order: str, embed: Embed, texts: list[str], scratch: Path) -> float | str:
    if order == "round":
        return _seconds(embed, texts)
    if order == "query":
        _seconds(embed, [QUERIES[0]])
        return statistics.median(_seconds(embed, [query]) for query in QUERIES * 2) * 1000
    if order == "vectors":
        np.save(scratch / "vectors.npy", embed(texts))
        return str(scratch / "vectors.npy")
    return _peak_mb()


def _peak_mb() -> float:
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    # On Linux ru_maxrss starts from the parent's memory, VmHWM from nothing.
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def _seconds(embed: Embed, texts: list[str]) -> float:
    start = time.perf_counter()
    embed(texts)
    return time.perf_counter() - start


if __name__ == "__main__":
    serve()
