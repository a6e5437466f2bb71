"""PostgreSQL database of the fault rounds, and the faults of the database."""

import asyncio
import itertools
import os
import signal
from typing import Any

import psycopg

from tests.postgres import Postgres

_numbers = itertools.count(1)
LOCKED = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted"
OTHERS = "FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()"


class Database:
    """One database on the PostgreSQL server; each round has its own."""

    def __init__(self, server: Postgres) -> None:
        self._server = server
        self._lock = asyncio.Lock()  # one fault at a time
        self.name = f"round_{next(_numbers)}"
        with self._connect("postgres") as connection:
            connection.execute(f"CREATE DATABASE {self.name}")

    def url(self, application: str) -> str:
        """Return the database URL; the application name identifies the server's sessions."""
        return f"{self._server.url(self.name)}&application_name={application}"

    def _connect(self, name: str) -> psycopg.Connection[tuple[Any, ...]]:
        return psycopg.connect(self._server.url(name), autocommit=True)

    def drop(self) -> None:
        """Drop the database."""
        with self._connect("postgres") as connection:
            connection.execute(f"DROP DATABASE {self.name} WITH (FORCE)")

    async def restart(self, mode: str, seconds: float) -> None:
        """Stop PostgreSQL in this mode, and start it again after this many seconds."""
        async with self._lock:
            await asyncio.to_thread(self._server.stop, mode)
            await asyncio.sleep(seconds)
            await asyncio.to_thread(self._server.start)

    async def end_sessions(self) -> None:
        """Terminate all other sessions with pg_terminate_backend."""
        async with self._lock:
            await asyncio.to_thread(self._end_sessions)

    def _end_sessions(self) -> None:
        with self._connect("postgres") as connection:
            connection.execute(f"SELECT pg_terminate_backend(pid) {OTHERS}", (self.name,))

    async def freeze(self, seconds: float) -> None:
        """Stop PostgreSQL and its sessions with SIGSTOP, so that clients get no answer."""
        async with self._lock:
            pids = [self._server.pid, *await asyncio.to_thread(self._sessions)]
            _signal(pids, signal.SIGSTOP)
            try:
                await asyncio.sleep(seconds)
            finally:
                _signal(pids, signal.SIGCONT)

    def _sessions(self) -> list[int]:
        with self._connect("postgres") as connection:
            return [pid for (pid,) in connection.execute(f"SELECT pid {OTHERS}", (self.name,))]

    async def forbid_writing(self, seconds: float) -> None:
        """Make the database read-only, as after a failover to a standby."""
        async with self._lock:
            await asyncio.to_thread(self._set_read_only, "on")
            await asyncio.sleep(seconds)
            await asyncio.to_thread(self._set_read_only, "off")

    def _set_read_only(self, value: str) -> None:
        with self._connect("postgres") as connection:
            connection.execute(f"ALTER DATABASE {self.name} SET default_transaction_read_only = {value}")
            if value == "on":
                connection.execute(f"SELECT pg_terminate_backend(pid) {OTHERS}", (self.name,))

    async def writer(self) -> str | None:
        """Return the application name of the session that holds the log's lock."""
        async with self._lock:
            return await asyncio.to_thread(self._writer)

    def _writer(self) -> str | None:
        with self._connect("postgres") as connection:
            found = connection.execute(
                f"SELECT application_name {OTHERS} AND pid IN ({LOCKED})",
                (self.name,),
            ).fetchone()
            return str(found[0]) if found else None


def _signal(pids: list[int], what: signal.Signals) -> None:
    for pid in pids:
        try:
            os.kill(pid, what)
        except ProcessLookupError:
            continue
