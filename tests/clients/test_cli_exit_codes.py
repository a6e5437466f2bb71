"""Exit codes and error texts."""

import asyncio
import ctypes
import json
import os
import signal
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, PreconditionFailure, RetryInfo

from redrive.cli.main import main
from redrive.cli.settings import CommandSettings
from redrive.v1.delivery_service_pb2 import GetMessageResponse, WatchProgressResponse
from redrive.v1.message_pb2 import Counts, MessageStatus
from redrive.v1.progress_pb2 import Progress

if TYPE_CHECKING:
    from tests.clients.conftest import Redrive, ScriptedServer

REDRIVE = str(Path(sys.executable).with_name("redrive"))


@pytest.mark.parametrize(
    ("code", "exit_code"),
    [
        (grpc.StatusCode.INTERNAL, 1),
        (grpc.StatusCode.INVALID_ARGUMENT, 2),
        (grpc.StatusCode.NOT_FOUND, 3),
        (grpc.StatusCode.ALREADY_EXISTS, 4),
        (grpc.StatusCode.FAILED_PRECONDITION, 4),
        (grpc.StatusCode.DEADLINE_EXCEEDED, 5),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, 5),
        (grpc.StatusCode.PERMISSION_DENIED, 6),
        (grpc.StatusCode.UNAUTHENTICATED, 6),
    ],
)
async def test_a_status_becomes_an_exit_code(
    server: "ScriptedServer", redrive: "Redrive", code: grpc.StatusCode, exit_code: int
) -> None:
    server.refuse("GetMessage", code, message="the server's message")

    result = await redrive("message", "m1")

    assert result.exit_code == exit_code
    assert "the server's message" in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize("form", ["json", "table"])
async def test_server_messages_cannot_control_the_terminal(
    server: "ScriptedServer", redrive: "Redrive", form: str
) -> None:
    server.refuse("GetMessage", grpc.StatusCode.NOT_FOUND, message="a\x1b[2J\u202eb\x9bc")

    result = await redrive("message", "m1", "-o", form)

    assert not set(result.stderr) & set("\x1b\u202e\x9b")
    assert "[2J" in result.stderr


async def test_wrong_fields_are_named(server: "ScriptedServer", redrive: "Redrive") -> None:
    details = BadRequest()
    details.field_violations.add(field="recipients[0].id", description="holds a space")
    message = "recipients[0].id: holds a space"  # the server's message also holds the first violations
    server.refuse("Send", grpc.StatusCode.INVALID_ARGUMENT, details, message=message)

    result = await redrive("send", "--page", "1", "--text", "Hi", "--recipient", "1 2")

    assert result.stderr == "The server refuses this request:\n  recipients[0].id: holds a space\n"


async def test_unregistered_page_error_shows_the_remedy(server: "ScriptedServer", redrive: "Redrive") -> None:
    blockers = PreconditionFailure()
    blockers.violations.add(type="PAGE", subject="pages/1", description="is not registered")
    server.refuse("Send", grpc.StatusCode.FAILED_PRECONDITION, ErrorInfo(reason="PAGE_NOT_REGISTERED"), blockers)

    result = await redrive("send", "--page", "1", "--text", "Hi", "--recipient", "17")

    assert "pages/1: is not registered" in result.stderr
    assert "redrive page put 1\n" in result.stderr


async def test_busy_server_error_shows_when_to_try_again(server: "ScriptedServer", redrive: "Redrive") -> None:
    retry = RetryInfo(retry_delay=Duration(seconds=90))
    server.refuse("GetMessage", grpc.StatusCode.UNAVAILABLE, ErrorInfo(reason="LOG_UNAVAILABLE"), retry)

    result = await redrive("message", "m1")

    assert result.exit_code == 5
    assert "Try again in 90 s." in result.stderr


