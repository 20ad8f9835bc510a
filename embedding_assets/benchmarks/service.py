"""Latency and throughput of the service's endpoints at rising load, on loopback."""

import argparse
import asyncio
import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from embedding_assets.benchmarks.load import Client, Load, Request, at_rate
from embedding_assets.benchmarks.service_data import Data, prepare
from embedding_assets.embedding.workers import usable_cores
from embedding_assets.errors import EmbeddingAssetsError

STEPS = (0.25, 0.5, 1.0, 1.5, 2.0)
"""Rates that are tried, as shares of the rate that an endpoint is meant to hold."""
_START_SECONDS = 180.0


@dataclass(frozen=True)
class Endpoint:
    """An endpoint with the requests per second that it is meant to hold, and within how many
    milliseconds 99 of 100 answers shall then come."""

    name: str
    rate: float
    p99_ms: float


ENDPOINTS = (
    Endpoint("find-similar", 200, 20),
    Endpoint("search hybrid", 40, 60),
    Endpoint("embed", 60, 30),
    Endpoint("health/live", 100, 10),
)


@dataclass(frozen=True)
class Row:
    """What was measured of an endpoint at one rate; `beside` says what else was asked for."""

    endpoint: str
    beside: str
    rate: float
    answered_per_second: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    slowest_ms: float
    failures: dict[str, int]
    requests: int


