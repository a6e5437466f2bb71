"""Requests of the channel to the platform."""

import hashlib
import hmac
import json
from typing import Any
from urllib.parse import parse_qs, parse_qsl

import httpx
import msgspec
import pytest
import respx

from domain.content import Attachment, Content, QuickReply
from domain.fault import ErrorType
from domain.outcome import Failed, Sent
from server.messenger.channel import OutgoingMessage, PageCredentials, TokenUnchecked
from server.messenger.messenger_channel import MessengerChannel

SENT = httpx.Response(200, json={"recipient_id": "psid-1", "message_id": "m_1"})


def with_content(content: Content) -> OutgoingMessage:
    return OutgoingMessage(delivery_id="d-1", recipient_id="psid-1", content=content)


def only_request(graph: respx.MockRouter) -> httpx.Request:
    [call] = graph.calls
    request: httpx.Request = call.request
    return request


async def sent_body(
    graph: respx.MockRouter, channel: MessengerChannel, credentials: PageCredentials, content: Content
) -> dict[str, Any]:
    graph.post("/v25.0/1001/messages").mock(return_value=SENT)
    attempt = await channel.send(credentials, with_content(content))
    assert attempt.outcome == Sent("m_1")
    body: dict[str, Any] = json.loads(only_request(graph).content)
    return body


def proof(credentials: PageCredentials) -> str:
    return hmac.new(credentials.app_secret.encode(), credentials.access_token.encode(), hashlib.sha256).hexdigest()


async def test_a_text_request_has_all_required_fields(
    graph: respx.MockRouter, channel: MessengerChannel, credentials: PageCredentials
) -> None:
    content = Content(
        text="Größe - 你好 👋",
        quick_replies=[QuickReply(title="Yes", payload="YES"), QuickReply(content_type="user_email")],
        messaging_type="MESSAGE_TAG",
        tag="HUMAN_AGENT",
        notification_type="SILENT_PUSH",
    )
    assert await sent_body(graph, channel, credentials, content) == {
        "recipient": {"id": "psid-1"},
        "messaging_type": "MESSAGE_TAG",
        "tag": "HUMAN_AGENT",
        "notification_type": "SILENT_PUSH",
        "message": {
            "text": "Größe - 你好 👋",
            "quick_replies": [
                {"content_type": "text", "title": "Yes", "payload": "YES"},
                {"content_type": "user_email"},
            ],
            "metadata": "d-1",
        },
        "appsecret_proof": proof(credentials),
    }


async def test_unset_fields_are_not_sent(
    graph: respx.MockRouter, channel: MessengerChannel, credentials: PageCredentials
) -> None:
    without_secret = msgspec.structs.replace(credentials, app_secret="")
    assert await sent_body(graph, channel, without_secret, Content(text="Hi")) == {
        "recipient": {"id": "psid-1"},
        "messaging_type": "UPDATE",
        "notification_type": "REGULAR",
        "message": {"text": "Hi", "metadata": "d-1"},
    }


@pytest.mark.parametrize(
    ("attachment", "payload"),
    [
        (
            Attachment(type="image", url="https://example.com/a.png", is_reusable=True),
            {"url": "https://example.com/a.png", "is_reusable": True},
        ),
        (
            Attachment(type="template", template={"template_type": "generic", "elements": [{"title": "One"}]}),
            {"template_type": "generic", "elements": [{"title": "One"}]},
        ),
    ],
)
async def test_an_attachment_is_sent_as_its_payload(
    attachment: Attachment,
    payload: dict[str, Any],
    graph: respx.MockRouter,
    channel: MessengerChannel,
    credentials: PageCredentials,
) -> None:
    body = await sent_body(graph, channel, credentials, Content(attachment=attachment))
    assert body["message"] == {"attachment": {"type": attachment.type, "payload": payload}, "metadata": "d-1"}


async def test_the_token_is_sent_in_a_header_and_no_secret_in_an_address(
    graph: respx.MockRouter, channel: MessengerChannel, credentials: PageCredentials, message: OutgoingMessage
) -> None:
    graph.route().mock(return_value=httpx.Response(200, json={"id": "1001", "message_id": "m_1"}))
    await channel.send(credentials, message)
    await channel.send_batch(credentials, [message])
    await channel.check_token(credentials)
    assert len(graph.calls) == 3
    for call in graph.calls:
        request: httpx.Request = call.request
        assert request.headers["Authorization"] == f"Bearer {credentials.access_token}"
        assert credentials.access_token not in str(request.url)
        assert credentials.app_secret not in str(request.url) + request.content.decode()
        assert credentials.access_token not in request.content.decode()
        assert request.method == "GET" or "appsecret_proof" not in str(request.url)


