"""Large contents: the largest accepted one does not block the process; a larger one fails as a content error."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from domain.batch_events import BatchRecipient
from domain.commands import Recipient
from domain.content import Attachment, Content, QuickReply
from domain.page_events import SendMode
from domain.streams import batch_stream, message_stream
from domain.template_size import MAX_TEMPLATE_BYTES, json_size
from server.crypto.vault import Vault
from server.eventstore.commit import Commit, Committed, StreamEvents
from server.eventstore.event_store import EventStore
from server.eventstore.sqlite.store import SqliteStore
from server.messenger.messenger_channel import MessengerChannel
from server.sandbox.runner import Sandbox
from server.sending.batch_sender import GRAPH_BATCH_BYTES
from tests.builders import MESSAGE, PAGE, batch_created, crowd, message_submitted
from tests.loop_pauses import loop_pauses
from tests.server.sending.service_process import KEY, ServiceProcess

LONGEST_PAUSE = 0.05  # seconds of the event loop
QUOTING = 6  # growth of JSON that is form-encoded, in JSON, in a form


class Platform(httpx.AsyncBaseTransport):
    """A platform that accepts every message and stores its size."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        body = request.read()
        if request.method == "GET":
            return httpx.Response(200, json={"id": PAGE})
        self.sizes.append(len(body))
        if not body.startswith(b"batch="):
            return httpx.Response(200, json={"message_id": "m.1"})
        part = {"code": 200, "body": '{"message_id":"m.1"}'}
        return httpx.Response(200, json=[part] * body.count(b"%22method%22"))


@pytest.fixture
def platform() -> Platform:
    return Platform()


@pytest.fixture
async def sending(database: Path, sandbox: Sandbox, platform: Platform) -> AsyncIterator[ServiceProcess]:
    store = SqliteStore(database)
    async with EventStore(store) as log:
        service = ServiceProcess(
            store, log, sandbox, MessengerChannel(platform, "https://graph.example/v25.0"), "worker-1", "900"
        )
        await service.put_page()
        yield service
        await service.drain()


def of_template(template: dict[str, Any]) -> Content:
    return Content(attachment=Attachment(type="template", template=template))


