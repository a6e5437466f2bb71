"""All recorded error bodies, classified through the whole channel."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
import respx

from domain.fault import ErrorType, FaultScope, RetryRule
from domain.outcome import Sent, Unconfirmed
from server.messenger.channel import OutgoingMessage, PageCredentials, SendResult
from server.messenger.messenger_channel import MessengerChannel

BODIES: list[dict[str, Any]] = json.loads((Path(__file__).parents[2] / "data" / "graph_api_errors.json").read_bytes())
NUMBERED = list(enumerate(BODIES))

# The file's scope differs from ours here: it has no scope "content" and uses "page" for errors of all messages; and it
# uses "page" for unknown codes. We do not hold a page for an unknown code.
CONTENT_NOT_PAGE = {3, 15, 33, 34, 35, 53}
UNKNOWN_NOT_PAGE = {0, 2, 19, 21, 24, 25, 56, 62}
# Code 200 without a subcode: only the text shows that the whole app is affected, and texts count only for some codes.
PAGE_NOT_APP = {48}

# These may have been sent: code -1 twice, an unfinished batch part, and a 5xx with a plain-text error.
MAY_HAVE_ARRIVED = {15, 22, 24, 74}


async def answer(
    record: dict[str, Any],
    graph: respx.MockRouter,
    channel: MessengerChannel,
    credentials: PageCredentials,
    message: OutgoingMessage,
) -> SendResult:
    """Return the outcome of a message that gets the body; for a batch, of its first message."""
    reply = httpx.Response(record["http_status"] or 400, json=record["body"])
    if isinstance(record["body"], list):
        graph.post("/").mock(return_value=reply)
        return (await channel.send_batch(credentials, [message] * len(record["body"])))[0]
    graph.post("/v25.0/1001/messages").mock(return_value=reply)
    return await channel.send(credentials, message)


def test_all_bodies_are_present() -> None:
    assert len(BODIES) == 75


@pytest.mark.parametrize(("number", "record"), NUMBERED)
async def test_a_recorded_body_gets_the_expected_type(
    number: int,
    record: dict[str, Any],
    graph: respx.MockRouter,
    channel: MessengerChannel,
    credentials: PageCredentials,
    message: OutgoingMessage,
) -> None:
    outcome = (await answer(record, graph, channel, credentials, message)).outcome
    assert not isinstance(outcome, Sent)
    assert outcome.fault.type is ErrorType[record["expected_type"].upper()]
    assert (outcome.fault.retry is RetryRule.AUTOMATIC) == record["retryable"]
    assert isinstance(outcome, Unconfirmed) == (number in MAY_HAVE_ARRIVED)


@pytest.mark.parametrize(("number", "record"), NUMBERED)
async def test_a_recorded_body_gets_its_scope_or_a_listed_exception(
    number: int,
    record: dict[str, Any],
    graph: respx.MockRouter,
    channel: MessengerChannel,
    credentials: PageCredentials,
    message: OutgoingMessage,
) -> None:
    outcome = (await answer(record, graph, channel, credentials, message)).outcome
    assert not isinstance(outcome, Sent)
    expected = FaultScope[record["scope"].upper()]
    if number in CONTENT_NOT_PAGE | UNKNOWN_NOT_PAGE | PAGE_NOT_APP:
        assert expected is (FaultScope.APP if number in PAGE_NOT_APP else FaultScope.PAGE)  # else outdated
        expected = FaultScope.CONTENT if number in CONTENT_NOT_PAGE else FaultScope.RECIPIENT
        expected = FaultScope.PAGE if number in PAGE_NOT_APP else expected
    assert outcome.fault.scope is expected
