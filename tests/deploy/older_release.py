"""The release before, out of the repository's history, run with the packages that are installed for this one."""

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
COMMIT = "95e6c441ff35684753d60a3c6dd7a4619cb5ee2c"  # closed the issue of many processes


class Ended(NamedTuple):
    """How a program ended, and what it said."""

    code: int
    words: str


def unpacked(folder: Path) -> Path:
    """Its tree, in an empty folder; the test fails where the history lacks it, as in a shallow clone."""
    archive = subprocess.run(["git", "archive", COMMIT], cwd=ROOT, capture_output=True, check=False)
    if archive.returncode:
        pytest.fail(f"the release before ({COMMIT[:7]}) is not in this clone: git fetch --unshallow")
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as tree:
        tree.extractall(folder, filter="data")
    return folder


class OlderRelease:
    """Its programs, on one database."""

    def __init__(self, tree: Path, graph_url: str, settings: Mapping[str, str]) -> None:
        self._tree = tree
        self._settings = {"REDRIVE_GRAPH_URL": graph_url, **settings}

    async def ends(self) -> Ended:
        """Starts a server that is to refuse, and waits for its end."""
        process = await self._started(free_port(), stderr=PIPE)
        _, words = await process.communicate()
        assert process.returncode is not None
        return Ended(process.returncode, words.decode())

    @asynccontextmanager
    async def server(self, log: Path) -> AsyncIterator["OlderServer"]:
        """One of its servers, which is killed at the end where it was not stopped."""
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
    """One of its servers."""

    address: str
    process: Process
    log: Path

    async def stop(self) -> int:
        """SIGTERM; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(30):
            return await self.process.wait()
