import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import Column, Integer, String, Table, event, func, select

from embedding_assets import database
from embedding_assets.database import (
    DatabaseAbsentError,
    DatabaseRefusedError,
    DatabaseUnavailableError,
    create_tables,
    hold,
    insert,
    open_engine,
    own_tables,
    reading,
    sqlite_url,
    writing,
)
from embedding_assets.errors import SettingsError, StoreDamagedError, StoreVersionError
from embedding_assets_tests.databases import postgres, url

__all__ = ["postgres", "url"]

CREATE = """
import sys
from sqlalchemy import Column, Integer, Table
from embedding_assets.database import create_tables, insert, open_engine, own_tables, writing
tables = own_tables("notes", version=1)
notes = Table("notes", tables, Column("number", Integer, primary_key=True))
engine = open_engine(sys.argv[1])
create_tables(engine, tables)
for number in range(10):
    with writing(engine) as connection:
        row = {"number": number}
        connection.execute(insert(connection, notes).on_conflict_do_nothing(), row)
"""


def tables_of(version=1):
    tables = own_tables("notes", version)
    notes = Table(
        "notes",
        tables,
        Column("number", Integer, primary_key=True),
        Column("text", String(20)),
    )
    return tables, notes


@pytest.fixture
def engine(url):
    found = open_engine(url)
    yield found
    found.dispose()


@pytest.fixture
def file(tmp_path):
    return tmp_path / "own" / "service.db"


@pytest.fixture
def file_engine(file, monkeypatch):
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.02)
    found = open_engine(sqlite_url(file))
    yield found
    found.dispose()


def count(engine, notes):
    with reading(engine) as connection:
        return connection.scalar(select(func.count()).select_from(notes))


class TestTables:
    def test_are_created_once_and_used_again(self, engine):
        tables, notes = tables_of()
        create_tables(engine, tables)
        with writing(engine) as connection:
            connection.execute(notes.insert().values(number=1))
        create_tables(engine, tables)
        assert count(engine, notes) == 1

    def test_of_another_version_are_refused(self, engine):
        create_tables(engine, tables_of(version=1)[0])
        with pytest.raises(StoreVersionError, match="notes have version 1, this program's 2"):
            create_tables(engine, tables_of(version=2)[0])

    def test_of_other_parts_have_versions_of_their_own(self, engine):
        create_tables(engine, tables_of(version=1)[0])
        create_tables(engine, own_tables("keys", version=7))
        with pytest.raises(StoreVersionError, match="keys"):
            create_tables(engine, own_tables("keys", version=8))

    def test_are_created_by_several_processes_at_once(self, url):
        started = [
            subprocess.Popen([sys.executable, "-c", CREATE, url], stderr=subprocess.PIPE, text=True)
            for _ in range(4)
        ]
        said = [process.communicate()[1] for process in started]
        assert [process.returncode for process in started] == [0] * 4, said
        engine = open_engine(url)
        assert count(engine, tables_of()[1]) == 10
        engine.dispose()


class TestWriting:
    def test_keeps_all_or_nothing(self, engine):
        tables, notes = tables_of()
        create_tables(engine, tables)
        with pytest.raises(RuntimeError), writing(engine) as connection:
            connection.execute(notes.insert().values(number=1))
            raise RuntimeError
        assert count(engine, notes) == 0

    def test_readers_see_one_state(self, engine):
        tables, notes = tables_of()
        create_tables(engine, tables)
        with reading(engine) as reader:
            query = select(func.count()).select_from(notes)
            before = reader.scalar(query)
            with writing(engine) as connection:
                connection.execute(notes.insert().values(number=1))
            assert reader.scalar(query) == before == 0
        assert count(engine, notes) == 1

    def test_one_holder_at_a_time(self, engine, monkeypatch):
        tables, notes = tables_of()
        create_tables(engine, tables)
        with writing(engine) as first:
            hold(first, tables)
            if first.dialect.name == "sqlite":
                monkeypatch.setattr(database, "BUSY_SECONDS", 0.02)
            second = open_engine(engine.url.render_as_string(hide_password=False))
            with pytest.raises(DatabaseUnavailableError), writing(second) as other:
                if other.dialect.name == "postgresql":
                    other.execute(select(func.set_config("lock_timeout", "20ms", False)))
                hold(other, tables)
            second.dispose()

    def test_a_known_row_is_left_alone(self, engine):
        tables, notes = tables_of()
        create_tables(engine, tables)
        for text in ("first", "second"):
            with writing(engine) as connection:
                row = {"number": 1, "text": text}
                connection.execute(insert(connection, notes).on_conflict_do_nothing(), row)
        with reading(engine) as connection:
            assert connection.scalars(select(notes.c.text)).all() == ["first"]


