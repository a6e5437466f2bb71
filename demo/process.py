"""Starts `redrive-server` as a child process, waits until it is ready, and stops it."""

import asyncio
import os
import sys
from asyncio.subprocess import STDOUT, Process
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

_PROGRAM = Path(sys.executable).with_name("redrive-server")
_START_SECONDS = 20
_STOP_SECONDS = 10


class NotStartedError(Exception):
    """The process ended or did not become ready in time."""


@asynccontextmanager
async def redrive_server(
    *arguments: str, environment: Mapping[str, str], log: Path, ready: Coroutine[None, None, None]
) -> AsyncIterator[None]:
    """Run the program while the block runs; the block starts when `ready` returns.

    Raises NotStartedError when the program is not ready after 20 seconds.
    """
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            _PROGRAM, *arguments, env={**os.environ, **environment}, stdout=output, stderr=STDOUT
        )
    try:
        if not await _becomes_ready(process, ready):
            raise NotStartedError(f"redrive-server did not start; See {log}.")
        yield
    finally:
        await _stop(process)


async def _becomes_ready(process: Process, ready: Coroutine[None, None, None]) -> bool:
    readiness, end = asyncio.create_task(ready), asyncio.create_task(process.wait())
    try:
        await asyncio.wait((readiness, end), timeout=_START_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        return readiness.done() and readiness.exception() is None and not end.done()
    finally:
        readiness.cancel()
        end.cancel()


async def _stop(process: Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(_STOP_SECONDS):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