async def test_precondition_equal_to_the_message_is_shown_once(server: "ScriptedServer", redrive: "Redrive") -> None:
    words = "message 'm1' is cancelled, and a cancel is final"
    blockers = PreconditionFailure()
    blockers.violations.add(type="MESSAGE_CANCELLED", subject="messages/m1", description=words)
    server.refuse("Resend", grpc.StatusCode.FAILED_PRECONDITION, blockers, message=words)

    assert (await redrive("resend", "m1")).stderr == f"{words}\n"


async def test_an_error_in_json_is_a_line_on_stderr(server: "ScriptedServer", redrive: "Redrive") -> None:
    details = BadRequest()
    details.field_violations.add(field="page_id", description="is required")
    server.refuse("Send", grpc.StatusCode.INVALID_ARGUMENT, ErrorInfo(reason="INVALID_REQUEST"), details)

    result = await redrive("send", "--page", "", "--text", "Hi", "--recipient", "17", "-o", "json")

    assert (result.exit_code, result.stdout) == (2, "")
    assert json.loads(result.stderr) == {
        "error": {
            "code": "INVALID_ARGUMENT",
            "reason": "INVALID_REQUEST",
            "message": "refused",
            "violations": [{"field": "page_id", "description": "is required"}],
            "notes": [],
        }
    }


async def test_json_error_has_retry_after_and_the_request_id(server: "ScriptedServer", redrive: "Redrive") -> None:
    server.refuse("Send", grpc.StatusCode.UNAVAILABLE, RetryInfo(retry_delay=Duration(seconds=90)))

    result = await redrive("-o", "json", "send", "--page", "1", "--text", "Hi", "--recipient", "17")

    error = json.loads(result.stderr)["error"]
    assert (result.exit_code, error["code"], error["retry_after"]) == (5, "UNAVAILABLE", 90)
    assert f"--request-id {server.asked('Send')[0].request_id}" in error["notes"][0]


async def test_invalid_input_is_a_json_error_too(redrive: "Redrive", tmp_path: Path) -> None:
    people = tmp_path / "people.csv"
    people.write_text("id\n1 2\n")

    for recipients in (["--csv", str(people)], []):
        result = await redrive("send", "--page", "1", "--text", "Hi", "-o", "json", *recipients)

        error = json.loads(result.stderr)["error"]
        assert (result.exit_code, error["code"], error["reason"]) == (2, "INVALID_ARGUMENT", "INVALID_INPUT")


@pytest.mark.parametrize(
    "arguments",
    [
        ["message"],
        ["nonsense"],
        ["failed", "m1", "--error-type", "nonsense"],
        ["messages", "--limit", "-1"],
        ["send", "--page", "1", "--text", "x", "--recipient", "1", "--max-retries", "11"],
        ["messages", "-o", "xml"],
    ],
)
async def test_wrong_usage_exits_with_2(server: "ScriptedServer", redrive: "Redrive", arguments: list[str]) -> None:
    result = await redrive(*arguments)

    assert result.exit_code == 2
    assert not server.requests


async def test_help_lists_the_exit_codes(redrive: "Redrive") -> None:
    result = await redrive("--help")

    assert result.exit_code == 0
    assert "Exit codes:" in result.stdout


@pytest.mark.parametrize("command", [[], ["send"], ["resend"], ["page"], ["page", "put"]])
async def test_help_shows_flags_without_a_value(redrive: "Redrive", command: list[str]) -> None:
    result = await redrive(*command, "--help")

    assert result.exit_code == 0
    assert "--help" in result.stdout
    assert "bool" not in result.stdout.lower()


async def test_the_version_is_shown(redrive: "Redrive") -> None:
    result = await redrive("--version")

    assert (result.exit_code, result.stdout) == (0, f"redrive {version('redrive')}\n")


@pytest.mark.parametrize(
    ("given", "target"),
    [
        ("localhost", "localhost:50051"),
        ("redrive-1.example.org", "redrive-1.example.org:50051"),
        ("[::1]", "[::1]:50051"),
        ("[::1]:7", "[::1]:7"),
        ("10.0.0.1:7", "10.0.0.1:7"),
        ("dns:///redrive", "dns:///redrive"),
        ("unix:redrive.sock", "unix:redrive.sock"),
    ],
)
def test_server_without_a_port_gets_the_default_port(given: str, target: str) -> None:
    assert CommandSettings(server=given).target == target


