import errno
import pickle
import socket
import sqlite3

import pytest
import requests
import sqlalchemy
from mlflow.exceptions import MlflowException, RestException

from embedding_assets import errors
from embedding_assets.database import DatabaseUnavailableError
from embedding_assets.errors import is_transient
from embedding_assets.registry import Registry
from embedding_assets.search.postgres_server import PostgresBusyError, PostgresUnreachableError

PASSING = [
    errors.StoreLockedError("held", "wait"),
    errors.RegistryUnreachableError("away", "start it"),
    DatabaseUnavailableError("away", "start it"),
    PostgresBusyError("busy", "wait"),
    PostgresUnreachableError("away", "start it"),
    ConnectionResetError(),
    BrokenPipeError(),
    TimeoutError(),
    OSError(errno.EHOSTUNREACH, "no route"),
    OSError(errno.EMFILE, "too many files"),
    socket.gaierror(socket.EAI_AGAIN, "try again"),
    requests.exceptions.ConnectTimeout(),
    requests.exceptions.ConnectionError(),
    sqlite3.OperationalError("database is locked"),
]
LASTING = [
    errors.InputNotFoundError("gone", "bring it back"),
    errors.ModelDamagedError("damaged", "mend it"),
    errors.SettingsError("wrong", "mend it"),
    errors.DiskFullError("full", "free it"),
    errors.NotEnoughMemoryError("full", "give more"),
    errors.RegistryError("refused", "ask for rights"),
    errors.StoreDamagedError("torn", "delete it"),
    FileNotFoundError(errno.ENOENT, "no file"),
    PermissionError(errno.EACCES, "denied"),
    OSError(errno.ENOSPC, "full"),
    OSError("of no kind"),
    socket.gaierror(socket.EAI_NONAME, "no such name"),
    sqlite3.OperationalError("no such table: runs"),
    requests.exceptions.HTTPError(),
    ValueError("a bug"),
    MemoryError(),
]


@pytest.mark.parametrize("error", PASSING, ids=repr)
def test_what_others_hold_or_does_not_answer_may_pass(error):
    assert is_transient(error)


@pytest.mark.parametrize("error", LASTING, ids=repr)
def test_what_somebody_has_to_mend_lasts(error):
    assert not is_transient(error)


def raised(outer, inner):
    try:
        raise outer from inner
    except type(outer) as error:
        return error


def test_the_outermost_named_error_decides():
    lasting, passing = errors.OutputError("no", "mend"), errors.StoreLockedError("held", "wait")
    assert not is_transient(raised(lasting, ConnectionResetError()))
    assert is_transient(raised(passing, ValueError()))


def test_the_cause_of_an_unnamed_error_is_looked_at():
    assert is_transient(raised(RuntimeError(), raised(ValueError(), TimeoutError())))
    assert not is_transient(raised(RuntimeError(), ValueError()))


def test_an_error_that_is_its_own_cause_ends_the_search():
    error, other = RuntimeError(), ValueError()
    error.__cause__, other.__cause__ = other, error
    assert not is_transient(error)


def test_a_locked_database_behind_sqlalchemy_may_pass(tmp_path):
    def opened():
        return sqlite3.connect(tmp_path / "one.db", timeout=0)

    holding = opened()
    holding.execute("BEGIN EXCLUSIVE")
    engine = sqlalchemy.create_engine("sqlite://", creator=opened)
    with pytest.raises(sqlalchemy.exc.OperationalError) as caught, engine.connect() as connection:
        connection.exec_driver_sql("CREATE TABLE a (b)")
    holding.close()
    assert is_transient(caught.value)
    with pytest.raises(sqlalchemy.exc.OperationalError) as caught, engine.connect() as connection:
        connection.exec_driver_sql("SELECT * FROM absent")
    assert not is_transient(caught.value)
    engine.dispose()


def test_it_travels_between_processes():
    assert is_transient(pickle.loads(pickle.dumps(errors.StoreLockedError("held", "wait"))))


@pytest.mark.parametrize(
    ("error", "may_pass"),
    [
        (MlflowException("API request to http://x failed with exception refused"), True),
        (RestException({"error_code": "TEMPORARILY_UNAVAILABLE", "message": "later"}), True),
        (RestException({"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "no"}), False),
        (MlflowException("Invalid model name"), False),
    ],
)
def test_a_registry_that_does_not_answer_is_told_from_one_that_refuses(error, may_pass, tmp_path):
    registry = Registry(f"sqlite:///{tmp_path}/mlflow.db", "tests", tmp_path)
    with pytest.raises(errors.RegistryError) as caught, registry._named_errors():
        raise error
    assert is_transient(caught.value) == may_pass
