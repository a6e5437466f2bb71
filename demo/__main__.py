"""Run the demo: `python -m demo`. The exit code is 0 when the counts are right at the end."""

import asyncio
import shutil
import signal
import sys
from pathlib import Path

from rich.console import Console

from demo.process import NotStartedError
from demo.recipients import read_people
from demo.services import running_sandbox, running_server
from demo.walkthrough import Walkthrough
from redrive import Client, RedriveError
from server.sandbox.control import SandboxControl

_FOLDER = Path(__file__).parents[1] / ".demo"


async def main(console: Console) -> bool:
    """Run the demo in an empty folder, and keep the database and the logs there."""
    _end_on_sigterm()
    shutil.rmtree(_FOLDER, ignore_errors=True)
    _FOLDER.mkdir()
    async with (
        running_sandbox(_FOLDER) as graph_url,
        running_server(_FOLDER, graph_url) as address,
        SandboxControl(graph_url) as platform,
        Client(address) as client,
    ):
        return await Walkthrough(client, platform, console).run(read_people())


def _end_on_sigterm() -> None:
    """Handle SIGTERM as SIGINT, so that the child processes are stopped."""
    task = asyncio.current_task()
    if task is not None and sys.platform != "win32":
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)


if __name__ == "__main__":
    screen = Console(highlight=False)
    try:
        sys.exit(0 if asyncio.run(main(screen)) else 1)
    except (NotStartedError, RedriveError) as error:
        screen.print(str(error), style="bold red")
        sys.exit(1)
    except (KeyboardInterrupt, asyncio.CancelledError):
        sys.exit(130)