@pytest.mark.parametrize("place", ["before", "after"])
async def test_the_server_may_be_named_before_or_after_the_command(
    server: "ScriptedServer", redrive: "Redrive", monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.setenv("REDRIVE_SERVER", "127.0.0.1:1")
    server.answer("GetMessage", GetMessageResponse())
    named = ("--server", server.target)

    result = await redrive(*named, "message", "m1") if place == "before" else await redrive("message", "m1", *named)

    assert result.exit_code == 0, result.output


async def test_installed_command_explains_a_missing_server(server: "ScriptedServer") -> None:
    await server.stop()

    process = await start("message", "m1", server=server.target)
    stdout, stderr = await process.communicate()

    assert process.returncode == 5
    assert stdout == b""
    assert f"No server answers at {server.target}" in stderr.decode()
    assert b"Traceback" not in stderr


@pytest.mark.parametrize(("name", "value"), [("REDRIVE_TOKEN", "t0\nk"), ("REDRIVE_ROOT_CERTIFICATES", "nowhere.pem")])
async def test_wrong_settings_are_wrong_input(
    redrive: "Redrive", monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)

    result = await redrive("message", "m1")

    assert result.exit_code == 2
    assert "t0k" not in result.stderr


def test_unexpected_error_exits_with_1_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise RuntimeError("out of memory")

    monkeypatch.setattr("redrive.cli.main.app", fail)

    with pytest.raises(SystemExit) as raised:
        main()

    assert raised.value.code == 1
    assert capsys.readouterr().err == "Unexpected error: RuntimeError: out of memory\n"


async def test_a_watch_can_be_interrupted(server: "ScriptedServer") -> None:
    server.stream(WatchProgressResponse(sequence=1), server.silence())

    process = await start("watch", "m1", "-o", "json", server=server.target)
    assert process.stdout
    await process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, stderr = await process.communicate()

    assert process.returncode == 130
    assert b"Traceback" not in stderr


async def test_interrupted_watch_prints_the_last_progress(server: "ScriptedServer") -> None:
    counts = Counts(total=2, sent=1, pending=1)
    progress = Progress(status=MessageStatus.MESSAGE_STATUS_SENDING, counts=counts)
    server.stream(WatchProgressResponse(sequence=1, progress=progress), server.silence())

    process = await start("watch", "m1", server=server.target)
    assert process.stdout
    await process.stdout.readline()
    process.send_signal(signal.SIGINT)
    stdout, _ = await process.communicate()

    assert process.returncode == 130
    assert stdout.decode().splitlines() == [
        "Interrupted. SENDING: 1 of 2 sent, 0 failed, 0 unconfirmed, 1 pending",
        "The message continues; redrive watch m1 watches it again.",
    ]


async def test_watch_can_be_interrupted_by_a_signal_to_any_thread(server: "ScriptedServer") -> None:
    """If the signal arrives just before the loop waits, only the loop's own wake-up ends the wait."""
    server.stream(WatchProgressResponse(sequence=1), server.silence())
    process = await start("watch", "m1", "-o", "json", server=server.target)
    assert process.stdout
    await process.stdout.readline()
    others = {int(thread.name) for thread in Path(f"/proc/{process.pid}/task").iterdir()} - {process.pid}

    assert ctypes.CDLL(None).tgkill(process.pid, others.pop(), signal.SIGINT) == 0
    await process.communicate()

    assert process.returncode == 130


async def start(*arguments: str, server: str, **more: str) -> asyncio.subprocess.Process:
    pipe = asyncio.subprocess.PIPE
    environment = {**os.environ, "REDRIVE_SERVER": server, **more}
    return await asyncio.create_subprocess_exec(REDRIVE, *arguments, stdout=pipe, stderr=pipe, env=environment)
