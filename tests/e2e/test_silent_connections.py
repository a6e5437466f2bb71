"""Connections that send nothing use no file descriptors that deliveries need."""

import socket
from contextlib import ExitStack
from pathlib import Path

from redrive import Client
from redrive.v1.content_pb2 import Content, Recipient
from redrive.v1.delivery_service_pb2 import SendRequest
from redrive.v1.message_pb2 import Counts
from tests.e2e.campaign import put_page
from tests.e2e.processes import SandboxProcess, running_server
from tests.waiting import eventually

OPEN_FILES = 256
SILENT = 400


async def test_deliveries_continue_during_more_silent_connections_than_open_files(
    sandbox: SandboxProcess, tmp_path: Path
) -> None:
    settings = {"REDRIVE_MESSAGES_PER_SECOND": "1000"}
    async with (
        running_server(tmp_path, sandbox.graph_url, settings, open_files=OPEN_FILES) as server,
        Client(server.address) as client,
    ):
        await put_page(client)
        with ExitStack() as stack:
            for _ in range(SILENT):
                stack.enter_context(socket.create_connection(("127.0.0.1", server.port)))
            recipients = [Recipient(id=f"u{number}") for number in range(300)]
            sent = await client.send(
                SendRequest(request_id="r-1", page_id="1001", content=Content(text="Hello"), recipients=recipients)
            )

            async def counts() -> Counts:
                return (await client.get_message(sent.message.id)).counts

            seen = await eventually(counts, lambda counts: not counts.pending + counts.sending, within=20)

    assert (seen.sent, seen.failed, seen.unconfirmed) == (300, 0, 0)
    assert "File descriptor limit reached" not in server.log.read_text()
