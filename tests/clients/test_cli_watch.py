"""`redrive watch`: lines, a live bar, JSON, and how it ends."""

import json
from typing import TYPE_CHECKING

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

from redrive.v1.delivery_service_pb2 import WatchProgressResponse
from redrive.v1.message_pb2 import Counts, MessageStatus
from redrive.v1.progress_pb2 import Progress

if TYPE_CHECKING:
    from tests.clients.conftest import Redrive, ScriptedServer

SENDING = Progress(
    status=MessageStatus.MESSAGE_STATUS_SENDING,
    counts=Counts(total=1_000, sent=400, failed=1, pending=589, sending=10),
    messages_per_second=50,
    eta=Duration(seconds=12),
)
SENT = Progress(status=MessageStatus.MESSAGE_STATUS_SENT, counts=Counts(total=1_000, sent=1_000))


def at(sequence: int, progress: Progress) -> WatchProgressResponse:
    return WatchProgressResponse(sequence=sequence, progress=progress)


async def test_a_file_gets_a_line_for_each_change(server: "ScriptedServer", redrive: "Redrive") -> None:
    server.stream(at(1, SENDING), at(1, SENDING), at(2, SENT))

    result = await redrive("watch", "m1")

    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == [
        "SENDING: 400 of 1,000 sent, 1 failed, 0 unconfirmed, 599 pending, 50.0/s, 12 s left",
        "SENT: 1,000 of 1,000 sent, 0 failed, 0 unconfirmed, 0 pending",
    ]


async def test_a_terminal_gets_a_live_bar(server: "ScriptedServer", redrive: "Redrive") -> None:
    server.stream(at(1, SENDING), at(2, SENT))

    result = await redrive("watch", "m1", env={"FORCE_COLOR": "1", "COLUMNS": "200", "TERM": "xterm"})

    assert result.exit_code == 0, result.output
    assert "100%" in result.stdout
    assert "SENT: 1,000 of 1,000 sent" in result.stdout


async def test_json_is_a_line_for_each_answer(server: "ScriptedServer", redrive: "Redrive") -> None:
    server.stream(at(1, SENDING), at(2, SENT))

    result = await redrive("watch", "m1", "-o", "json")

    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [line["sequence"] for line in lines] == ["1", "2"]
    assert lines[0]["progress"]["counts"]["unconfirmed"] == 0


@pytest.mark.parametrize(
    ("status", "counts", "exit_code"),
    [
        ("SENT", Counts(total=2, sent=2), 0),
        ("PARTIALLY_SENT", Counts(total=2, sent=1, failed=1), 10),
        ("FAILED", Counts(total=2, unconfirmed=2), 10),
        ("CANCELLED", Counts(total=2, failed=1, cancelled=1), 11),
    ],
)
async def test_the_exit_code_says_how_the_message_ended(
    server: "ScriptedServer", redrive: "Redrive", status: str, counts: Counts, exit_code: int
) -> None:
    ended = Progress(status=MessageStatus.Value(f"MESSAGE_STATUS_{status}"), counts=counts)
    server.stream(at(1, ended))

    result = await redrive("watch", "m1")

    assert result.exit_code == exit_code
    assert ("redrive failed m1" in result.stdout) is (exit_code == 10)


async def test_watching_an_unknown_message_is_not_found(server: "ScriptedServer", redrive: "Redrive") -> None:
    server.stream(server.refusal(grpc.StatusCode.NOT_FOUND, message="There is no message m1."))

    result = await redrive("watch", "m1")

    assert result.exit_code == 3
    assert result.stderr == "There is no message m1.\n"
