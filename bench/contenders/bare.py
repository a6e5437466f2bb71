"""The limit: the same requests from a bare loop, with nothing written down."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from bench.contenders.contender import Prepared
from bench.programs import running_caller


class BareLoop:
    """One process that sends, `single` or `batch`."""

    def __init__(self, name: str, mode: str) -> None:
        self.name = name
        self._mode = mode

    def missing(self) -> str:
        """Nothing: all of it is in .venv."""
        return ""

    @asynccontextmanager
    async def prepared(self, folder: Path, graph_url: str) -> AsyncIterator[Prepared]:
        """The loop's process started."""
        command = [sys.executable, "-m", "bench.bare_loop", self._mode]
        async with running_caller(command, folder / "loop.log", {"BENCH_GRAPH_URL": graph_url}) as caller:
            yield Prepared(caller.campaign, [caller.pid], [])
