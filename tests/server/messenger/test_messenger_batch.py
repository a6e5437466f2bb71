"""Outcomes of a batch's messages."""

import json
from datetime import timedelta
from typing import Any

import httpx
import pytest
import respx

from domain.fault import ErrorType
from domain.outcome import Failed, Outcome, Sent, Unconfirmed
from server.messenger.channel import OutgoingMessage, PageCredentials, RateAdvice, SendResult
from server.messenger.messenger_channel import MessengerChannel


def part(code: object, body: object, headers: object = None) -> dict[str, Any]:
    return {"code": code, "headers": headers, "body": json.dumps(body)}


def sent(message_id: str) -> dict[str, Any]:
    return part(200, {"recipient_id": "psid-1", "message_id": message_id})


def error(code: int, **more: object) -> dict[str, Any]:
    return {"error": {"message": "?", "type": "OAuthException", "code": code, **more}}


class Batch:
    """Sends three messages in a batch that gets the given answer."""

    def __init__(self, graph: respx.MockRouter, channel: MessengerChannel, credentials: PageCredentials) -> None:
        self._graph, self._channel, self._credentials = graph, channel, credentials

    async def __call__(self, message: OutgoingMessage, reply: httpx.Response) -> list[SendResult]:
        self._graph.post("/").mock(return_value=reply)
        return list(await self._channel.send_batch(self._credentials, [message] * 3))


@pytest.fixture
def batch(graph: respx.MockRouter, channel: MessengerChannel, credentials: PageCredentials) -> Batch:
    return Batch(graph, channel, credentials)


def kinds(attempts: list[SendResult]) -> list[tuple[type[Outcome], ErrorType | None]]:
    return [(type(it.outcome), None if isinstance(it.outcome, Sent) else it.outcome.fault.type) for it in attempts]


async def test_each_part_gives_the_outcome_of_its_message_in_order(batch: Batch, message: OutgoingMessage) -> None:
    parts = [sent("m_1"), part(400, error(551, error_subcode=1545041)), sent("m_3")]
    attempts = await batch(message, httpx.Response(200, json=parts))
    assert kinds(attempts) == [(Sent, None), (Failed, ErrorType.INVALID_RECIPIENT), (Sent, None)]
    assert [it.outcome.provider_message_id for it in attempts if isinstance(it.outcome, Sent)] == ["m_1", "m_3"]


@pytest.mark.parametrize(
    "unfinished",
    [
        None,
        7,
        "m_1",
        [],
        {},
        {"code": 200},
        {"code": 200, "body": None},
        {"code": 200, "body": ""},
        {"code": 200, "body": "<html>"},
        {"code": 500, "body": "{}"},
        {"code": None, "body": '{"message_id":"m_2"}'},
        {"code": "two hundred", "body": '{"message_id":"m_2"}'},
        part(200, {"recipient_id": "psid-1"}),
        part(200, {"id": "123"}),
        part(200, ["m_2"]),
    ],
)
async def test_only_a_part_without_a_readable_answer_is_unconfirmed(
    unfinished: object, batch: Batch, message: OutgoingMessage
) -> None:
    attempts = await batch(message, httpx.Response(200, json=[sent("m_1"), unfinished, sent("m_3")]))
    assert kinds(attempts) == [(Sent, None), (Unconfirmed, ErrorType.NETWORK), (Sent, None)]


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (401, {"error_code": 190, "error_description": "Invalid OAuth access token."}, ErrorType.ACCESS_TOKEN),
        (400, error(190, error_subcode=460), ErrorType.ACCESS_TOKEN),
        (403, error(4), ErrorType.RATE_LIMIT),
        (500, error(2), ErrorType.NETWORK),
        (400, {"error": {"message": "Too many", "type": "GraphBatchException"}}, ErrorType.OTHER),
    ],
)
async def test_a_readable_error_for_the_whole_batch_fails_every_message(
    status: int, body: dict[str, Any], expected: ErrorType, batch: Batch, message: OutgoingMessage
) -> None:
    assert kinds(await batch(message, httpx.Response(status, json=body))) == [(Failed, expected)] * 3


@pytest.mark.parametrize(
    "reply",
    [
        httpx.Response(200, content=b""),
        httpx.Response(200, content=b"<html>"),
        httpx.Response(502, content=b"<html>"),
        httpx.Response(200, json=[sent("m_1"), sent("m_2")]),
        httpx.Response(200, json=[sent("m_1"), sent("m_2"), sent("m_3"), sent("m_4")]),
        httpx.Response(200, json=[]),
        httpx.Response(200, json=None),
        httpx.Response(200, json={"message_id": "m_1"}),
    ],
)
async def test_an_answer_with_a_wrong_number_of_parts_leaves_every_message_unconfirmed(
    reply: httpx.Response, batch: Batch, message: OutgoingMessage
) -> None:
    assert kinds(await batch(message, reply)) == [(Unconfirmed, ErrorType.NETWORK)] * 3


async def test_an_internal_error_for_the_whole_batch_leaves_every_message_unconfirmed(
    batch: Batch, message: OutgoingMessage
) -> None:
    assert kinds(await batch(message, httpx.Response(500, json=error(-1)))) == [(Unconfirmed, ErrorType.NETWORK)] * 3


async def test_an_invalid_json_reply_means_that_all_were_sent(batch: Batch, message: OutgoingMessage) -> None:
    attempts = await batch(message, httpx.Response(500, json=error(1, error_subcode=1357046)))
    assert [it.outcome for it in attempts] == [Sent()] * 3


async def test_advice_is_read_from_the_headers_of_parts_and_of_the_reply(
    batch: Batch, message: OutgoingMessage
) -> None:
    of_a_part = [{"name": "X-Page-Usage", "value": '{"call_count":90}'}, {"name": None}, "odd"]
    parts = [sent("m_1"), part(200, {"message_id": "m_2"}, of_a_part), None]
    attempts = await batch(message, httpx.Response(200, json=parts, headers={"Retry-After": "5"}))
    outer = RateAdvice(retry_after=timedelta(seconds=5), requested_by="Retry-After: 5")
    both = RateAdvice(retry_after=timedelta(seconds=5), requested_by="Retry-After: 5", usage=0.9)
    assert [it.advice for it in attempts] == [outer, both, outer]


@pytest.mark.parametrize("is_odd", [False, True])
async def test_only_messenger_limits_of_the_page_count_in_batches(
    batch: Batch, message: OutgoingMessage, is_odd: bool
) -> None:
    def usage(**minutes: int) -> str:
        record = {"call_count": 1}
        objects = {"ads": "ads_management", "page": "messenger", "other": "messenger"}
        ids = {"ads": "777", "page": "1001", "other": "888"}
        entries = {
            ids[name]: [{**record, "type": objects[name], "estimated_time_to_regain_access": wait}]
            for name, wait in minutes.items()
        }
        return json.dumps(entries)

    def of_part(value: str) -> list[Any]:
        return [{"name": "x-business-use-case-usage", "value": value}, *(["odd"] if is_odd else [])]

    parts = [
        part(200, {"message_id": "m_1"}, of_part(usage(ads=30))),
        part(200, {"message_id": "m_2"}, of_part(usage(page=2, other=30))),
        sent("m_3"),
    ]
    outer = {"X-Business-Use-Case-Usage": usage(ads=60, page=1, other=60)}

    attempts = await batch(message, httpx.Response(200, json=parts, headers=outer))

    waits = [it.advice.retry_after for it in attempts if it.advice is not None]
    assert waits == [timedelta(minutes=1), timedelta(minutes=2), timedelta(minutes=1)]
