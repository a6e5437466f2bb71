"""Start the dashboard with a server and example messages: `python -m demo.dashboard`, or `make dashboard`."""

import asyncio
import os
import shutil
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from rich.console import Console

from demo.faults import fault_orders
from demo.process import NotStartedError
from demo.recipients import Person, read_people
from demo.services import running_sandbox, running_server
from redrive import Client, RedriveError
from redrive.v1.content_pb2 import Content, Recipient
from redrive.v1.delivery_service_pb2 import SendRequest
from redrive.v1.page_service_pb2 import PutPageRequest
from server.sandbox.control import SandboxControl

_FOLDER = Path(__file__).parents[1] / ".demo-dashboard"
_PROGRAM = Path(sys.executable).with_name("redrive")
_PORT = 8080
_TEXT = "Hello {{name}}, our shop in {{city}} opens again on Saturday at nine. See you there!"
_EXPIRING = "first-demo-token"


async def main(console: Console, port: int) -> int:
    """Run until the dashboard exits, and return its exit code."""
    shutil.rmtree(_FOLDER, ignore_errors=True)
    _FOLDER.mkdir(parents=True)
    async with (
        running_sandbox(_FOLDER) as graph_url,
        running_server(_FOLDER, graph_url) as address,
        SandboxControl(graph_url) as platform,
        Client(address) as client,
    ):
        await fill(client, platform, read_people())
        async with _dashboard(address, port) as process:
            console.print(f"The token of the page 'The shop' ({_EXPIRING}) has expired; the sandbox accepts any other.")
            console.print("Press Ctrl+C to stop.")
            return await process.wait()


async def fill(client: Client, platform: SandboxControl, people: Sequence[Person]) -> None:
    """Create three messages: one sent, one with every kind of failure, and one that takes several minutes."""
    await _put_page(client, "club", "The club", "club-token", per_second=300)
    await _sent(client, await _send(client, "club", "Thank you for coming", people[:200]))
    await platform.order(*fault_orders(people, _EXPIRING))
    await _put_page(client, "shop", "The shop", _EXPIRING, per_second=300)
    await _send(client, "shop", "We open again", people)
    await _put_page(client, "news", "The news", "news-token", per_second=2)
    await _send(client, "news", "What is new this week", people[:600])


async def _put_page(client: Client, page_id: str, name: str, token: str, *, per_second: float) -> None:
    request = PutPageRequest(page_id=page_id, name=name, access_token=token, messages_per_second=per_second)
    await client.put_page(request)


async def _send(client: Client, page_id: str, title: str, people: Sequence[Person]) -> str:
    recipients = [Recipient(id=person.id, name=person.name, variables={"city": person.city}) for person in people]
    request = SendRequest(page_id=page_id, title=title, content=Content(text=_TEXT), recipients=recipients)
    return (await client.send(request)).message.id


async def _sent(client: Client, message_id: str) -> None:
    async for _ in client.watch_progress(message_id):
        pass


@asynccontextmanager
async def _dashboard(server: str, port: int) -> AsyncIterator[Process]:
    process = await asyncio.create_subprocess_exec(_PROGRAM, "dashboard", f"--server={server}", f"--port={port}")
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()


if __name__ == "__main__":
    screen = Console(highlight=False)
    try:
        sys.exit(asyncio.run(main(screen, int(os.environ.get("PORT") or _PORT))))
    except (NotStartedError, RedriveError) as error:
        screen.print(str(error), style="bold red")
        sys.exit(1)
    except (KeyboardInterrupt, asyncio.CancelledError):
        sys.exit(130)
