"""Runs an older release, taken from the git history, with the packages of this release."""

import asyncio
import io
import os
import signal
import subprocess
import sys
import tarfile
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.e2e.processes import free_port, listening

ROOT = Path(__file__).parents[2]
COMMIT = "95e6c441ff35684753d60a3c6dd7a4619cb5ee2c"  # the release that completed multi-process operation


class Ended(NamedTuple):
    """Exit code and error output of a program."""

    code: int
    output: str


def unpacked(folder: Path) -> Path:
    """Unpack the release into an empty folder; fail the test if the clone is too shallow to have it."""
    archive = subprocess.run(["git", "archive", COMMIT], cwd=ROOT, capture_output=True, check=False)
    if archive.returncode:
        pytest.fail(f"the older release ({COMMIT[:7]}) is not in this clone: git fetch --unshallow")
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as tree:
        tree.extractall(folder, filter="data")
    return folder


class OlderRelease:
    """Starts servers of the older release on one database."""

    def __init__(self, tree: Path, graph_url: str, settings: Mapping[str, str]) -> None:
        self._tree = tree
        self._settings = {"REDRIVE_GRAPH_URL": graph_url, **settings}

    async def run_until_exit(self) -> Ended:
        """Start a server that is expected to refuse to start, and wait until it exits."""
        process = await self._started(free_port(), stderr=PIPE)
        _, errors = await process.communicate()
        assert process.returncode is not None
        return Ended(process.returncode, errors.decode())

    @asynccontextmanager
    async def server(self, log: Path) -> AsyncIterator["OlderServer"]:
        """Run a server, and kill it at the end if it still runs."""
        port = free_port()
        with log.open("ab") as output:
            process = await self._started(port, stderr=output, stdout=output)
        try:
            await listening(port, process)
            yield OlderServer(f"127.0.0.1:{port}", process, log)
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()

    async def _started(self, port: int, **streams: object) -> Process:
        path = os.pathsep.join((str(self._tree), str(self._tree / "clients")))
        environment = {**os.environ, "PYTHONPATH": path, "REDRIVE_LISTEN": f"127.0.0.1:{port}", **self._settings}
        command = (sys.executable, "-m", "server.main")
        return await asyncio.create_subprocess_exec(*command, cwd=self._tree, env=environment, **streams)  # type: ignore[arg-type]


class OlderServer(NamedTuple):
    """A running server of the older release."""

    address: str
    process: Process
    log: Path

    async def stop(self) -> int:
        """Send SIGTERM, wait, and return the exit code."""
        self.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(30):
            return await self.process.wait()
