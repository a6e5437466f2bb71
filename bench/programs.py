"""Starts the programs of the bench, and stops them with all their child processes."""

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from subprocess import DEVNULL

ROOT = Path(__file__).parents[1]
OWN = Path(sys.executable).parent  # programs in .venv
PEERS = ROOT / ".venv-bench" / "bin"


class NotStartedError(Exception):
    """A program ended before it was ready; see its log."""


def log_tail(log: Path) -> str:
    """Return the last 2,000 characters of a log, for an error message."""
    return f"{log}: {log.read_text()[-2_000:]}"


@asynccontextmanager
async def running(
    command: Sequence[str | Path], log: Path, environment: Mapping[str, str] | None = None
) -> AsyncIterator[Process]:
    """Run the program; at the end kill it and its child processes."""
    process = await _start(command, log, environment or {})
    try:
        yield process
    finally:
        await _kill(process)


class Caller:
    """A process that runs campaigns on request (see bench.calls)."""

    def __init__(self, process: Process, log: Path) -> None:
        if process.stdin is None or process.stdout is None:
            raise ValueError("the process was started without pipes")
        self.pid = process.pid
        self._stdin = process.stdin
        self._stdout = process.stdout
        self._log = log

    async def campaign(self, first: int, count: int) -> float:
        """Send to `count` recipients from number `first` on; return the seconds it took."""
        self._stdin.write(f"[{first}, {count}]\n".encode())
        return float(await self.answer())

    async def answer(self) -> str:
        """Return the next line of output; raises NotStartedError when the process has ended."""
        line = await self._stdout.readline()
        if not line:
            raise NotStartedError(log_tail(self._log))
        return str(json.loads(line))


@asynccontextmanager
async def running_caller(
    command: Sequence[str | Path], log: Path, environment: Mapping[str, str]
) -> AsyncIterator[Caller]:
    """Start a calling process, and yield it when it is ready."""
    process = await _start(command, log, environment, talks=True)
    try:
        caller = Caller(process, log)
        await caller.answer()
        yield caller
    finally:
        await _kill(process)


async def _start(
    command: Sequence[str | Path], log: Path, environment: Mapping[str, str], *, talks: bool = False
) -> Process:
    pipe = PIPE if talks else DEVNULL
    with log.open("ab") as file:
        return await asyncio.create_subprocess_exec(
            *command,
            stdin=pipe,
            stdout=PIPE if talks else file,
            stderr=file,
            env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
            cwd=ROOT,
            start_new_session=True,
        )


async def _kill(process: Process) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()
