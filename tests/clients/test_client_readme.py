"""The Python sessions of clients/README.md run as written."""

import asyncio
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from redrive.v1.delivery_pb2 import FailedRecipient
from redrive.v1.delivery_service_pb2 import (
    ListFailedResponse,
    ResendResponse,
    SendResponse,
    WatchProgressResponse,
)
from redrive.v1.message_pb2 import Counts, Message, MessageStatus
from redrive.v1.page_service_pb2 import PutPageResponse
from redrive.v1.progress_pb2 import Progress

if TYPE_CHECKING:
    from tests.clients.conftest import ScriptedServer

README = Path(__file__).parents[2] / "clients" / "README.md"


def script(number: int, server: "ScriptedServer") -> str:
    """Return the Python script with this number in the README, for this server."""
    return README.read_text().split("```python\n")[number].split("```")[0].replace("127.0.0.1:50051", server.target)


async def test_the_python_session_runs(server: "ScriptedServer") -> None:
    ended = Progress(status=MessageStatus.MESSAGE_STATUS_PARTIALLY_SENT, counts=Counts(total=2, sent=1, failed=1))
    server.answer("PutPage", PutPageResponse())
    server.answer("Send", SendResponse(message=Message(id="m1")))
    server.stream(WatchProgressResponse(sequence=1, progress=ended))
    server.answer(
        "ListFailed",
        ListFailedResponse(failed_recipients=[FailedRecipient(recipient_id="18", last_error_message="no such person")]),
    )
    server.answer("Resend", ResendResponse())

    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", "-c", script(1, server)),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "REDRIVE_PAGE_TOKEN": "EAAB-token"},
    )
    stdout, _ = await process.communicate()

    assert process.returncode == 0
    assert "18 no such person" in stdout.decode()
    assert server.asked("PutPage")[0].page_id == server.asked("Send")[0].page_id
    assert server.asked("Resend")[0].message_id == "m1"


async def test_the_script_with_a_csv_runs(server: "ScriptedServer", tmp_path: Path) -> None:
    server.answer("Send", SendResponse(duplicates_dropped=1))

    outputs = []
    for people in ("id,name\n17,Ada\n17,Ada\n", "id\n1234\u200b\n"):
        (tmp_path / "people.csv").write_text(people)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-W", "error", "-c", script(2, server)),
            cwd=tmp_path,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        outputs.append((await process.communicate())[0].decode())

    assert outputs == [
        "2 rows, 1 with an id of an earlier row\n",
        "people.csv: line 2, column id: holds U+200B ZERO WIDTH SPACE\n",
    ]
    assert len(server.asked("Send")) == 1
