"""The content of `redrive send` and `redrive resend`: a text, or a file."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from redrive.dashboard.pages.rounds import round_text
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
async def test_text_becomes_the_content(server: "ScriptedServer", redrive: "Redrive", rpc: str) -> None:
    result = await redrive(*COMMANDS[rpc], "--text", "Hi all")

    assert result.exit_code == 0, result.output
    assert server.asked(rpc)[0].content == Content(text="Hi all")


@pytest.mark.parametrize("rpc", COMMANDS)
async def test_content_file_becomes_the_content(
    server: "ScriptedServer", redrive: "Redrive", rpc: str, image: Path
) -> None:
    result = await redrive(*COMMANDS[rpc], "--content-file", str(image))

    assert result.exit_code == 0, result.output
    assert server.asked(rpc)[0].content == Content(attachment=IMAGE)


async def test_resend_without_text_and_file_has_no_content(server: "ScriptedServer", redrive: "Redrive") -> None:
    await redrive("resend", "m1")

    assert not server.asked("Resend")[0].HasField("content")


async def test_send_requires_a_text_or_a_content_file(server: "ScriptedServer", redrive: "Redrive") -> None:
    result = await redrive(*COMMANDS["Send"])

    assert result.exit_code == 2
    assert "--content-file" in result.output
    assert server.asked("Send") == []


@pytest.mark.parametrize("rpc", COMMANDS)
async def test_text_and_content_file_together_are_refused(
    server: "ScriptedServer", redrive: "Redrive", rpc: str, image: Path
) -> None:
    result = await redrive(*COMMANDS[rpc], "--text", "Hi", "--content-file", str(image))

    assert result.exit_code == 2
    assert "not both" in result.output
    assert server.asked(rpc) == []


@pytest.mark.parametrize(
    ("written", "words"), [(b'{"txt": "Hi"}', "txt"), (b"Hi", "content.json"), (b"\xff\xfe", "content.json")]
)
@pytest.mark.parametrize("rpc", COMMANDS)
async def test_invalid_content_file_is_refused(
    server: "ScriptedServer", redrive: "Redrive", rpc: str, image: Path, written: bytes, words: str
) -> None:
    image.write_bytes(written)

    result = await redrive(*COMMANDS[rpc], "--content-file", str(image))

    assert result.exit_code != 0
    assert words in result.output
    assert "Traceback" not in result.output
    assert server.asked(rpc) == []


async def test_rounds_show_a_corrected_content(server: "ScriptedServer", redrive: "Redrive") -> None:
    server.answer("ListRetries", ListRetriesResponse(rounds=[ROUND]))

    assert "retryable, corrected content" in (await redrive("retries", "m1")).stdout
    assert round_text(ROUND) == "5 recipients, with corrected content"
