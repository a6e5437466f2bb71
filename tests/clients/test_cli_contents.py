"""What `redrive send` and `redrive resend` send: a text, or a file with a whole content."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from redrive.dashboard.rounds import whom
from redrive.v1.content_pb2 import Attachment, AttachmentType, Content
from redrive.v1.delivery_service_pb2 import SendResponse
from redrive.v1.message_pb2 import Message
from redrive.v1.resend_pb2 import ListRetriesResponse, ResendResponse, RetryRound, RetrySelection

if TYPE_CHECKING:
    from tests.clients.conftest import Redrive, ScriptedServer

IMAGE = Attachment(type=AttachmentType.ATTACHMENT_TYPE_IMAGE, url="https://example.org/a.png")
COMMANDS = {"Resend": ("resend", "m1"), "Send": ("send", "--page", "1", "--recipient", "17")}
ROUND = RetryRound(round=1, recipients=5, selection=RetrySelection(content_changed=True))


@pytest.fixture
def image(tmp_path: Path) -> Path:
    file = tmp_path / "content.json"
    file.write_text('{"attachment": {"type": "ATTACHMENT_TYPE_IMAGE", "url": "https://example.org/a.png"}}')
    return file


@pytest.fixture(autouse=True)
def _answers(server: "ScriptedServer") -> None:
    server.answer("Send", SendResponse(message=Message(id="m1")))
    server.answer("Resend", ResendResponse(recipients_to_retry=1))


@pytest.mark.parametrize("rpc", COMMANDS)
async def test_a_text_is_a_content(server: "ScriptedServer", redrive: "Redrive", rpc: str) -> None:
    result = await redrive(*COMMANDS[rpc], "--text", "Hi all")

    assert result.exit_code == 0, result.output
    assert server.asked(rpc)[0].content == Content(text="Hi all")


@pytest.mark.parametrize("rpc", COMMANDS)
async def test_a_file_holds_a_whole_content(
    server: "ScriptedServer", redrive: "Redrive", rpc: str, image: Path
) -> None:
    result = await redrive(*COMMANDS[rpc], "--content-file", str(image))

    assert result.exit_code == 0, result.output
    assert server.asked(rpc)[0].content == Content(attachment=IMAGE)


async def test_a_resend_without_either_brings_no_content(server: "ScriptedServer", redrive: "Redrive") -> None:
    await redrive("resend", "m1")

    assert not server.asked("Resend")[0].HasField("content")


async def test_a_send_needs_one_of_them(server: "ScriptedServer", redrive: "Redrive") -> None:
    result = await redrive(*COMMANDS["Send"])

    assert result.exit_code == 2
    assert "--content-file" in result.output
    assert server.asked("Send") == []


@pytest.mark.parametrize("rpc", COMMANDS)
async def test_both_are_refused(server: "ScriptedServer", redrive: "Redrive", rpc: str, image: Path) -> None:
    result = await redrive(*COMMANDS[rpc], "--text", "Hi", "--content-file", str(image))

    assert result.exit_code == 2
    assert "not both" in result.output
    assert server.asked(rpc) == []


@pytest.mark.parametrize(
    ("written", "words"), [(b'{"txt": "Hi"}', "txt"), (b"Hi", "content.json"), (b"\xff\xfe", "content.json")]
)
@pytest.mark.parametrize("rpc", COMMANDS)
async def test_a_file_that_holds_no_content_is_refused(
    server: "ScriptedServer", redrive: "Redrive", rpc: str, image: Path, written: bytes, words: str
) -> None:
    image.write_bytes(written)

    result = await redrive(*COMMANDS[rpc], "--content-file", str(image))

    assert result.exit_code != 0
    assert words in result.output
    assert "Traceback" not in result.output
    assert server.asked(rpc) == []


async def test_rounds_say_that_the_content_was_corrected(server: "ScriptedServer", redrive: "Redrive") -> None:
    server.answer("ListRetries", ListRetriesResponse(rounds=[ROUND]))

    assert "retryable, corrected content" in (await redrive("retries", "m1")).stdout
    assert whom(ROUND) == "5 recipients, with corrected text"
