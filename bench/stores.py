"""Redis and PostgreSQL, each empty, as durable as Redrive's log, and with a process id to meter."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from bench.programs import running
from tests.e2e.processes import free_port, listening
from tests.postgres import Postgres


class Store(NamedTuple):
    """A store that runs."""

    url: str
    pid: int


RunningStore = Callable[[Path], AbstractAsyncContextManager[Store]]


def redis_is_missing() -> bool:
    """Whether there is no Redis to start."""
    return shutil.which("redis-server") is None


@asynccontextmanager
async def running_redis(folder: Path) -> AsyncIterator[Store]:
    """Redis that answers a write when it is on the disk, as SQLite and PostgreSQL do for Redrive."""
    port = free_port()
    durable = ["--appendonly", "yes", "--appendfsync", "always", "--save", ""]
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), *durable]
    async with running(command, folder / "redis.log") as process:
        await listening(port)
        yield Store(f"redis://127.0.0.1:{port}", process.pid)


@asynccontextmanager
async def running_postgres(folder: Path) -> AsyncIterator[Store]:
    """PostgreSQL as it comes: commits wait for the disk."""
    server = Postgres(folder / "postgres")
    await asyncio.to_thread(server.start)
    try:
        yield Store(server.url("postgres"), server.pid)
    finally:
        await asyncio.to_thread(server.stop, "fast")