class TestSqlite:
    def test_writes_are_durable_when_they_return(self, file_engine):
        with writing(file_engine) as connection:
            pragmas = ("journal_mode", "synchronous", "foreign_keys")
            found = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in pragmas]
        assert found == ["wal", 2, 1]

    def test_any_path_can_be_named(self, tmp_path):
        path = tmp_path / "a b?c#d%20" / "service.db"
        open_engine(sqlite_url(path)).dispose()
        assert path.exists()

    def test_a_removed_file_is_unavailable_not_written_to(self, file_engine, file):
        tables, notes = tables_of()
        create_tables(file_engine, tables)
        file.rename(file.with_name("away"))
        with pytest.raises(DatabaseUnavailableError, match=r"service\.db"):
            count(file_engine, notes)
        assert not file.exists()
        file.with_name("away").rename(file)
        assert count(file_engine, notes) == 0

    def test_a_replaced_file_is_opened_anew(self, file_engine, file, tmp_path):
        tables, notes = tables_of()
        create_tables(file_engine, tables)
        backup = open_engine(sqlite_url(tmp_path / "backup.db"))
        create_tables(backup, tables)
        with writing(backup) as connection:
            connection.execute(notes.insert().values(number=1))
        backup.dispose()
        for left in file.parent.glob("service.db-*"):
            left.unlink()
        (tmp_path / "backup.db").rename(file)
        assert count(file_engine, notes) == 1

    def test_a_file_that_was_made_and_is_gone_is_not_begun_anew(self, file_engine, file):
        tables, notes = tables_of()
        create_tables(file_engine, tables)
        file_engine.dispose()
        file.rename(file.with_name("away"))
        for make in (True, False):
            with pytest.raises(DatabaseUnavailableError, match="is gone") as error:
                open_engine(sqlite_url(file), make=make)
            assert "service.db.made" in error.value.mend
        assert not file.exists()
        file.with_name("away").rename(file)
        engine = open_engine(sqlite_url(file))
        assert count(engine, notes) == 0
        engine.dispose()

    def test_a_file_that_lost_its_content_is_not_begun_anew(self, file_engine, file):
        file_engine.dispose()
        file.write_bytes(b"")
        with pytest.raises(DatabaseUnavailableError, match="is empty"):
            open_engine(sqlite_url(file))

    @pytest.mark.parametrize("end", ["-wal", "-shm"])
    def test_a_journal_that_was_left_alone_goes_into_no_other_file(self, file, end):
        file.parent.mkdir()
        file.with_name(file.name + end).write_bytes(b"of another file")
        with pytest.raises(DatabaseUnavailableError, match="is gone"):
            open_engine(sqlite_url(file))
        assert not file.exists()

    def test_a_file_of_before_is_marked_when_it_is_opened(self, file_engine, file):
        file_engine.dispose()
        file.with_name("service.db.made").unlink()
        open_engine(sqlite_url(file)).dispose()
        file.unlink()
        with pytest.raises(DatabaseUnavailableError):
            open_engine(sqlite_url(file))

    def test_without_its_marker_it_is_begun_anew(self, file_engine, file):
        file_engine.dispose()
        file.unlink()
        file.with_name("service.db.made").unlink()
        open_engine(sqlite_url(file)).dispose()
        assert file.exists()

    def test_who_only_reads_makes_no_file(self, file):
        with pytest.raises(DatabaseAbsentError, match="no database"):
            open_engine(sqlite_url(file), make=False)
        assert not file.parent.exists()

    def test_a_locked_file_is_unavailable(self, file_engine, file):
        create_tables(file_engine, tables_of()[0])
        other = sqlite3.connect(file, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(DatabaseUnavailableError, match="locked"), writing(file_engine):
            pass
        other.execute("ROLLBACK")
        other.close()
        with writing(file_engine):
            pass

    def test_another_file_is_damaged_not_unavailable(self, file):
        file.parent.mkdir()
        file.write_text("no database, but long enough to look like one" * 100)
        with pytest.raises(StoreDamagedError, match="not a database"):
            open_engine(sqlite_url(file))

    def test_missing_tables_are_damage(self, file_engine):
        with pytest.raises(StoreDamagedError, match="no such table"):
            count(file_engine, tables_of()[1])

    def test_a_folder_that_cannot_be_made_is_named(self, tmp_path):
        (tmp_path / "own").write_text("")
        with pytest.raises(DatabaseUnavailableError, match="own"):
            open_engine(sqlite_url(tmp_path / "own" / "service.db"))


class TestPostgres:
    def test_a_server_that_is_not_there_is_unavailable(self, tmp_path):
        engine = open_engine(f"postgresql://anna:secret@/db?host={tmp_path}")
        with pytest.raises(DatabaseUnavailableError, match="db on") as error, reading(engine):
            pass
        assert "secret" not in str(error.value)

    def test_a_killed_connection_is_unavailable_and_then_replaced(self, postgres):
        engine = open_engine(postgres.empty())
        with writing(engine) as connection:
            own = connection.scalar(select(func.pg_backend_pid()))
        other = open_engine(engine.url.render_as_string(hide_password=False))
        with pytest.raises(DatabaseUnavailableError), writing(engine) as connection:
            own = connection.scalar(select(func.pg_backend_pid()))
            with writing(other) as killer:
                killer.execute(select(func.pg_terminate_backend(own)))
            connection.execute(select(1))
        with writing(engine) as connection:
            assert connection.scalar(select(1)) == 1
        engine.dispose()
        other.dispose()

    def test_missing_tables_are_damage(self, postgres):
        engine = open_engine(postgres.empty())
        with pytest.raises(StoreDamagedError, match="notes"):
            count(engine, tables_of()[1])
        engine.dispose()

    def test_a_user_who_may_create_nothing_is_told_what_to_grant(self, postgres):
        engine = open_engine(postgres.empty())
        with writing(engine) as connection:
            connection.exec_driver_sql("CREATE ROLE guest")
            schema = connection.scalar(select(func.current_schema()))
            connection.exec_driver_sql(f"GRANT USAGE ON SCHEMA {schema} TO guest")

        @event.listens_for(engine, "begin")
        def become_guest(connection):
            connection.exec_driver_sql("SET LOCAL ROLE guest")

        with pytest.raises(DatabaseRefusedError, match="permission denied") as error:
            create_tables(engine, tables_of()[0])
        assert "GRANT CREATE ON SCHEMA" in error.value.mend
        engine.dispose()

    def test_a_column_that_is_not_there_is_damage(self, postgres):
        engine = open_engine(postgres.empty())
        create_tables(engine, tables_of()[0])
        with pytest.raises(StoreDamagedError, match="color"), writing(engine) as connection:
            connection.exec_driver_sql("SELECT color FROM notes")
        engine.dispose()

    def test_acknowledged_is_durable(self, postgres):
        engine = open_engine(postgres.empty())
        with writing(engine) as connection:
            shown = select(func.current_setting("synchronous_commit"))
            assert connection.scalar(shown) == "on"
        engine.dispose()


@pytest.mark.parametrize(
    "wrong",
    ["mysql://host/db", "service.db", "sqlite://", "sqlite:///:memory:", "sqlite:///a?mode=ro"],
)
def test_other_urls_are_refused(wrong):
    with pytest.raises(SettingsError, match=r"service\.database_url"):
        open_engine(wrong)


def test_the_path_of_a_url_may_be_relative(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    open_engine("sqlite:///service.db").dispose()
    assert Path("service.db").exists()