async def test_a_replaced_token_is_used_from_the_next_request_on(
    graph: respx.MockRouter, channel: MessengerChannel, credentials: PageCredentials, message: OutgoingMessage
) -> None:
    graph.post("/v25.0/1001/messages").mock(return_value=SENT)
    graph.post("/").mock(return_value=httpx.Response(200, json=[None]))
    replaced = msgspec.structs.replace(credentials, access_token="EAAGanothertoken9876543210")
    by_another_secret = msgspec.structs.replace(replaced, app_secret="appsecret43")
    used = [credentials, replaced, by_another_secret, credentials]
    for current in used:
        await channel.send(current, message)
        await channel.send_batch(current, [message])
    requests = [call.request for call in graph.calls]
    for current, single, batch in zip(used, requests[::2], requests[1::2], strict=True):
        bearer = f"Bearer {current.access_token}"
        assert (single.headers["Authorization"], batch.headers["Authorization"]) == (bearer, bearer)
        assert json.loads(single.content)["appsecret_proof"] == proof(current)
        assert proof(current).encode() in batch.content


async def test_a_batch_is_a_form_of_forms(
    graph: respx.MockRouter, channel: MessengerChannel, credentials: PageCredentials, message: OutgoingMessage
) -> None:
    graph.post("/").mock(return_value=httpx.Response(200, json=[None, None]))
    picture = Content(
        text="a&b=c ü", attachment=Attachment(type="image", url="https://example.com/?a=1&b=2"), tag="HUMAN_AGENT"
    )
    other = OutgoingMessage(delivery_id="d-2", recipient_id="psid-2", content=picture)

    await channel.send_batch(credentials, [message, other])

    request = only_request(graph)
    assert request.headers["Content-Type"] == "application/x-www-form-urlencoded"
    form = dict(parse_qsl(request.content.decode(), strict_parsing=True))
    assert form.keys() == {"batch", "include_headers", "appsecret_proof"}
    assert form["include_headers"] == "true"
    assert form["appsecret_proof"] == proof(credentials)
    first, second = json.loads(form["batch"])
    assert {(part["method"], part["relative_url"]) for part in (first, second)} == {("POST", "1001/messages")}
    assert first.keys() == {"method", "relative_url", "body"}
    body = {name: value for name, [value] in parse_qs(second["body"], strict_parsing=True).items()}
    assert json.loads(body.pop("recipient")) == {"id": "psid-2"}
    assert json.loads(body.pop("message")) == {
        "text": "a&b=c ü",
        "attachment": {"type": "image", "payload": {"url": "https://example.com/?a=1&b=2", "is_reusable": False}},
        "metadata": "d-2",
    }
    assert body == {
        "messaging_type": "UPDATE",
        "tag": "HUMAN_AGENT",
        "notification_type": "REGULAR",
        "appsecret_proof": proof(credentials),
    }


@pytest.mark.parametrize(
    ("graph_url", "batch_url"),
    [
        ("https://graph.facebook.com/v25.0", "https://graph.facebook.com/"),
        ("https://graph.facebook.com/v25.0/", "https://graph.facebook.com/"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080/"),
        ("http://127.0.0.1:8080/stand-in/v9.0", "http://127.0.0.1:8080/stand-in/"),
    ],
)
async def test_batches_go_to_the_root_of_the_api(
    graph_url: str, batch_url: str, credentials: PageCredentials, message: OutgoingMessage
) -> None:
    addresses: list[str] = []

    def note(request: httpx.Request) -> httpx.Response:
        addresses.append(str(request.url))
        return httpx.Response(200, json=[None])

    channel = MessengerChannel(httpx.MockTransport(note), graph_url)
    await channel.send_batch(credentials, [message])
    await channel.send(credentials, message)
    assert addresses == [batch_url, f"{graph_url.rstrip('/')}/1001/messages"]


async def test_an_empty_batch_sends_no_request(
    graph: respx.MockRouter, channel: MessengerChannel, credentials: PageCredentials
) -> None:
    assert await channel.send_batch(credentials, []) == []
    assert not graph.calls


@pytest.mark.parametrize("token", ["EAAé", "EAA\x00", "EAA\nX-Evil: 1"])
async def test_a_token_that_is_invalid_in_a_header_sends_nothing_and_is_not_the_platforms_fault(
    token: str,
    graph: respx.MockRouter,
    channel: MessengerChannel,
    credentials: PageCredentials,
    message: OutgoingMessage,
) -> None:
    broken = msgspec.structs.replace(credentials, access_token=token)
    attempts = [await channel.send(broken, message), *await channel.send_batch(broken, [message])]
    assert all(isinstance(attempt.outcome, Failed) for attempt in attempts)
    assert isinstance(await channel.check_token(broken), TokenUnchecked)
    assert not graph.calls


async def test_a_template_without_a_json_form_is_a_content_fault(
    graph: respx.MockRouter, channel: MessengerChannel, credentials: PageCredentials
) -> None:
    content = Content(attachment=Attachment(type="template", template={"price": float("nan")}))
    outcome = (await channel.send(credentials, with_content(content))).outcome
    assert isinstance(outcome, Failed)
    assert outcome.fault.type is ErrorType.OTHER
    assert not graph.calls
