from datetime import UTC, date, datetime
from threading import Thread

import numpy as np
import pytest

from embedding_assets.search.query_log import (
    QUERY_SCHEMA,
    Asked,
    QueryLog,
    SearchCount,
    read_queries,
    search_counts,
    unit_of,
    vectors_in,
)
from embedding_assets.storage.parquet import ParquetTable
from embedding_assets_tests.storage import processes

DAY = date(2026, 3, 1)
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp()


def asked(number, hits=3, mode="hybrid", fingerprint="one"):
    vector = None if mode == "keyword" else np.full(4, number, dtype=np.float32)
    score = 0.5 if hits else None
    return Asked(mode, hits, score, "model v1", fingerprint, "index-1", vector, f"query {number}")


class Clock:
    now = NOON

    def __call__(self):
        return self.now


@pytest.fixture
def table(tmp_path):
    return ParquetTable.at(tmp_path / "search_queries")


@pytest.fixture
def clock():
    return Clock()


def rows(table, **options):
    return read_queries(table, [DAY], 1_000, **options)


def test_searches_are_kept_by_vector_and_figures_without_texts(table, clock):
    log = QueryLog(table, clock=clock)
    log.note(asked(1))
    log.note(asked(2, hits=0))
    log.note(asked(3, mode="keyword"))
    log.flush()
    found = rows(table)
    assert found.schema == QUERY_SCHEMA
    assert set(found["text"].to_pylist()) == {None}
    assert sorted(found["hits"].to_pylist()) == [0, 3, 3]
    with_vector, vectors = vectors_in(found)
    assert sorted(vectors[:, 0]) == [1.0, 2.0]
    assert {found["mode"][row].as_py() for row in with_vector} == {"hybrid"}


def test_texts_are_kept_when_the_settings_say_so(table, clock):
    log = QueryLog(table, texts=True, clock=clock)
    log.note(asked(1))
    log.flush()
    assert rows(table)["text"].to_pylist() == ["query 1"]


def test_what_is_asked_often_on_a_day_is_kept_once_and_counted_always(table, clock):
    logs = [QueryLog(table, clock=clock) for _ in range(2)]
    for log in logs:
        for number in (1, 1, 2):
            log.note(asked(number, hits=number - 1))
        log.flush()
    assert len(rows(table)) == 2
    assert search_counts(table, DAY, DAY) == [
        SearchCount(DAY, "hybrid", "model v1", "one", "index-1", searches=6, empty=4)
    ]


def test_processes_that_keep_some_together_keep_a_fair_sample(table, clock):
    whole = QueryLog(ParquetTable.at(table.folder.parent / "whole"), clock=clock)
    parts = [QueryLog(table, most_per_day=20, clock=clock) for _ in range(2)]
    for number in range(200):
        whole.note(asked(number))
        parts[number % 2].note(asked(number))
    for log in (whole, *parts):
        log.flush()
    all_keys = sorted(rows(whole._table)["key"].to_pylist())
    assert len(rows(table)) == 40
    assert rows(table)["key"].to_pylist()[:15] == all_keys[:15]
    assert read_queries(table, [DAY], 5)["key"].to_pylist() == all_keys[:5]


def test_columns_and_models_can_be_chosen(table, clock):
    log = QueryLog(table, clock=clock)
    log.note(asked(1))
    log.note(asked(2, fingerprint="other"))
    log.flush()
    found = rows(table, columns=("key", "hits"), where={"fingerprint": "other"})
    assert found.column_names == ["key", "hits"]
    assert len(found) == 1


def test_a_day_is_written_on_after_its_first_writing_and_left_when_it_is_over(table, clock):
    log = QueryLog(table, clock=clock)
    log.note(asked(1))
    log.flush()
    log.note(asked(2))
    clock.now += 86_400
    log.note(asked(3))
    log.flush()
    days = [count.day.day for count in search_counts(table, DAY, date(2026, 3, 2))]
    assert days == [1, 2]
    clock.now += 2 * 86_400
    log.note(asked(4))
    log.flush()
    log.flush()
    assert len(rows(table)) == 2
    assert date(2026, 3, 4) in log._days
    assert DAY not in log._days


