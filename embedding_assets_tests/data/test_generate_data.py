import os
import resource
import subprocess
import sys
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from generate_data import last_moment
from samples.clock import make_calendar

SCRIPT = Path(__file__).parents[2] / "data" / "generate_data.py"
COLUMNS = [
    "account_id",
    "item_description",
    "vendor_name",
    "vendor_cuisines",
    "feature_timestamp",
]
PAST = ("--end", "2026-02-28")


def run(*arguments, **options):
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


def generate(out, *arguments):
    done = run("--out", out, *arguments)
    assert done.returncode == 0, done.stderr
    return pq.read_table(out)


def column(table, name):
    return table[name].to_pylist()


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    out = tmp_path_factory.mktemp("sample") / "records.parquet"
    return generate(out, "--records", 20_000, "--accounts", 2_000, *PAST)


def test_default_is_a_thousand_records_up_to_now(tmp_path):
    table = generate(tmp_path / "records.parquet")
    moments = [datetime.fromisoformat(text) for text in column(table, "feature_timestamp")]
    now = datetime.now(UTC)
    assert table.num_rows == 1000
    assert max(moments) <= now
    assert now - timedelta(days=31) < min(moments)
    assert {moment.date() for moment in moments} >= {
        moments[-1].date() - timedelta(days=back) for back in range(30)
    }


def test_columns_are_non_null_strings_in_order(sample):
    assert sample.schema.names == COLUMNS
    assert set(sample.schema.types) == {pa.string()}
    assert all(sample[name].null_count == 0 for name in COLUMNS)
    assert all(text.strip() for name in COLUMNS for text in set(column(sample, name)))


def test_timestamps_have_a_zone_and_rise_over_all_the_days(sample):
    texts = column(sample, "feature_timestamp")
    moments = [datetime.fromisoformat(text) for text in texts]
    days = {moment.date() for moment in moments}
    assert {moment.utcoffset() for moment in moments} == {timedelta(0)}
    assert texts == sorted(texts)
    assert (min(days), max(days), len(days)) == (date(2026, 1, 30), date(2026, 2, 28), 30)


def test_people_order_at_meal_times_and_more_at_weekends(sample):
    moments = [datetime.fromisoformat(text) for text in column(sample, "feature_timestamp")]
    hours = Counter(moment.hour for moment in moments)
    weekdays = Counter(moment.weekday() for moment in moments)
    assert min(hours[12], hours[19]) > 2 * hours[15] > 4 * hours[3]
    assert weekdays[5] > weekdays[1]


def test_every_account_orders_and_a_few_order_most(sample):
    orders = Counter(column(sample, "account_id"))
    sizes = sorted(orders.values())
    assert set(orders) == {f"ACC-{number:07d}" for number in range(1, 2001)}
    assert sum(size <= 2 for size in sizes) > 0.2 * len(sizes)
    assert sum(sizes[-200:]) > 0.3 * sum(sizes)


def test_vendors_keep_their_cuisines_and_have_one_to_three(sample):
    pairs = set(zip(column(sample, "vendor_name"), column(sample, "vendor_cuisines"), strict=True))
    cuisines = [text.split(", ") for _, text in pairs]
    assert len(pairs) == len({vendor for vendor, _ in pairs}) > 100
    assert {len(names) for names in cuisines} == {1, 2, 3}
    assert all(len(set(names)) == len(names) for names in cuisines)
    assert len({name for names in cuisines for name in names}) > 15


def test_accounts_have_favourite_cuisines_and_reorder_items(sample):
    history = {}
    rows = zip(*(column(sample, name) for name in COLUMNS[:4]), strict=True)
    for account, item, _, cuisines in rows:
        history.setdefault(account, []).append((cuisines.split(", ")[0], item))
    regulars = [orders for orders in history.values() if len(orders) >= 10]
    share = [
        Counter(cuisine for cuisine, _ in orders).most_common(1)[0][1] / len(orders)
        for orders in regulars
    ]
    distinct = [len({item for _, item in orders}) / len(orders) for orders in regulars]
    assert sum(share) / len(share) > 0.5
    assert sum(distinct) / len(distinct) < 0.8


def test_item_descriptions_are_many_varied_and_partly_not_ascii(sample):
    items = set(column(sample, "item_description"))
    lengths = [len(item.split()) for item in items]
    assert len(items) > 1000
    assert min(lengths) == 1
    assert 20 < max(lengths) <= 45
    assert any(not item.isascii() for item in items)


