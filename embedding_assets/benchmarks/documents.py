"""Pages per second of parsing PDF files, beside raw text extraction and other libraries."""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from importlib import import_module
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path
from typing import TypeAlias

from embedding_assets.documents.document import DocumentError
from embedding_assets.documents.parse.pdf import read_pdf
from embedding_assets.embedding.workers import usable_cores
from embedding_assets.errors import InputNotFoundError

OURS, RAW = "embedding_assets", "pypdfium2 text"
TWO = f"{OURS}, 2 processes"
DEFAULT_FOLDER = Path("../shared/data/pdf")
_COPIES = 4

Count: TypeAlias = Callable[[Path], int]


@dataclass(frozen=True)
class Row:
    """What was measured of one contestant.

    ratio: its pages per second by those of raw text extraction, over the files that both read.
    failed: how many files it could not read.
    """

    name: str
    pages_per_s: float
    ratio: float
    pages: int
    failed: int


def ours(path: Path) -> int:
    """Blocks with layout, pages and boxes."""
    return len(read_pdf(path).pages)


def raw_text(path: Path) -> int:
    """The characters of each page in the order of the file, as PDFium gives them."""
    from pypdfium2 import PdfDocument

    with PdfDocument(path) as pdf:
        for index in range(len(pdf)):
            page = pdf[index]
            text_page = page.get_textpage()
            text_page.get_text_range()
            text_page.close()
            page.close()
        return len(pdf)


def pdfplumber_text(path: Path) -> int:
    """`extract_text` of each page."""
    with import_module("pdfplumber").open(path) as pdf:
        for page in pdf.pages:
            page.extract_text()
            page.close()
        return len(pdf.pages)


def pypdf_text(path: Path) -> int:
    """`extract_text` of each page."""
    reader = import_module("pypdf").PdfReader(path)
    for page in reader.pages:
        page.extract_text()
    return len(reader.pages)


CONTESTANTS: dict[str, tuple[str, Count]] = {
    RAW: ("pypdfium2", raw_text),
    OURS: ("pypdfium2", ours),
    "pdfplumber": ("pdfplumber", pdfplumber_text),
    "pypdf": ("pypdf", pypdf_text),
}
"""Each with the module that it needs."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Give `parser` the options of this benchmark."""
    parser.add_argument(
        "folder",
        nargs="?",
        type=Path,
        default=DEFAULT_FOLDER,
        help=f"of PDF files (default {DEFAULT_FOLDER})",
    )
    parser.add_argument("--rounds", type=int, default=3, choices=range(1, 100), metavar="N")
    parser.add_argument(
        "--peers",
        nargs="*",
        choices=list(CONTESTANTS)[2:],
        help="only these, each in the first round (default: all installed)",
    )
    parser.add_argument(
        "--json", nargs="?", const="-", metavar="FILE", help="rows as JSON, to FILE or alone"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Measure, then print the table for people, or JSON alone with a bare `--json`."""
    files = _readable(options.folder)
    peers = list(CONTESTANTS)[2:] if options.peers is None else options.peers
    absent = [name for name in peers if not find_spec(CONTESTANTS[name][0])]
    peers = [name for name in peers if name not in absent]
    rows = measure(files, peers, options.rounds)
    content = json.dumps([asdict(row) for row in rows], indent=2)
    if options.json == "-":
        print(content)
        return
    if options.json:
        Path(options.json).write_text(content + "\n")
    print(_table(rows, absent, len(files)))


def measure(files: Sequence[Path], peers: Sequence[str], rounds: int) -> list[Row]:
    """A row for raw extraction, for us in one and in two processes, and for each peer.

    Contestants take turns on each file, so that a busy minute of the machine meets all alike.
    """
    seconds: dict[tuple[str, Path], list[float]] = {}
    pages: dict[tuple[str, Path], int] = {}
    for number in range(rounds):
        for file in files:
            for name in (RAW, OURS, *(peers if number == 0 else ())):
                print(f"round {number + 1}: {name}: {file.name}", file=sys.stderr)
                start = time.perf_counter()
                count = _pages(CONTESTANTS[name][1], file)
                seconds.setdefault((name, file), []).append(time.perf_counter() - start)
                pages[name, file] = count
    times = {key: statistics.median(some) for key, some in seconds.items()}
    rows = [_row(name, files, times, pages) for name in (RAW, OURS, *peers)]
    return [*rows[:2], _two_processes(files, rows[1]), *rows[2:]]


def _row(
    name: str,
    files: Sequence[Path],
    times: dict[tuple[str, Path], float],
    pages: dict[tuple[str, Path], int],
) -> Row:
    read = [file for file in files if pages[name, file]]
    count = sum(pages[name, file] for file in read)
    own, base = (sum(times[one, file] for file in read) for one in (name, RAW))
    return Row(
        name, round(count / own, 1), round(base / own, 4), count, failed=len(files) - len(read)
    )


def _two_processes(files: Sequence[Path], one: Row) -> Row:
    """Our row, times what a pool of two gains over one on the files several times over."""
    gain = _pooled_seconds(files, 1) / _pooled_seconds(files, 2)
    return replace(
        one,
        name=TWO,
        pages_per_s=round(one.pages_per_s * gain, 1),
        ratio=round(one.ratio * gain, 4),
    )


def _pooled_seconds(files: Sequence[Path], processes: int) -> float:
    """How long warm processes take for the files, largest first, so that they end together."""
    work = sorted([*files] * _COPIES, key=lambda file: -file.stat().st_size)
    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        list(pool.map(_our_pages, [files[-1]] * 8 * processes))
        start = time.perf_counter()
        list(pool.map(_our_pages, work))
        return time.perf_counter() - start


def _our_pages(file: Path) -> int:
    return _pages(ours, file)


def _pages(count: Count, file: Path) -> int:
    """The pages of a file; 0 where the library fails on it, each with errors of its own."""
    try:
        return count(file)
    except DocumentError:
        return 0
    except Exception as error:  # noqa: BLE001
        print(f"{file.name}: {error}", file=sys.stderr)
        return 0


def _readable(folder: Path) -> list[Path]:
    """The PDF files of a folder that PDFium opens without a password."""
    files = [file for file in sorted(folder.glob("*.pdf")) if _pages(raw_text, file)]
    if not files:
        raise InputNotFoundError(
            f"{folder} holds no PDF file that can be read.", "Name a folder of PDF files."
        )
    return files


def _table(rows: Sequence[Row], absent: Sequence[str], files: int) -> str:
    lines = [
        f"{files} files, {rows[0].pages} pages, {usable_cores()} cores",
        "",
        f"{'':32} {'pages/s':>9} {'ratio':>7} {'failed':>7}",
    ]
    lines += [
        f"{row.name:32} {row.pages_per_s:9.1f} {row.ratio:6.3f}x {row.failed:7}" for row in rows
    ]
    lines += [
        "",
        f"ratio: pages/s by those of {RAW} on the same files, median of each file's rounds.",
        f"{OURS}: blocks in order with boxes, headings, lists, tables; the others: text.",
        *(f"left out: {name}: not installed" for name in absent),
    ]
    return "\n".join(lines)
