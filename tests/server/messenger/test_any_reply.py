"""Any answer of the platform gives an outcome, and Sent only if the answer is a success."""

import asyncio
import json
from typing import Any

import httpx
from hypothesis import given
from hypothesis import strategies as st

from domain.content import Content
from domain.outcome import Failed, Sent, Unconfirmed
from server.messenger.channel import (
    OutgoingMessage,
    PageCredentials,
    SendResult,
    TokenAccepted,
    TokenRejected,
    TokenUnchecked,
)
from server.messenger.messenger_channel import MessengerChannel

CREDENTIALS = PageCredentials(page_id="1001", access_token="EAAGsecrettoken0123456789")
MESSAGE = OutgoingMessage(delivery_id="d-1", recipient_id="psid-1", content=Content(text="Dear Ann, hello"))

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
JSON = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=10)
CODES = st.sampled_from([-1, 1, 2, 4, 10, 100, 190, 200, 551, 613, 2500]) | st.integers() | JSON
ENVELOPES = st.fixed_dictionaries(
    {},
    optional={
        "code": CODES,
        "error_subcode": st.sampled_from([0, 33, 1357046, 2018001]) | JSON,
        "type": st.sampled_from(["OAuthException", "IGApiException"]) | JSON,
        "message": JSON,
        "is_transient": JSON,
        "error_data": JSON,
    },
)
BODIES = st.fixed_dictionaries(
    {}, optional={"error": ENVELOPES | JSON, "error_code": CODES, "message_id": JSON, "id": JSON}
)
STATUSES = st.sampled_from([200, 201, 204, 302, 400, 401, 403, 404, 429, 500, 502, 503]) | st.integers(200, 599)


def encoded(body: Any) -> bytes:
    return json.dumps(body).encode()  # includes NaN and Infinity, which are not valid JSON


CONTENTS = (BODIES | JSON).map(encoded) | st.binary()
PARTS = (
    st.none() | JSON | st.fixed_dictionaries({}, optional={"code": STATUSES | JSON, "body": CONTENTS.map(repr) | JSON})
)
PARTS |= st.builds(lambda code, body: {"code": code, "body": encoded(body).decode()}, STATUSES, BODIES)
BATCHES = st.lists(PARTS, min_size=1, max_size=4).map(encoded) | CONTENTS


def channel_answering(status: int, content: bytes) -> MessengerChannel:
    platform = httpx.MockTransport(lambda _: httpx.Response(status, content=content))
    return MessengerChannel(platform, "https://graph.facebook.com/v25.0")


@given(STATUSES, CONTENTS)
def test_any_reply_to_a_message_is_an_outcome(status: int, content: bytes) -> None:
    async def send() -> SendResult:
        return await channel_answering(status, content).send(CREDENTIALS, MESSAGE)

    outcome = asyncio.run(send()).outcome
    assert isinstance(outcome, Sent | Failed | Unconfirmed)
    if isinstance(outcome, Sent):
        assert (status < 300 and b"message_id" in content) or b"1357046" in content
    else:
        assert -(2**31) <= outcome.fault.code < 2**31
        assert -(2**31) <= outcome.fault.subcode < 2**31
        assert 0 < len(outcome.fault.message) <= 500


@given(STATUSES, BATCHES, st.integers(1, 4))
def test_any_reply_to_a_batch_is_an_outcome_for_each(status: int, content: bytes, size: int) -> None:
    async def send() -> list[SendResult]:
        return list(await channel_answering(status, content).send_batch(CREDENTIALS, [MESSAGE] * size))

    attempts = asyncio.run(send())
    assert len(attempts) == size
    assert all(isinstance(attempt.outcome, Sent | Failed | Unconfirmed) for attempt in attempts)


@given(STATUSES, CONTENTS)
def test_any_reply_to_a_token_check_is_a_result(status: int, content: bytes) -> None:
    async def check() -> object:
        return await channel_answering(status, content).check_token(CREDENTIALS)

    assert isinstance(asyncio.run(check()), TokenAccepted | TokenRejected | TokenUnchecked)
