"""The endpoint of all contenders: one sandbox process that refuses a share of the recipients once."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from bench.job import FAILING_SHARE
from bench.programs import OWN, running
from server.sandbox.control import SandboxControl
from server.sandbox.effect import Delay, ErrorAnswer
from server.sandbox.fault_order import FaultOrder
from tests.e2e.processes import free_port, listening


class MiscountError(Exception):
    """The endpoint did not accept exactly one message per recipient."""


class Endpoint:
    """The sandbox, reset before each run."""

    def __init__(self, url: str, pid: int, control: SandboxControl, failing_share: float) -> None:
        self.url = url
        self.pid = pid
        self._control = control
        self._failing_share = failing_share

    async def make_ready(self, delay_seconds: float) -> None:
        """Clear the record of requests, and order the faults again."""
        await self._control.reset()
        faults = []
        if delay_seconds:
            faults.append(FaultOrder(effect=Delay(seconds=delay_seconds)))
        if self._failing_share:
            faults.append(FaultOrder(effect=ErrorAnswer(code=2), share=self._failing_share, times=1))
        await self._control.order(*faults)

    async def check(self, messages: int) -> None:
        """Check the record of the run.

        Raises MiscountError unless each recipient received one message, and requests were refused exactly when faults
        were ordered.
        """
        summary = await self._control.summary()
        some_refused = summary.received > summary.accepted
        once_each = (summary.accepted, summary.recipients_accepted) == (messages, messages)
        if not once_each or some_refused != (self._failing_share > 0):
            raise MiscountError(
                f"{summary.accepted} accepted for {summary.recipients_accepted} of {messages} recipients"
            )


@asynccontextmanager
async def running_endpoint(folder: Path, failing_share: float = FAILING_SHARE) -> AsyncIterator[Endpoint]:
    """Run the sandbox while the block runs; it counts requests and does not store them."""
    port = free_port()
    url = f"http://127.0.0.1:{port}/v25.0"
    command: list[str | Path] = [OWN / "redrive-server", "sandbox", f"--port={port}", "--keep-arrivals=0"]
    async with running(command, folder / "endpoint.log") as process, SandboxControl(url) as control:
        await listening(port)
        yield Endpoint(url, process.pid, control, failing_share)
