"""Variables are filled in everywhere; a recipient without a value fails without a request, the others are sent."""

import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
import respx

from domain.batch_events import BatchRecipient
from domain.commands import Recipient
from domain.content import Attachment, Content, QuickReply
from domain.fault import ErrorType
from domain.page_events import SendMode
from domain.streams import batch_stream, message_stream
from projections import pages
from server.crypto.vault import Vault
from server.eventstore.commit import Commit, Committed, StreamEvents
from server.eventstore.event_store import EventStore
from server.eventstore.rebuild import differences
from server.eventstore.sqlite.store import SqliteStore
from server.messenger.messenger_channel import MessengerChannel
from server.sandbox.runner import Sandbox
from tests.builders import MESSAGE, PAGE, batch_created, message_submitted
from tests.server.sending.service_process import KEY, ServiceProcess
from tests.waiting import eventually

GRAPH = "https://graph.facebook.com/v25.0"
BUTTONS = {
    "template_type": "button",
    "text": "Dear {{name}}",
    "buttons": [{"type": "web_url", "title": "In {{city|town}}", "url": "https://e.org/{{city|all}}"}],
}
REPLY = QuickReply(title="Go, {{name}}", payload='{"who":{"city":"{{city|none}}"}}')
ANN = Recipient(id="ann", name="Ann", variables={"city": "Hà Nội"})
BEN = Recipient(id="ben", name="Ben")


