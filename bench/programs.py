"""Programs that the bench starts, and stops with all that they started."""

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
OWN = Path(sys.executable).parent  # the programs of .venv
PEERS = ROOT / ".venv-bench" / "bin"


class NotStartedError(Exception):
    """A program ended before it was of any use; its log says why."""


def end_of(log: Path) -> str:
    """The last lines of a log, for people."""
    return f"{log}: {log.read_text()[-2_000:]}"


@asynccontextmanager
async def running(
    command: Sequence[str | Path], log: Path, environment: Mapping[str, str] | None = None
) -> AsyncIterator[Process]:
    """The program, killed at the end together with its children."""
    process = await _start(command, log, environment or {})
    try:
        yield process
    finally:
        await _kill(process)


class Caller:
    """A process that runs campaigns when it is told to (see bench.calls)."""

    def __init__(self, process: Process, log: Path) -> None:
        if process.stdin is None or process.stdout is None:
            raise ValueError("the process was started without pipes")
        self.pid = process.pid
        self._told = process.stdin
        self._says = process.stdout
        self._log = log

    async def campaign(self, first: int, count: int) -> float:
        """Sends to so many people, numbered from the first; the seconds that it took."""
        self._told.write(f"[{first}, {count}]\n".encode())
        return float(await self.answer())

    async def answer(self) -> str:
        """The next thing that it says; raises NotStartedError when it has ended."""
        line = await self._says.readline()
        if not line:
            raise NotStartedError(end_of(self._log))
        return str(json.loads(line))


@asynccontextmanager
async def running_caller(
    command: Sequence[str | Path], log: Path, environment: Mapping[str, str]
) -> AsyncIterator[Caller]:
    """A caller that is ready."""
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
