"""Starts Redis and PostgreSQL with empty stores and the durability of Redrive's log."""

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
    """A running store."""

    url: str
    pid: int


RunningStore = Callable[[Path], AbstractAsyncContextManager[Store]]


def redis_is_missing() -> bool:
    """Return whether redis-server is not on the path."""
    return shutil.which("redis-server") is None


@asynccontextmanager
async def running_redis(folder: Path) -> AsyncIterator[Store]:
    """Run Redis with fsync before each answer, as SQLite and PostgreSQL do for Redrive."""
    port = free_port()
    durable = ["--appendonly", "yes", "--appendfsync", "always", "--save", ""]
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), *durable]
    async with running(command, folder / "redis.log") as process:
        await listening(port)
        yield Store(f"redis://127.0.0.1:{port}", process.pid)


@asynccontextmanager
async def running_postgres(folder: Path) -> AsyncIterator[Store]:
    """Run PostgreSQL with its default settings: a commit waits for the disk."""
    server = Postgres(folder / "postgres")
    await asyncio.to_thread(server.start)
    try:
        yield Store(server.url("postgres"), server.pid)
    finally:
        await asyncio.to_thread(server.stop, "fast")
