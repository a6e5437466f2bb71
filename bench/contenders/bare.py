"""The bare loop: the same requests with nothing stored, as the upper limit."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from bench.contenders.contender import Prepared
from bench.programs import running_caller


class BareLoop:
    """Contender that sends from one process; `mode` is `single` or `batch`."""

    def __init__(self, name: str, mode: str) -> None:
        self.name = name
        self._mode = mode

    def missing(self) -> str:
        """Return nothing: .venv has all packages."""
        return ""

    @asynccontextmanager
    async def prepared(self, folder: Path, graph_url: str) -> AsyncIterator[Prepared]:
        """Start the loop's process."""
        command = [sys.executable, "-m", "bench.bare_loop", self._mode]
        async with running_caller(command, folder / "loop.log", {"BENCH_GRAPH_URL": graph_url}) as caller:
            yield Prepared(caller.campaign, [caller.pid], [])