def test_one_per_account_gives_each_account_once(tmp_path):
    table = generate(tmp_path / "r.parquet", "--records", 500, "--one-per-account")
    assert len(set(column(table, "account_id"))) == table.num_rows == 500


@pytest.mark.parametrize("records", [1, 7, 31])
def test_few_records_are_exactly_as_many_and_the_last_day_has_one(tmp_path, records):
    table = generate(tmp_path / "r.parquet", "--records", records, *PAST)
    assert table.num_rows == records
    assert column(table, "feature_timestamp")[-1].startswith("2026-02-28")


@pytest.mark.parametrize(
    ("end", "now", "last"),
    [
        (None, datetime(2026, 3, 2, 18, 32, 5, tzinfo=UTC), "2026-03-02T18:00:00+00:00"),
        (None, datetime(2026, 3, 2, 0, 32, 5, tzinfo=UTC), "2026-03-02T00:32:00+00:00"),
        (date(2026, 3, 2), datetime(2026, 3, 2, 9, 1, tzinfo=UTC), "2026-03-02T09:00:00+00:00"),
        (date(2026, 3, 1), datetime(2026, 3, 2, 9, 1, tzinfo=UTC), "2026-03-01T23:59:59+00:00"),
    ],
)
def test_records_end_with_the_last_full_hour_or_the_past_day(end, now, last):
    assert last_moment(end, now).isoformat(timespec="seconds") == last


def test_a_day_that_just_began_has_records_at_its_first_moment():
    midnight = datetime(2026, 3, 2, tzinfo=UTC)
    for days in (1, 2):
        calendar = make_calendar(100, days, midnight, np.random.default_rng(1))
        texts = calendar.timestamps(0, 100, np.random.default_rng(1)).to_pylist()
        assert max(texts) == texts[-1] == "2026-03-02T00:00:00+00:00"
        assert min(texts) >= f"2026-03-0{3 - days}"


def test_large_output_is_written_in_row_groups(tmp_path):
    out = tmp_path / "r.parquet"
    table = generate(out, "--records", 300_000, "--days", 2, *PAST)
    assert pq.ParquetFile(out).metadata.num_row_groups == 3
    assert len(set(column(table, "account_id"))) == 30_000


def test_same_arguments_give_the_same_bytes_and_another_seed_others(tmp_path):
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        generate(tmp_path / f"{name}.parquet", "--seed", seed, *PAST)
    a, b, c = ((tmp_path / f"{name}.parquet").read_bytes() for name in "abc")
    assert a == b != c


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--records", "-5"), "--records -5: must be 1 to"),
        (("--records", "0"), "--records 0: must be 1 to"),
        (("--records", "many"), "invalid int value: 'many'"),
        (("--accounts", "0"), "--accounts 0: must be at least 1"),
        (("--records", "5", "--accounts", "6"), "--accounts 6: more than --records 5"),
        (("--accounts", "6", "--one-per-account"), "needs as many as --records 1000"),
        (("--days", "0"), "--days 0: must be 1 to"),
        (("--seed", "-1"), "--seed -1: must not be negative"),
        (("--end", "2999-01-01"), "--end 2999-01-01: lies in the future"),
        (("--end", "0001-01-05"), "too early for --days 30"),
        (("--end", "soon"), "'soon' is no date like 2026-11-20"),
    ],
)
def test_impossible_arguments_are_refused_in_one_line(tmp_path, arguments, reason):
    done = run("--out", tmp_path / "r.parquet", *arguments)
    assert done.returncode == 2
    assert reason in done.stderr
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_unwritable_targets_are_refused_in_one_line(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "folder.parquet").mkdir()
    for out in ("file/r.parquet", "folder.parquet", "r.csv"):
        done = run("--out", tmp_path / out)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1)
        assert str(tmp_path / out) in done.stderr


def test_failing_write_keeps_the_old_file_and_leaves_nothing_beside_it(tmp_path):
    out = tmp_path / "r.parquet"
    out.write_bytes(b"old")
    done = run(
        *("--out", out, "--records", 200_000),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000)),
    )
    assert done.returncode == 1
    assert f"cannot write {out}" in done.stderr
    assert out.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["r.parquet"]
