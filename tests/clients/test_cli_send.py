"""The commands `redrive send` and `redrive resend`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import pytest

from redrive.v1.content_pb2 import Content, Recipient
from redrive.v1.delivery_service_pb2 import (
    ResendBatches,
    ResendRequest,
    ResendResponse,
    SendRequest,
    SendResponse,
    SendStreamResponse,
    SkippedRecipients,
    SkipReason,
    WatchProgressResponse,
)
from redrive.v1.error_pb2 import ErrorType
from redrive.v1.message_pb2 import Counts, Message, MessageStatus, OnUnconfirmed, RetryPolicy, RetryType
from redrive.v1.progress_pb2 import Progress

if TYPE_CHECKING:
    from tests.clients.conftest import Redrive, ScriptedServer

SENT = SendResponse(message=Message(id="m1", counts=Counts(total=2, pending=2)), duplicates_dropped=1)
DONE = WatchProgressResponse(
    sequence=7,
    progress=Progress(message_id="m1", status=MessageStatus.MESSAGE_STATUS_SENT, counts=Counts(total=2, sent=2)),
)


@pytest.fixture
def people(tmp_path: Path) -> Path:
    file = tmp_path / "people.csv"
    file.write_text("id,name,city\n17,Ada,London\n18,Grace,\n")
    return file


async def test_csv_file_becomes_one_send(server: "ScriptedServer", redrive: "Redrive", people: Path) -> None:
    server.answer("Send", SENT)

    result = await redrive(
        *("send", "--page", "1", "--text", "Hi {{name}}", "--csv", str(people), "--title", "News", "--retry", "cron"),
        *("--max-retries", "5", "--on-unconfirmed", "resend", "--request-id", "once"),
    )

    assert result.exit_code == 0, result.output
    assert server.asked("Send") == [
        SendRequest(
            request_id="once",
            page_id="1",
            title="News",
            content=Content(text="Hi {{name}}"),
            recipients=[
                Recipient(id="17", name="Ada", variables={"city": "London"}),
                Recipient(id="18", name="Grace"),
            ],
            retry_policy=RetryPolicy(type=RetryType.RETRY_TYPE_CRON, max_retry_attempts=5),
            on_unconfirmed=OnUnconfirmed.ON_UNCONFIRMED_RESEND,
        )
    ]
    assert "m1" in result.stdout
    assert "Duplicates dropped: 1." in result.stdout


async def test_dry_run_shows_the_first_recipients_text_and_the_duplicates(
    server: "ScriptedServer", redrive: "Redrive", people: Path
) -> None:
    server.answer("Send", SENT)
    text = "Hi {{name}}\nof {{ city }}\x1b[31m"

    result = await redrive("send", "--page", "1", "--text", text, "--csv", str(people), "--dry-run", "--watch")

    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[-4:] == [
        "Duplicates dropped: 1. The first row of each id was kept.",
        "The text for 17:",
        "Hi Ada",
        "of London [31m",
    ]


async def test_dry_run_counts_recipients_with_default_values(
    server: "ScriptedServer", redrive: "Redrive", people: Path
) -> None:
    server.answer("Send", SENT)
    text = "{{name|friend}} of {{ city | nowhere }} on {{day|Monday}}{{gift|}}"

    result = await redrive("send", "--page", "1", "--text", text, "--csv", str(people), "--dry-run")

    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[-5:] == [
        "The text for 17:",
        "Ada of London on Monday",
        "1 without city: the default is used.",
        "2 without day: the default is used.",
        "2 without gift: the default is used.",
    ]


async def test_duplicates_are_shown_before_the_watch(
    server: "ScriptedServer", redrive: "Redrive", people: Path
) -> None:
    server.answer("Send", SENT)
    server.stream(DONE)

    result = await redrive("send", "--page", "1", "--text", "Hi", "--csv", str(people), "--watch")

    assert result.stdout.index("Duplicates dropped: 1.") < result.stdout.index("SENT: 2 of 2 sent")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Your {{ordr}}, {{name}}, {{ordr}}", "people.csv has no column ordr; it has name, city."),
        ("{{a}} {{b}}", "people.csv has no column a, b; it has name, city."),
        ("{{id}}", "people.csv has no column id (ids cannot be used in a text); it has name, city."),
    ],
)
async def test_variable_without_a_column_is_reported_once_and_nothing_is_sent(
    server: "ScriptedServer", redrive: "Redrive", people: Path, text: str, words: str
) -> None:
    result = await redrive("send", "--page", "1", "--text", text, "--csv", str(people))

    assert result.exit_code == 2
    assert result.stderr == f"Nothing was sent. {words}\n"
    assert not server.requests


BUTTON = {
    "type": "web_url",
    "url": "https://e.org/?c={{city}}&n={{nick|}}",
    "title": "Hi {{name}}",
    "payload": "{{ordr}}",
}
TEMPLATE = {"type": "ATTACHMENT_TYPE_TEMPLATE", "template": {"buttons": [BUTTON]}}


@pytest.mark.parametrize(
    "content",
    [
        {"attachment": {"type": "ATTACHMENT_TYPE_IMAGE", "url": "https://e.org/{{ordr}}"}},
        {"text": "Hi {{name}}", "quick_replies": [{"content_type": "text", "title": "{{ordr}}"}]},
        {"text": "Hi", "quick_replies": [{"content_type": "text", "title": "a", "payload": "{{\n ordr }}"}]},
        {"attachment": TEMPLATE},
    ],
)
async def test_variables_in_all_strings_need_a_column(
    server: "ScriptedServer", redrive: "Redrive", people: Path, tmp_path: Path, content: dict[str, object]
) -> None:
    file = tmp_path / "content.json"
    file.write_text(json.dumps(content))

    result = await redrive("send", "--page", "1", "--content-file", str(file), "--csv", str(people))

    assert result.exit_code == 2
    assert result.stderr == "Nothing was sent. people.csv has no column ordr; it has name, city.\n"
    assert not server.requests


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (
            {"attachment": {"type": "ATTACHMENT_TYPE_IMAGE", "url": "https://e.org/{{city}}.png"}},
            ["The content for 17:", "attachment.url: https://e.org/New%20York.png"],
        ),
        (
            {"text": "Hi {{name}}", "quick_replies": [{"content_type": "text", "title": "{{city}}"}]},
            ["The text for 17:", "Hi Ada", "quick_replies[0].title: New York"],
        ),
        (
            {"attachment": {**TEMPLATE, "template": {"buttons": [{**BUTTON, "payload": "{{ordr|none}}"}]}}},
            [
                "attachment.template.buttons[0].payload: none",
                "attachment.template.buttons[0].title: Hi Ada",
                "attachment.template.buttons[0].type: web_url",
                "attachment.template.buttons[0].url: https://e.org/?c=New%20York&n=",
                "1 without nick: the default is used.",
                "1 without ordr: the default is used.",
            ],
        ),
    ],
)
async def test_dry_run_shows_every_string_for_the_first_recipient(
    server: "ScriptedServer",
    redrive: "Redrive",
    people: Path,
    tmp_path: Path,
    content: dict[str, object],
    lines: list[str],
) -> None:
    server.answer("Send", SENT)
    people.write_text("id,name,city\n17,Ada,New York\n")
    file = tmp_path / "content.json"
    file.write_text(json.dumps(content))

    result = await redrive("send", "--page", "1", "--content-file", str(file), "--csv", str(people), "--dry-run")

    assert result.exit_code == 0, result.output
    assert sorted(result.stdout.splitlines()[-len(lines) :]) == sorted(lines)


async def test_recipients_can_be_named_one_by_one(server: "ScriptedServer", redrive: "Redrive") -> None:
    server.answer("Send", SENT)

    result = await redrive("send", "--page", "1", "--text", "Hi", "--recipient", "17", "--recipient", "18", "--dry-run")

    (request,) = server.asked("Send")
    assert result.exit_code == 0, result.output
    assert [recipient.id for recipient in request.recipients] == ["17", "18"]
    assert request.validate_only
    assert request.retry_policy.type == RetryType.RETRY_TYPE_MANUAL
    assert request.on_unconfirmed == OnUnconfirmed.ON_UNCONFIRMED_HOLD


async def test_more_than_ten_thousand_recipients_are_streamed(
    server: "ScriptedServer", redrive: "Redrive", tmp_path: Path
) -> None:
    file = tmp_path / "many.csv"
    file.write_text("id\n" + "".join(f"{number}\n" for number in range(10_001)))
    server.answer("SendStream", SendStreamResponse(message=Message(id="m1")))

    result = await redrive("send", "--page", "1", "--text", "Hi", "--csv", str(file))

    received = [recipient.id for part in server.parts for recipient in part.recipients.recipients]
    assert result.exit_code == 0, result.output
    assert received == [str(number) for number in range(10_001)]
    assert server.parts[0].header.page_id == "1"
    assert not server.asked("Send")


async def test_large_recipients_are_streamed(server: "ScriptedServer", redrive: "Redrive", tmp_path: Path) -> None:
    file = tmp_path / "large.csv"
    file.write_text("id,story\n" + "".join(f"{number},{'x' * 1_000}\n" for number in range(4_000)))
    server.answer("SendStream", SendStreamResponse(message=Message(id="m1")))

    result = await redrive("send", "--page", "1", "--text", "Hi", "--csv", str(file))

    assert result.exit_code == 0, result.output
    assert sum(len(part.recipients.recipients) for part in server.parts) == 4_000


async def test_wrong_csv_file_sends_nothing(server: "ScriptedServer", redrive: "Redrive", people: Path) -> None:
    people.write_text("id,name\n17,Ada\n1 8,Grace\n")

    result = await redrive("send", "--page", "1", "--text", "Hi", "--csv", str(people))

    assert result.exit_code == 2
    assert "Nothing was sent." in result.stderr
    assert "people.csv: line 3, column id: holds U+0020 SPACE" in result.stderr
    assert not server.requests
    assert not server.parts


async def test_recipients_can_come_from_standard_input(server: "ScriptedServer", redrive: "Redrive") -> None:
    server.answer("Send", SENT)

    result = await redrive("send", "--page", "1", "--text", "Hi", "--csv", "-", input='id;name\n17;"Ada"\n')
    refused = await redrive("send", "--page", "1", "--text", "Hi", "--csv", "-", input="id\n1.2E+15\n")

    assert result.exit_code == 0, result.output
    assert list(server.asked("Send")[0].recipients) == [Recipient(id="17", name="Ada")]
    assert refused.exit_code == 2
    assert "standard input: line 2, column id: is a number that a spreadsheet has rounded" in refused.stderr
    assert len(server.asked("Send")) == 1


async def test_possibly_rounded_ids_get_a_note(server: "ScriptedServer", redrive: "Redrive", people: Path) -> None:
    people.write_text("id\n" + "".join(f"{10**14 + number}0\n" for number in range(5)))
    server.answer("Send", SENT)

    result = await redrive("send", "--page", "1", "--text", "Hi", "--csv", str(people))

    assert result.exit_code == 0, result.output
    assert "Note: 5 of 5 ids with more than 15 digits end in zeros." in result.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "Give the recipients"),
        (["--recipient", "17", "--csv", "people.csv"], "Give the recipients"),
        (["--csv", "nowhere.csv"], "does not exist"),
        (["--csv", "/dev/null"], "/dev/null: line 1, column id: is missing"),
    ],
    ids=["none", "both", "no such file", "nothing to read"],
)
async def test_exactly_one_source_of_recipients_is_required(
    redrive: "Redrive", people: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], words: str
) -> None:
    monkeypatch.chdir(people.parent)

    result = await redrive("send", "--page", "1", "--text", "Hi", *arguments)

    assert result.exit_code == 2
    assert words in result.stderr


async def test_send_without_response_shows_how_to_repeat_it(server: "ScriptedServer", redrive: "Redrive") -> None:
    server.refuse("Send", grpc.StatusCode.DEADLINE_EXCEEDED)

    result = await redrive("send", "--page", "1", "--text", "Hi", "--recipient", "17")

    assert result.exit_code == 5
    assert f"--request-id {server.asked('Send')[0].request_id}" in result.stderr


async def test_send_and_watch_in_json_are_lines(server: "ScriptedServer", redrive: "Redrive") -> None:
    server.answer("Send", SENT)
    server.stream(DONE)

    result = await redrive("send", "--page", "1", "--text", "Hi", "--recipient", "17", "--watch", "-o", "json")

    first, second = map(json.loads, result.stdout.splitlines())
    assert result.exit_code == 0, result.output
    assert first["message"]["id"] == "m1"
    assert second["progress"]["status"] == "MESSAGE_STATUS_SENT"


async def test_resend_shows_taken_and_skipped_recipients(server: "ScriptedServer", redrive: "Redrive") -> None:
    server.answer(
        "Resend",
        ResendResponse(
            recipients_to_retry=120,
            batches=ResendBatches(total=2, size=100, start_number=11),
            skipped=[SkippedRecipients(reason=SkipReason.SKIP_REASON_UNCONFIRMED, count=3)],
        ),
    )

    result = await redrive(
        *("resend", "m1", "--recipient", "17", "--error-type", "rate-limit", "--error-type", "ERROR_TYPE_NETWORK"),
        *("--include-unconfirmed", "--dry-run"),
    )

    (request,) = server.asked("Resend")
    assert result.exit_code == 0, result.output
    assert request == ResendRequest(
        message_id="m1",
        recipient_ids=["17"],
        error_types=[ErrorType.ERROR_TYPE_RATE_LIMIT, ErrorType.ERROR_TYPE_NETWORK],
        include_unconfirmed=True,
        request_id=request.request_id,
        validate_only=True,
    )
    assert "120 recipients to retry, in 2 batches, from number 11." in result.stdout
    assert "unconfirmed" in result.stdout
    assert "--include-unconfirmed resends it, and it may then arrive twice." in result.stdout


async def test_a_resend_can_be_watched(server: "ScriptedServer", redrive: "Redrive") -> None:
    server.answer("Resend", ResendResponse(recipients_to_retry=1))
    server.stream(DONE)

    result = await redrive("resend", "m1", "--watch")

    assert result.exit_code == 0, result.output
    assert server.asked("WatchProgress")[0].message_id == "m1"
    assert "SENT: 2 of 2 sent" in result.stdout
