"""Texts per second, memory and query time of every encoder at hand, against plain `encode`."""

import argparse
import json
import statistics
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from embedding_assets.benchmarks.contest import Contestant, ContestantFailed
from embedding_assets.benchmarks.contestants import CONTESTANTS, OURS, PLAIN, left_out
from embedding_assets.benchmarks.texts import account_texts
from embedding_assets.embedding.model import DEFAULT_MODEL, ModelFiles, resolve_model
from embedding_assets.embedding.precision import pin
from embedding_assets.embedding.windows import TextReader, read_tokenizer
from embedding_assets.embedding.workers import usable_cores


@dataclass(frozen=True)
class Row:
    """What was measured of one contestant.

    ratio: how many times as fast as plain `encode` on the same texts, median over rounds.
    tokens_per_s: counts the tokens that fit the window, the same for all.
    min_cosine: to plain `encode` in float32, over the texts that it does not cut.
    """

    name: str
    texts_per_s: float
    tokens_per_s: float
    ratio: float
    min_cosine: float
    peak_rss_mb: float
    query_p50_ms: float


def add_options(parser: argparse.ArgumentParser) -> None:
    """Give `parser` the options of this benchmark."""
    parser.add_argument("--texts", type=_positive, default=1000, help="how many (default 1000)")
    parser.add_argument("--rounds", type=_positive, default=5, help="of each (default 5)")
    parser.add_argument("--seed", type=int, default=0, help="of the generated texts")
    parser.add_argument("--model", default=DEFAULT_MODEL, help="name, folder or .tar.gz archive")
    parser.add_argument(
        "--peers", nargs="*", choices=list(CONTESTANTS), help="only these (default: all installed)"
    )
    parser.add_argument(
        "--json", nargs="?", const="-", metavar="FILE", help="rows as JSON, to FILE or alone"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Measure, then print the table for people, or JSON alone with a bare `--json`."""
    with tempfile.TemporaryDirectory(prefix="embedding_assets-") as scratch:
        model = resolve_model(options.model, Path(scratch))
        pin(model, Path(scratch))
        rows, absent = measure(options, model, Path(scratch))
    content = json.dumps([asdict(row) for row in rows], indent=2)
    if options.json == "-":
        print(content)
        return
    if options.json:
        Path(options.json).write_text(content + "\n")
    print(_table(rows, absent, options.texts))


def measure(
    options: argparse.Namespace, model: ModelFiles, scratch: Path
) -> tuple[list[Row], dict[str, str]]:
    """A row for each contestant that ran, and why each other one did not.

    Rounds are interleaved, so that a busy minute of the machine meets all contestants alike.
    """
    absent = left_out()
    contestants = []
    for number, name in enumerate(_names(options.peers, absent)):
        print(f"loading {name}", file=sys.stderr)
        folder = scratch / f"contestant-{number}"
        try:
            contestants.append(Contestant(name, model.folder, folder, options.texts, options.seed))
        except ContestantFailed as error:
            absent[name] = f"failed: {error}"
    seconds: dict[str, list[float]] = {contestant.name: [] for contestant in contestants}
    for number in range(options.rounds):
        print(f"round {number + 1} of {options.rounds}", file=sys.stderr)
        for contestant in contestants:
            seconds[contestant.name].append(contestant.round_seconds())
    return _rows(contestants, seconds, _kept_tokens(model, options)), absent


def _names(peers: list[str] | None, absent: dict[str, str]) -> list[str]:
    always = [PLAIN, OURS, f"{OURS} (float32)"]
    wanted = list(CONTESTANTS) if peers is None else [*always, *peers]
    return [name for name in dict.fromkeys(wanted) if name not in absent]


def _kept_tokens(model: ModelFiles, options: argparse.Namespace) -> list[tuple[int, bool]]:
    """For each text, its tokens within the window and whether all of it fits."""
    reader = TextReader.of(read_tokenizer(model.layout.transformer), model.window)
    counts = [len(ids) for ids in reader.read(account_texts(options.texts, options.seed))]
    return [(min(count, model.window), count <= model.window) for count in counts]


def _rows(
    contestants: list[Contestant], seconds: dict[str, list[float]], kept: list[tuple[int, bool]]
) -> list[Row]:
    whole = np.array([fits for _, fits in kept])
    tokens = sum(count for count, _ in kept)
    reference = contestants[0].vectors()[whole]
    rows = []
    for contestant in contestants:
        own = seconds[contestant.name]
        ratios = [base / time for base, time in zip(seconds[PLAIN], own, strict=True)]
        cosines = (contestant.vectors()[whole] * reference).sum(axis=1)
        rows.append(
            Row(
                name=contestant.name,
                texts_per_s=round(len(kept) / statistics.median(own), 1),
                tokens_per_s=round(tokens / statistics.median(own), 1),
                ratio=round(statistics.median(ratios), 3),
                min_cosine=round(float(cosines.min(initial=1.0)), 6),
                query_p50_ms=round(contestant.query_ms(), 2),
                peak_rss_mb=round(contestant.close(), 1),
            )
        )
    return rows


def _table(rows: list[Row], absent: dict[str, str], texts: int) -> str:
    import torch

    has = torch.cpu.get_capabilities()
    lines = [
        f"{has.get('cpu_name')}, {usable_cores()} cores, "
        f"bfloat16 {'AMX' if has.get('amx_bf16') else has.get('avx512_bf16', False)}, "
        f"torch {torch.__version__}, {texts} texts",
        "",
        f"{'':28} {'texts/s':>9} {'tokens/s':>9} {'ratio':>6} {'cosine':>9} {'MB':>6} {'query':>9}",
    ]
    lines += [
        f"{row.name:28} {row.texts_per_s:9.1f} {row.tokens_per_s:9.0f} {row.ratio:5.2f}x "
        f"{row.min_cosine:9.6f} {row.peak_rss_mb:6.0f} {row.query_p50_ms:6.2f} ms"
        for row in sorted(rows, key=lambda row: -row.ratio)
    ]
    lines += [
        "",
        "ratio: time of plain encode / own time on the same texts, median over interleaved rounds.",
        "Texts beyond the window: embedding_assets reads them whole, all others cut them; tokens/s",
        "counts what fits the window, cosine only texts that fit. query: one short text, median.",
        "",
        *(f"left out: {name}: {reason}" for name, reason in absent.items()),
    ]
    return "\n".join(lines)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not positive")
    return number