class Platform:
    """A platform that accepts every message and stores it."""

    def __init__(self) -> None:
        self.messages: dict[str, Any] = {}
        self.router = respx.MockRouter(assert_all_called=False)
        self.router.get(url__startswith=GRAPH).respond(json={"id": "1001"})
        self.router.post(f"{GRAPH}/1001/messages").mock(side_effect=self.take)

    def take(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        self.messages[body["recipient"]["id"]] = body["message"]
        return httpx.Response(200, json={"recipient_id": body["recipient"]["id"], "message_id": "m"})


@pytest.fixture
def platform() -> Platform:
    return Platform()


@pytest.fixture
async def recorded(database: Path, sandbox: Sandbox, platform: Platform) -> AsyncIterator[ServiceProcess]:
    """Yield a started process whose platform stores the messages."""
    store = SqliteStore(database)
    async with EventStore(store) as log:
        channel = MessengerChannel(httpx.MockTransport(platform.router.async_handler), GRAPH)
        service = ServiceProcess(store, log, sandbox, channel, "worker-1", "900")
        await service.put_page()
        await service.start()
        yield service
        await service.drain()


async def write_as_earlier_release(service: ServiceProcess, content: Content, *names: str) -> None:
    """Append a message as an earlier release wrote it: one key for all recipients, and no list of other strings."""
    vault = Vault(KEY)
    key = vault.new_message_key(MESSAGE)
    submitted = message_submitted(len(names), sealed_content=key.seal_content(content), has_variables=False)
    people = [BatchRecipient(id=f"p{n}", name=name, attempt_number=1) for n, name in enumerate(names)]
    commit = Commit(
        [
            StreamEvents(message_stream(MESSAGE), 0, [submitted]),
            StreamEvents(batch_stream(MESSAGE, 0, 1), 0, [batch_created(*people)]),
        ],
        also=vault.save_message_key(MESSAGE, key),
    )
    assert isinstance(await service.log.commit(commit), Committed)


async def test_variables_are_filled_in_in_every_string(recorded: ServiceProcess, platform: Platform) -> None:
    template = Attachment(type="template", template=BUTTONS)
    message_id = await recorded.send([ANN, BEN], content=Content(attachment=template, quick_replies=[REPLY]))

    await recorded.done(message_id)

    assert _without_metadata(platform.messages) == {
        "ann": _message("Ann", title="In Hà Nội", url="https://e.org/H%C3%A0%20N%E1%BB%99i", city="Hà Nội"),
        "ben": _message("Ben", title="In town", url="https://e.org/all", city="none"),
    }


def _message(name: str, *, title: str, url: str, city: str) -> Mapping[str, Any]:
    buttons = [{"type": "web_url", "title": title, "url": url}]
    return {
        "attachment": {
            "type": "template",
            "payload": {"template_type": "button", "text": f"Dear {name}", "buttons": buttons},
        },
        "quick_replies": [
            {"content_type": "text", "title": f"Go, {name}", "payload": f'{{"who":{{"city":"{city}"}}}}'}
        ],
    }


def _without_metadata(messages: Mapping[str, Any]) -> Mapping[str, Any]:
    return {who: {name: value for name, value in one.items() if name != "metadata"} for who, one in messages.items()}


async def test_names_used_only_in_an_address_are_kept_for_a_resend(
    recorded: ServiceProcess, platform: Platform
) -> None:
    image = Attachment(type="image", url="https://e.org/{{name}}/{{city}}.png")
    refusal = httpx.Response(400, json={"error": {"message": "no", "code": 2, "type": "OAuthException"}})
    route = platform.router.post(f"{GRAPH}/1001/messages")
    route.side_effect = [refusal]
    message_id = await recorded.send([ANN], content=Content(attachment=image))
    await recorded.done(message_id)
    assert await recorded.counts(message_id) == {"FAILED": 1}

    route.side_effect = platform.take
    await recorded.resend(message_id)
    await recorded.done(message_id)

    assert platform.messages["ann"]["attachment"]["payload"]["url"] == "https://e.org/Ann/H%C3%A0%20N%E1%BB%99i.png"


async def test_a_template_with_braces_from_an_earlier_release_is_sent_unchanged(
    recorded: ServiceProcess, platform: Platform
) -> None:
    template = Attachment(type="template", template={"text": "{{city}} {{name}} {{", "{{a}}": "{{b|c}}"})
    await write_as_earlier_release(recorded, Content(attachment=template, quick_replies=[REPLY]), "Ann", "")

    await recorded.done(MESSAGE)

    assert await recorded.counts(MESSAGE) == {"SENT": 2}
    for message in platform.messages.values():
        assert message["attachment"]["payload"] == template.template
        assert message["quick_replies"][0]["title"] == "Go, {{name}}"


async def test_a_blank_name_from_an_earlier_release_fails_for_that_recipient(
    recorded: ServiceProcess, platform: Platform
) -> None:
    await write_as_earlier_release(recorded, Content(text="Hello {{name}}!"), "Ann", "\u200b ", "Cy")

    await recorded.done(MESSAGE)

    assert await recorded.counts(MESSAGE) == {"SENT": 2, "FAILED": 1}
    assert [message["text"] for message in platform.messages.values()] == ["Hello Ann!", "Hello Cy!"]
    assert differences(recorded.store) == {}


@pytest.mark.parametrize("mode", SendMode)
async def test_a_value_missing_at_sending_time_is_a_permanent_failure(service: ServiceProcess, mode: SendMode) -> None:
    """Send refuses such recipients; here they are stored without that check."""
    await service.put_page(send_mode=mode)
    message_id = await service.send([ANN, BEN, Recipient(id="cy", variables={"city": "Huế"})], text="In {{city}}")

    await service.done(message_id)

    assert await service.counts(message_id) == {"SENT": 2, "FAILED": 1}
    (attempt,) = (await service.attempts(message_id))["ben"]
    assert (attempt.error_type, attempt.error_message) == (
        ErrorType.OTHER,
        "nothing was sent: the recipient lacks {{city}}, which the text asks for",
    )
    assert await service.accepted() == {"ann": 1, "cy": 1}
    await service.resend(message_id)
    assert await service.counts(message_id) == {"SENT": 2, "FAILED": 1}, "the failure is permanent"
    assert differences(service.store) == {}


async def test_recipients_without_a_value_do_not_count_for_page_holds(
    service: ServiceProcess, sandbox: Sandbox
) -> None:
    """They are mixed with the refusals that put a page on hold, and do not interrupt the sequence."""
    await service.put_page(access_token="", pace=200.0)  # slow enough that each is answered before the next leaves
    await sandbox.control.order({"preset": "policy_block"})
    pairs = [(Recipient(id=f"a{n:02}", variables={"c": "x"}), Recipient(id=f"b{n:02}")) for n in range(45)]
    await service.send([person for pair in pairs for person in pair], text="{{c}}")

    held = await eventually(
        lambda: service.log.read(lambda sql: pages.find(sql, PAGE)), lambda row: row is not None and row.is_held
    )

    assert held is not None
