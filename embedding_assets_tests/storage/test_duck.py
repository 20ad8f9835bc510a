from pathlib import Path

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedding_assets.errors import NotEnoughMemoryError
from embedding_assets.storage.duck import connect, identifier, only, query_engine, quoted

text = st.text(st.characters(codec="utf-8", exclude_characters="\0"))


def test_the_clock_is_utc_wherever_the_machine_stands(monkeypatch):
    monkeypatch.setenv("TZ", "America/New_York")
    with query_engine() as connection:
        rows = connection.execute("SELECT CAST(TIMESTAMPTZ '2026-01-02 01:00:00' AS DATE)::VARCHAR")
        assert rows.fetchall() == [("2026-01-02",)]


@pytest.mark.parametrize("opened", [connect, query_engine])
def test_no_progress_bar_is_drawn_on_standard_output(opened):
    with opened() as connection:
        [found] = connection.execute("SELECT current_setting('enable_progress_bar')").fetchall()
    assert found == (False,)


def test_a_query_that_outgrows_its_memory_and_cannot_spill_is_named():
    with pytest.raises(NotEnoughMemoryError), query_engine(64) as connection:
        connection.execute("SELECT list(md5(i::VARCHAR)) FROM range(10_000_000) AS t(i)").fetchall()


def test_a_connection_is_closed_after_an_error():
    with pytest.raises(ValueError), query_engine() as connection:
        raise ValueError
    with pytest.raises(Exception, match="closed"):
        connection.execute("SELECT 1")


@given(st.lists(text, max_size=20))
def test_any_text_is_quoted_as_it_is(values):
    columns = [f"{quoted(value)} AS {identifier(f'{n}{value}')}" for n, value in enumerate(values)]
    with duckdb.connect() as connection:
        found = connection.execute(f"SELECT 0 AS none, {', '.join(columns)}")
        assert found.fetchall() == [(0, *values)]


@pytest.mark.parametrize("name", ["b*", "c?", "[x]", "[!x]", "it's", "back\\slash", "[*]", "b]["])
def test_a_pattern_of_a_path_matches_that_file_only(tmp_path, name):
    for other in ("b1", "c1", "x", "y", "*"):
        (tmp_path / f"{other}.csv").write_text(f"n\n{other}\n")
    (tmp_path / f"{name}.csv").write_text("n\nmine\n")
    with query_engine() as connection:
        path = quoted(only(Path(tmp_path / f"{name}.csv")))
        assert connection.execute(f"FROM read_csv({path})").fetchall() == [("mine",)]