def test_files_that_are_too_old_go(table, clock):
    old = QueryLog(table, clock=clock)
    old.note(asked(1))
    old.flush()
    clock.now += 11 * 86_400
    new = QueryLog(table, keep_days=10, clock=clock)
    new.note(asked(2))
    new.flush()
    assert [key[:10] for key in table.keys()] == ["2026-03-12"]


def test_files_that_are_too_old_go_though_nobody_searches_and_one_is_damaged(table, clock):
    table.folder.mkdir()
    (table.folder / "2026-02-01.a.parquet").write_text("torn")
    (table.folder / "2026-02-02.b.parquet").mkdir()  # cannot be removed
    (table.folder / "2026-02-03.c.parquet").write_text("torn")
    (table.folder / "2026-02-27.d.parquet").write_text("young")
    QueryLog(table, keep_days=10, clock=clock).flush()
    left = ["2026-02-02.b.parquet", "2026-02-27.d.parquet"]
    assert sorted(path.name for path in table.folder.iterdir()) == left


def test_a_query_is_one_unit_on_all_days_and_by_all_modes_and_is_read_once(table, clock):
    log = QueryLog(table, clock=clock)
    for hits in (1, 2, 3):
        log.note(asked(1, hits))
        log.note(asked(1, hits, mode="semantic"))
        log.note(asked(1, hits, mode="keyword"))
        log.note(asked(2, hits, mode="keyword"))
        clock.now += 86_400
    log.flush()
    found = read_queries(table, [date(2026, 3, n) for n in (1, 2, 3)], 100).to_pylist()
    assert sorted((row["mode"], row["hits"]) for row in found) == [
        ("hybrid", 3), ("keyword", 3), ("keyword", 3), ("semantic", 3),
    ]  # fmt: skip
    units = [unit_of(row["key"]) for row in found]
    by_vector = {unit for unit, row in zip(units, found, strict=True) if row["vector"]}
    assert len(by_vector) == 1 and len(set(units)) == 3


def test_queries_are_chosen_before_they_are_counted_off(table, clock):
    log = QueryLog(table, clock=clock)
    for number in range(300):
        log.note(asked(number, mode="keyword"))
        log.note(asked(number, fingerprint="other"))
    for number in range(30):
        log.note(asked(number))
    log.flush()
    found = read_queries(table, [DAY], 30, where={"fingerprint": "one"}, with_vector=True)
    assert len(found) == 30 and set(found["mode"].to_pylist()) == {"hybrid"}


def test_what_cannot_be_written_waits_and_is_told(tmp_path, clock):
    (tmp_path / "store").write_text("a file where a folder must be")
    log = QueryLog(ParquetTable.at(tmp_path / "store" / "search_queries"), clock=clock)
    log.note(asked(1))
    log.flush()
    assert log.status().problem is not None
    (tmp_path / "store").unlink()
    log.flush()
    assert log.status().problem is None
    assert len(rows(log._table)) == 1


def test_the_thread_writes_what_waits_when_it_is_closed(table, clock):
    log = QueryLog(table, clock=clock)
    log.start()
    threads = [
        Thread(target=lambda n=n: [log.note(asked(100 * n + each)) for each in range(50)])
        for n in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log.close()
    assert search_counts(table, DAY, DAY)[0].searches == 200


def test_what_was_written_survives_the_death_of_its_process(table):
    code = f"""
import numpy as np
from embedding_assets.search.query_log import Asked, QueryLog
from embedding_assets.storage.parquet import ParquetTable
log = QueryLog(ParquetTable.at({str(table.folder)!r}), clock=lambda: {NOON})
log.note(Asked("hybrid", 1, 0.5, "m", "f", "i", np.ones(4, np.float32)))
log.flush()
"""
    with processes.waiting(code) as child:
        child.kill()
    assert len(rows(table)) == 1
