"""Empty databases of both kinds, so that the same tests run on each."""

from itertools import count

import pytest

from embedding_assets_tests.search.postgres_server import execute, running

_numbers = count()


class Postgres:
    """A server that starts when a test first needs it."""

    def __init__(self):
        self._running = running()
        self._server = None

    def empty(self):
        """A URL behind which there are no tables: a schema of its own, sooner made than a
        database."""
        if self._server is None:
            self._server = self._running.__enter__()
        name = f"s{next(_numbers)}"
        execute(self._server.url(), f"CREATE SCHEMA {name}")
        return f"{self._server.url()}&options=-csearch_path%3D{name}"

    def end(self):
        if self._server is not None:
            self._running.__exit__(None, None, None)


@pytest.fixture(scope="session")
def postgres():
    found = Postgres()
    yield found
    found.end()


@pytest.fixture(params=["sqlite", "postgres"])
def url(request, tmp_path, postgres):
    """The URL of an empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'service.db'}"
    return postgres.empty()