def add_options(parser: argparse.ArgumentParser) -> None:
    """Give `parser` the options of this benchmark."""
    parser.add_argument("--apps", type=_positive, default=10_000, help="default 10000")
    parser.add_argument("--passages", type=_positive, default=100_000, help="default 100000")
    parser.add_argument("--seconds", type=_positive, default=10, help="at each rate (default 10)")
    parser.add_argument("--workers", type=_positive, default=1, help="of the service (default 1)")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="a picture, .svg or .png")
    parser.add_argument(
        "--json", nargs="?", const="-", metavar="FILE", help="rows as JSON, to FILE or alone"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Measure, then print the table for people, or JSON alone with a bare `--json`."""
    with tempfile.TemporaryDirectory(prefix="embedding_assets-") as scratch:
        print("building the indexes", file=sys.stderr)
        data = prepare(Path(scratch), options.apps, options.passages)
        with _server(Path(scratch), options.workers) as port:
            rows = asyncio.run(measure(port, data, options.seconds))
    content = json.dumps([asdict(row) for row in rows], indent=2)
    if options.plot:
        options.plot.write_bytes(_picture(rows, options.plot.suffix.lstrip(".") or "svg"))
    if options.json == "-":
        print(content)
        return
    if options.json:
        Path(options.json).write_text(content + "\n")
    print(_table(rows, options))


async def measure(port: int, data: Data, seconds: float) -> list[Row]:
    """A row for each endpoint and rate, then one for each with all of them at once."""
    client = Client(port)
    for endpoint in ENDPOINTS:  # what is loaded with the first answer is not what is measured
        await at_rate(client, list(data.requests(endpoint.name, 10)), 10, 1.0)
    rows = []
    for endpoint in ENDPOINTS:
        for step in STEPS:
            rate = endpoint.rate * step
            print(f"{endpoint.name} at {rate:g}/s", file=sys.stderr)
            rows.append(
                _row(endpoint.name, "-", await _load(client, data, endpoint, rate, seconds))
            )
    print("all at once", file=sys.stderr)
    together = await asyncio.gather(
        *(_load(client, data, endpoint, endpoint.rate / 2, seconds) for endpoint in ENDPOINTS)
    )
    rows += [_row(e.name, "all", load) for e, load in zip(ENDPOINTS, together, strict=True)]
    client.close()
    return rows


async def _load(
    client: Client, data: Data, endpoint: Endpoint, rate: float, seconds: float
) -> Load:
    requests: list[Request] = list(data.requests(endpoint.name, math.ceil(rate * seconds)))
    return await at_rate(client, requests, rate, seconds)


def _row(name: str, beside: str, load: Load) -> Row:
    p50, p95, p99, slowest = (round(load.quantile(share), 2) for share in (0.5, 0.95, 0.99, 1.0))
    return Row(
        endpoint=name,
        beside=beside,
        rate=load.rate,
        answered_per_second=round(load.answered_per_second, 1),
        p50_ms=p50,
        p95_ms=p95,
        p99_ms=p99,
        slowest_ms=slowest,
        failures=dict(load.failures),
        requests=load.failures.total() + len(load.milliseconds),
    )


@contextmanager
def _server(data_dir: Path, workers: int) -> Iterator[int]:
    """The port of the real service over `data_dir`, in processes of its own.

    Raises EmbeddingAssetsError when it does not become ready.
    """
    port = _free_port()
    command = "from embedding_assets.cli import main; main()"
    options = ["serve", "--port", str(port), "--workers", str(workers)]
    env = os.environ | {
        "EMBEDDING_ASSETS_DATA_DIR": str(data_dir),
        "EMBEDDING_ASSETS_SERVICE__REQUESTS_PER_MINUTE": "10000000",
        "EMBEDDING_ASSETS_SERVICE__REQUESTS_PER_DAY": "100000000",
        "EMBEDDING_ASSETS_SERVICE__KEYS": "never",
    }
    with (data_dir / "service.log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-c", command, *options], env=env, stdout=log, stderr=log
        )
    try:
        asyncio.run(_until_ready(port, server, data_dir / "service.log"))
        yield port
    finally:
        server.terminate()
        server.wait()


async def _until_ready(port: int, server: subprocess.Popen[bytes], log: Path) -> None:
    client = Client(port)
    for _ in range(int(_START_SECONDS / 0.25)):
        if server.poll() is None:
            try:
                if await client.send(Request("/health/ready")) == 200:
                    client.close()
                    return
            except (OSError, asyncio.IncompleteReadError):
                pass
            await asyncio.sleep(0.25)
    last = log.read_text(errors="replace")[-2_000:]
    raise EmbeddingAssetsError("The service did not become ready.", f"Its log ends with:\n{last}")


def _free_port() -> int:
    import socket

    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def _table(rows: list[Row], options: argparse.Namespace) -> str:
    lines = [
        f"{usable_cores()} cores shared with the load; {options.workers} worker(s), "
        f"{options.apps:,} apps, {options.passages:,} passages, {options.seconds} s each",
        "",
        f"{'':14} {'asked/s':>8} {'got/s':>7} {'p50':>9} {'p95':>9} {'p99':>9} {'slowest':>9} "
        f"{'failed':>7}",
    ]
    before = ""
    for row in rows:
        name = row.endpoint if row.beside == "-" else f"{row.endpoint} *"
        if before and row.endpoint != before:
            lines.append("")
        before = row.endpoint if row.beside == "-" else ""
        lines.append(
            f"{name:14} {row.rate:8.0f} {row.answered_per_second:7.0f} {row.p50_ms:6.1f} ms "
            f"{row.p95_ms:6.1f} ms {row.p99_ms:6.1f} ms {row.slowest_ms:6.1f} ms {_failed(row):>7}"
        )
    lines += [
        "",
        "Each answer counts from the moment when its request was due (an open loop): one that",
        "waits behind a slow one counts its waiting too. * all endpoints at once, at half their",
        "meant rates. No query comes twice, so that each is encoded.",
        "",
        *_verdicts(rows),
    ]
    return "\n".join(lines)


def _failed(row: Row) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in row.failures.items()) or "0"


def _verdicts(rows: list[Row]) -> Iterator[str]:
    for endpoint in ENDPOINTS:
        [row] = [
            r for r in rows
            if r.endpoint == endpoint.name and r.beside == "-" and r.rate == endpoint.rate
        ]  # fmt: skip
        held = row.p99_ms <= endpoint.p99_ms and not row.failures
        yield (
            f"{endpoint.name}: {endpoint.rate:g}/s at p99 {row.p99_ms:.1f} ms "
            f"({'held' if held else 'not held'}: {endpoint.p99_ms:g} ms)"
        )


def _picture(rows: list[Row], format: str) -> bytes:
    """p50, p95 and p99 of each endpoint over the rate."""
    import io

    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.6, 2.8), dpi=110, layout="constrained")
    panels = figure.subplots(1, len(ENDPOINTS), squeeze=False)[0]
    for axes, endpoint in zip(panels, ENDPOINTS, strict=True):
        own = [row for row in rows if row.endpoint == endpoint.name and row.beside == "-"]
        rates = [row.rate for row in own]
        for name, colour in (("p50_ms", "#94a3b8"), ("p95_ms", "#2563eb"), ("p99_ms", "#dc2626")):
            values = [getattr(row, name) for row in own]
            axes.plot(rates, values, marker="o", markersize=3, color=colour, label=name[:3])
        axes.axhline(endpoint.p99_ms, color="#dc2626", linewidth=0.8, linestyle=":")
        axes.set_title(endpoint.name, fontsize=9, loc="left")
        axes.set_xlabel("requests/s", fontsize=8)
        highest = np.nanmax([row.p99_ms for row in own] + [endpoint.p99_ms])
        axes.set_ylim(0, min(highest, 4 * endpoint.p99_ms) * 1.1)
        axes.tick_params(labelsize=7)
    panels[0].set_ylabel("ms", fontsize=8)
    panels[0].legend(fontsize=7, frameon=False)
    file = io.BytesIO()
    figure.savefig(file, format=format)
    return file.getvalue()


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not positive")
    return number
