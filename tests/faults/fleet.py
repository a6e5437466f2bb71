"""Servers of a round; they are killed, stopped and drained, and always started again."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import NamedTuple

from redrive import Client
from tests.e2e.processes import free_port
from tests.e2e.programs import Program, start_program

AGAIN_SECONDS = 0.2  # before a server that found no database is started again
START_SECONDS = 5.0  # allowed start-up time on a busy machine
WAKE_SECONDS = 1.0  # allowed time after SIGCONT
CALL_SECONDS = 3.0  # then a caller uses another server


class Span(NamedTuple):
    """Time during which a server cannot be expected to answer, on the monotonic clock."""

    begin: float
    end: float


class Member:
    """A port on which a server is always started again."""

    def __init__(self, name: str, folder: Path, settings: Mapping[str, str]) -> None:
        self.name = name
        self.address = f"127.0.0.1:{free_port()}"
        self.log = folder / f"{name}.log"
        self.unavailable: list[Span] = []
        self.bad_exits: list[str] = []
        self._environment = {**os.environ, **settings, "REDRIVE_LISTEN": self.address}
        self._process: Program | None = None
        self._lock = asyncio.Lock()  # one fault at a time
        self._up = asyncio.Event()
        self._up.set()
        self._began = 0  # position in the log file where the process starts
        self._is_ours = False  # the harness ends the process
        self._keeper = asyncio.create_task(self._keep())

    async def _keep(self) -> None:
        while True:
            await self._up.wait()
            with self.log.open("ab") as log:
                self._began = log.tell()
                self._process = await start_program(
                    "sliced-server", environment=self._environment, stdout=log, stderr=log
                )
            code = await self._process.wait()
            if not self._is_ours and self._has_listened(self._began):
                self.bad_exits.append(f"{self.name} exited unexpectedly with {code}")
            await asyncio.sleep(AGAIN_SECONDS)

    def _has_listened(self, position: int) -> bool:
        """Return whether the process has listened; without a database it may exit before that."""
        return '"listening"' in self._logged(position)

    def _logged(self, position: int = 0) -> str:
        return self.log.read_bytes()[position:].decode() if self.log.exists() else ""

    async def kill(self, seconds: float) -> None:
        """Send SIGKILL, and start a new process after this many seconds."""
        await self._end(signal.SIGKILL, seconds)

    async def drain(self, seconds: float) -> None:
        """Send SIGTERM, and start a new process after this many seconds; the exit code must be 0."""
        code = await self._end(signal.SIGTERM, seconds)
        if code not in (0, None):
            self.bad_exits.append(f"{self.name} was drained and exited with {code}")

    async def _end(self, how: signal.Signals, seconds: float) -> int | None:
        async with self._lock:
            process, begin = self._process, time.monotonic()
            if process is None or process.returncode is not None:
                return None
            self._up.clear()
            self._is_ours = True
            has_listened = self._has_listened(self._began)
            process.send_signal(how if has_listened else signal.SIGKILL)
            code = await process.wait()
            await asyncio.sleep(seconds)
            self._is_ours = False
            self._up.set()
            self.unavailable.append(Span(begin, time.monotonic() + START_SECONDS))
            return code if has_listened else None

    async def freeze(self, seconds: float) -> None:
        """Send SIGSTOP, then SIGCONT after this many seconds."""
        async with self._lock:
            if self.stop():
                begin = time.monotonic()
                await asyncio.sleep(seconds)
                self.resume()
                self.unavailable.append(Span(begin, time.monotonic() + WAKE_SECONDS))

    def stop(self) -> bool:
        """Send SIGSTOP; return False when no process runs."""
        return self._signal(signal.SIGSTOP)

    def resume(self) -> bool:
        """Send SIGCONT; return False when no process runs."""
        return self._signal(signal.SIGCONT)

    def _signal(self, what: signal.Signals) -> bool:
        if self._process is None or self._process.returncode is not None:
            return False
        self._process.send_signal(what)
        return True

    async def close(self) -> None:
        """Kill the process and do not restart it."""
        self._is_ours = True
        self._keeper.cancel()
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    def defects(self) -> list[str]:
        """Return error lines of the log and unexpected exits; each is a defect."""
        return [line for line in self._logged().splitlines() if '"level": "error"' in line] + self.bad_exits


class Fleet:
    """All servers, with a client for each."""

    def __init__(self, members: Sequence[Member], clients: Mapping[str, Client], chance: Random) -> None:
        self.members = members
        self._clients = clients
        self._chance = chance

    def any_client(self) -> Client:
        """Return the client of a random server, which may be down."""
        return self._clients[self._chance.choice(self.members).name]

    def member(self, name: str | None) -> Member | None:
        """Return the server with this name."""
        return next((member for member in self.members if member.name == name), None)


@asynccontextmanager
async def running_fleet(
    folder: Path, settings: Mapping[str, Mapping[str, str]], chance: Random
) -> AsyncIterator[Fleet]:
    """Run one server per name; kill all at the end."""
    members = [Member(name, folder, of_one) for name, of_one in settings.items()]
    clients = {member.name: Client(member.address, timeout=CALL_SECONDS) for member in members}
    try:
        yield Fleet(members, clients, chance)
    finally:
        await asyncio.gather(*(member.close() for member in members))
        await asyncio.gather(*(client.close() for client in clients.values()))