def widest() -> Content:
    """Return a content with the maximum number of values, placeholders and bytes."""
    template: dict[str, Any] = {f"k{number:03}": "{{name}}" for number in range(500)}
    template |= {f"k{number:03}": "" for number in range(500, 1_000)}
    template["k999"] = '"é' * ((MAX_TEMPLATE_BYTES - json_size(template) - 500 * 10) // 4)
    return of_template(template)


def longest() -> Content:
    return of_template({"a": "é" * (MAX_TEMPLATE_BYTES // 2 - 10)})


def most_replies() -> Content:
    """Return a content with 13 quick replies whose payloads reach the limit after filling in."""
    return Content(
        text="{{v}}{{v}}", quick_replies=[QuickReply(title="{{name}}", payload="{{v}}" + "{{w|}}" * 1_000)] * 13
    )


def people(size: int) -> list[Recipient]:
    return [Recipient(id=who.id, name="N" * 15, variables={"v": "é" * 1_000}) for who in crowd(size)]


@pytest.mark.parametrize("content", [widest, longest, most_replies])
@pytest.mark.parametrize(("send_mode", "size"), [(SendMode.SINGLE, 50), (SendMode.BATCH, 50)])
async def test_the_largest_contents_do_not_block_the_event_loop(
    sending: ServiceProcess, platform: Platform, content: Any, send_mode: SendMode, size: int
) -> None:
    await sending.put_page(send_mode=send_mode)
    message_id = await sending.send(people(size), content=content())

    async with loop_pauses() as pauses:
        await sending.start()
        await sending.done(message_id, within=30.0)

    assert await sending.counts(message_id) == {"SENT": size}
    assert pauses.longest < LONGEST_PAUSE
    assert max(platform.sizes) < GRAPH_BATCH_BYTES * QUOTING


async def test_several_pages_with_large_contents_do_not_block_the_event_loop(sending: ServiceProcess) -> None:
    pages = [f"20{number:02}" for number in range(6)]
    for page in pages:
        await sending.put_page(page, send_mode=SendMode.BATCH)
    ids = [await sending.send(people(12), content=widest(), page_id=page) for page in pages]

    async with loop_pauses() as pauses:
        await sending.start()
        for message_id in ids:
            await sending.done(message_id, within=30.0)

    assert pauses.longest < LONGEST_PAUSE


def nested(levels: int) -> dict[str, Any]:
    innermost: dict[str, Any] = {}
    for _ in range(levels):
        innermost = {"a": innermost}
    return innermost


async def write_as_earlier_release(service: ServiceProcess, content: Content, size: int) -> None:
    """Append a message that was accepted before contents had limits."""
    vault = Vault(KEY)
    key = vault.new_message_key(MESSAGE)
    submitted = message_submitted(size, sealed_content=key.seal_content(content), has_variables=False)
    who = [BatchRecipient(id=one.id, name=one.name, attempt_number=1) for one in crowd(size)]
    appends = [
        StreamEvents(message_stream(MESSAGE), 0, [submitted]),
        StreamEvents(batch_stream(MESSAGE, 0, 1), 0, [batch_created(*who)]),
    ]
    commit = Commit(appends, also=vault.save_message_key(MESSAGE, key))
    assert isinstance(await service.log.commit(commit), Committed)


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ({"a": "x" * 20 * 2**20}, "the content has 20,9"),
        (
            {"a": [{"text": "{{name}}"}] * 150_000},
            "the content has 3,00",
        ),
        (
            {"a": [{"text": "{{name}}"}] * 30_000},
            "must have at most 1,000 values, has more",
        ),
        ({f"k{number}": "{{name}}" for number in range(30_000)}, "at most 1,000 values, has more"),
        (nested(400), "content.attachment.template must have at most 10 levels, has more"),
        ({"a": "x" * 70_000}, "content.attachment.template must have at most 65,536 bytes as JSON, has 70,008"),
    ],
    ids=["huge", "wider list", "wide list", "wide object", "deep", "too large"],
)
async def test_a_template_from_an_earlier_release_fails_as_a_content_error(
    sending: ServiceProcess, platform: Platform, template: dict[str, Any], text: str
) -> None:
    await write_as_earlier_release(sending, of_template(template), 50)
    fine = await sending.send(crowd(3))

    async with loop_pauses() as pauses:
        await sending.start()
        await sending.done(MESSAGE, within=30.0)
        await sending.done(fine)

    assert await sending.counts(MESSAGE) == {"FAILED": 50}
    assert len(platform.sizes) == 3
    (attempt,) = (await sending.attempts(MESSAGE))[crowd(1)[0].id]
    assert text in attempt.error_message
    assert pauses.longest < LONGEST_PAUSE


async def test_values_that_fill_in_to_a_huge_text_fail_for_their_recipient(sending: ServiceProcess) -> None:
    """Each value has the maximum length; the filled-in text would have 12 million characters."""
    text = "{{name}}" * 10_000
    await write_as_earlier_release(sending, Content(text=text), 5)

    async with loop_pauses() as pauses:
        await sending.start()
        await sending.done(MESSAGE, within=30.0)

    assert await sending.counts(MESSAGE) == {"FAILED": 5}
    assert pauses.longest < LONGEST_PAUSE


async def test_a_delivery_that_cannot_be_rendered_fails_and_the_others_are_sent(
    sending: ServiceProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise RecursionError

    message_id = await sending.send(crowd(3), text="Hello {{name}}")
    monkeypatch.setattr("server.sending.rendered_messages._variable_values", broken)
    await sending.start()

    await sending.done(message_id, within=30.0)

    (attempt,) = (await sending.attempts(message_id))[crowd(1)[0].id]
    assert attempt.error_message == "nothing was sent: it cannot be filled in (RecursionError)"
