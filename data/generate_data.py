"""Makes sample input: order records as a Parquet file; with --documents, --apps or --labels,
documents, the tables and vectors of apps, or labelled texts in a folder; with --entities, texts
with names marked in them in a file.

The same seed, arguments and --end give the same bytes. Without --end the records run up to the
last full hour, so that none lies in the future.
"""

import argparse
import errno
import sys
import time
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import NoReturn

from samples.apps import DEFAULT_COUNT as DEFAULT_APPS
from samples.apps import write_apps
from samples.documents import DEFAULT_COUNT, write_documents
from samples.entities import DEFAULT_COUNT as DEFAULT_LABELLED
from samples.entities import write_labelled
from samples.labels import write_labels
from samples.parquet import write_whole
from samples.records import SCHEMA, OrderPlan, record_batches

DEFAULT_OUT = Path(__file__).parent / "input" / "records" / "records.parquet"
ORDERS_PER_ACCOUNT = 10
MOST_DAYS = 36_500
MOST_RECORDS = 2**31 - 1
MOST_DOCUMENTS = 100_000
MOST_APPS = 1_000_000
MOST_LABELLED = 100_000


class _OneLineParser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message}\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when all is written, 1 when the disk is full, 2 for wrong use."""
    parser = _parser()
    options = parser.parse_args(arguments)
    _check(parser, options)
    target = options.documents or options.apps or options.labels or options.entities or options.out
    try:
        summary = _write(options)
    except OSError as error:
        reason = error.strerror or str(error)
        print(f"{parser.prog}: error: cannot write {target}: {reason}", file=sys.stderr)
        return 1 if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) else 2
    except KeyboardInterrupt:
        written = "not all documents" if options.documents else "nothing"
        print(f"{parser.prog}: interrupted; {written} written", file=sys.stderr)
        return 130
    print(summary)
    return 0


def _write(options: argparse.Namespace) -> str:
    if options.documents:
        return _write_documents(options)
    if options.labels:
        return f"{options.labels}: {write_labels(options.labels)}"
    if options.entities:
        return _write_labelled(options)
    return _write_apps(options) if options.apps else _write_records(options)


def _write_records(options: argparse.Namespace) -> str:
    plan = _plan(options)
    started = time.monotonic()
    write_whole(options.out, SCHEMA, record_batches(plan))
    return _summary(plan, options.out, time.monotonic() - started)


def _write_documents(options: argparse.Namespace) -> str:
    count = DEFAULT_COUNT if options.count is None else options.count
    started = time.monotonic()
    write_documents(options.documents, count, options.seed)
    return f"{options.documents}: {count:,} documents in {time.monotonic() - started:.1f} s"


def _write_apps(options: argparse.Namespace) -> str:
    started = time.monotonic()
    count = DEFAULT_APPS if options.count is None else options.count
    written = write_apps(options.apps, count, options.seed)
    return f"{options.apps}: {written}; {time.monotonic() - started:.1f} s"


def _write_labelled(options: argparse.Namespace) -> str:
    count = DEFAULT_LABELLED if options.count is None else options.count
    write_labelled(options.entities, count, options.seed)
    return f"{options.entities}: {count:,} labelled paragraphs"


def _parser() -> argparse.ArgumentParser:
    parser = _OneLineParser(prog="generate_data.py", description=__doc__)
    parser.add_argument("--seed", type=int, default=7, help="default: %(default)s")
    records = parser.add_argument_group("order records")
    add = records.add_argument
    add("--records", type=int, default=1000, metavar="N", help="default: %(default)s")
    add("--accounts", type=int, metavar="N", help=f"default: records / {ORDERS_PER_ACCOUNT}")
    add("--one-per-account", action="store_true", help="each account orders exactly once")
    add("--days", type=int, default=30, metavar="N", help="default: %(default)s")
    add("--end", type=_day, metavar="DATE", help="the last day (UTC); default: today")
    add("--out", type=Path, default=DEFAULT_OUT, metavar="PATH", help="default: %(default)s")
    instead = parser.add_argument_group("documents, apps or labels, instead of records")
    folders = instead.add_mutually_exclusive_group()
    add = folders.add_argument
    add("--documents", type=Path, metavar="FOLDER", help="PDF, DOCX, JSON, a pair 12345")
    add("--apps", type=Path, metavar="FOLDER", help="catalogue, performance and two versions")
    add("--labels", type=Path, metavar="FOLDER", help="texts on the documents' topics, by category")
    add("--entities", type=Path, metavar="FILE.jsonl", help="texts with names marked in them")
    counts = (
        f"default: {DEFAULT_COUNT} documents, the pair counts as one, {DEFAULT_APPS} apps, or "
        f"{DEFAULT_LABELLED} paragraphs"
    )
    instead.add_argument("--count", type=int, metavar="N", help=counts)
    return parser


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no date like 2026-11-20") from None


def _check(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    today = datetime.now(UTC).date()
    last = options.end or today
    problems = {
        f"--seed {options.seed}: must not be negative": options.seed < 0,
        f"--records {options.records}: must be 1 to {MOST_RECORDS}": not (
            1 <= options.records <= MOST_RECORDS
        ),
        f"--days {options.days}: must be 1 to {MOST_DAYS}": not 1 <= options.days <= MOST_DAYS,
        f"--end {last}: lies in the future (today is {today}, UTC)": last > today,
        f"--end {last}: too early for --days {options.days}": last.toordinal() <= options.days,
        **_account_problems(options),
        **_folder_problems(options),
        f"--out {options.out}: must end in .parquet": options.out.suffix != ".parquet",
        f"--out {options.out}: is a folder": options.out.is_dir(),
    }
    for problem, found in problems.items():
        if found:
            parser.error(problem)


def _account_problems(options: argparse.Namespace) -> dict[str, bool]:
    accounts, records = options.accounts, options.records
    if accounts is None:
        return {}
    return {
        f"--accounts {accounts}: must be at least 1": accounts < 1,
        f"--accounts {accounts}: more than --records {records}": accounts > records,
        f"--accounts {accounts}: --one-per-account needs as many as --records {records}": (
            options.one_per_account and accounts != records
        ),
    }


def _folder_problems(options: argparse.Namespace) -> dict[str, bool]:
    folder, count = options.documents or options.apps, options.count
    target = folder or options.entities
    most = MOST_LABELLED if options.entities else MOST_APPS if options.apps else MOST_DOCUMENTS
    option = "--apps" if options.apps else "--documents"
    return {
        f"--count {count}: needs --documents FOLDER, --apps FOLDER or --entities FILE": (
            count is not None and target is None
        ),
        f"--count {count}: must be 1 to {most}": count is not None and not 1 <= count <= most,
        f"{option} {folder}: is a file": folder is not None and folder.is_file(),
        f"--labels {options.labels}: is a file": (
            options.labels is not None and options.labels.is_file()
        ),
        f"--entities {options.entities}: is a folder": (
            options.entities is not None and options.entities.is_dir()
        ),
    }


def _plan(options: argparse.Namespace) -> OrderPlan:
    share = 1 if options.one_per_account else ORDERS_PER_ACCOUNT
    return OrderPlan(
        records=options.records,
        accounts=options.accounts or max(1, options.records // share),
        days=options.days,
        end=last_moment(options.end, datetime.now(UTC)),
        seed=options.seed,
    )


def last_moment(end: date | None, now: datetime) -> datetime:
    """The end of a day that is over; else the last full hour, in the first hour the last minute."""
    if end is not None and end < now.date():
        return datetime.combine(end, datetime.max.time(), UTC)
    full = now.replace(second=0, microsecond=0)
    return full.replace(minute=0) if full.hour else full


def _summary(plan: OrderPlan, out: Path, seconds: float) -> str:
    first = plan.end.date() - timedelta(days=plan.days - 1)
    return (
        f"{out}: {plan.records:,} records of {plan.accounts:,} accounts, {first} to "
        f"{plan.end.date()}, {out.stat().st_size / 1e6:,.1f} MB in {seconds:.1f} s"
    )


if __name__ == "__main__":
    sys.exit(main())
