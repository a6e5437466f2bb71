"""The platform's explanation for users is shown with its message, for single requests and batches."""

import json
from typing import Any

import httpx
import pytest
import respx

from domain.fault import ErrorType
from domain.outcome import Failed, Sent, Unconfirmed
from server.messenger.channel import OutgoingMessage, PageCredentials, SendResult, TokenRejected
from server.messenger.messenger_channel import MessengerChannel
from server.messenger.redaction import MAX_MESSAGE_LENGTH


def body(code: int = 100, message: object = "Invalid parameter", **fields: object) -> dict[str, Any]:
    return {"error": {"message": message, "type": "OAuthException", "code": code, **fields}}


@pytest.fixture(params=["single", "batch", "odd batch"])
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class Sending:
    """Sends a message that gets the given error, in each mode."""

    def __init__(
        self, graph: respx.MockRouter, channel: MessengerChannel, credentials: PageCredentials, mode: str
    ) -> None:
        self._graph, self._channel, self._credentials, self._mode = graph, channel, credentials, mode

    async def __call__(self, message: OutgoingMessage, error: object, status: int = 400) -> SendResult:
        if self._mode == "single":
            self._graph.post("/v25.0/1001/messages").mock(return_value=httpx.Response(status, json=error))
            return await self._channel.send(self._credentials, message)
        headers = [] if self._mode == "batch" else ["odd"]
        parts = [{"code": status, "headers": headers, "body": json.dumps(error)}] * 2
        self._graph.post("/").mock(return_value=httpx.Response(200, json=parts))
        return (await self._channel.send_batch(self._credentials, [message] * 2))[0]


@pytest.fixture
def sending(graph: respx.MockRouter, channel: MessengerChannel, credentials: PageCredentials, mode: str) -> Sending:
    return Sending(graph, channel, credentials, mode)


def message_of(attempted: SendResult) -> str:
    assert not isinstance(attempted.outcome, Sent)
    return attempted.outcome.fault.message


@pytest.mark.parametrize(
    ("fields", "shown"),
    [
        ({"error_user_msg": "Title of button 2 is too long"}, "Invalid parameter (Title of button 2 is too long)"),
        ({"error_user_title": "Title too long"}, "Invalid parameter (Title too long)"),
        (
            {"error_user_title": "Button", "error_user_msg": " Title of button 2 is too long\n"},
            "Invalid parameter (Button: Title of button 2 is too long)",
        ),
        ({"error_user_msg": "Größe \u0000überschritten"}, "Invalid parameter (Größe überschritten)"),
        ({"message": "", "error_user_msg": "The title is too long"}, "The title is too long"),
        ({"error_user_msg": "Invalid parameter"}, "Invalid parameter"),
        ({"error_user_title": "", "error_user_msg": "  "}, "Invalid parameter"),
        ({"error_user_title": None, "error_user_msg": ["The title"]}, "Invalid parameter"),
        ({}, "Invalid parameter"),
    ],
)
async def test_the_explanation_for_users_is_shown(
    sending: Sending, message: OutgoingMessage, fields: dict[str, object], shown: str
) -> None:
    assert message_of(await sending(message, body(**fields))) == shown  # type: ignore[arg-type]


async def test_an_unconfirmed_attempt_shows_the_explanation(sending: Sending, message: OutgoingMessage) -> None:
    attempted = await sending(message, body(-1, "Internal", error_user_msg="Try again"), 500)

    assert isinstance(attempted.outcome, Unconfirmed)
    assert message_of(attempted) == "Internal (Try again)"


async def test_the_explanation_does_not_change_the_classification(sending: Sending, message: OutgoingMessage) -> None:
    attempted = await sending(message, body(error_user_msg="No matching user found, says a text for people"))

    assert isinstance(attempted.outcome, Failed)
    assert attempted.outcome.fault.type is ErrorType.OTHER


async def test_the_explanation_contains_no_secret_and_no_message_text(
    sending: Sending, message: OutgoingMessage, credentials: PageCredentials
) -> None:
    said = f"token {credentials.access_token} and EAABwzLixnjYBAOsomeOtherPage42 and {message.content.text}"

    shown = message_of(await sending(message, body(error_user_title=said, error_user_msg=said)))

    assert credentials.access_token not in shown
    assert message.content.text not in shown
    assert "EAAB" not in shown


@pytest.mark.parametrize(("message_length", "reason_length"), [(20, 9_000), (9_000, 20), (9_000, 9_000)])
async def test_long_messages_and_explanations_are_both_shortened(
    sending: Sending, message: OutgoingMessage, message_length: int, reason_length: int
) -> None:
    error = body(message="m" * message_length, error_user_msg="r" * reason_length)

    shown = message_of(await sending(message, error))

    assert len(shown) <= MAX_MESSAGE_LENGTH
    assert shown.startswith("m" * 10)
    assert shown.endswith("r" * 10 + ")")


async def test_a_refused_token_shows_the_explanation(
    graph: respx.MockRouter, channel: MessengerChannel, credentials: PageCredentials
) -> None:
    error = body(190, "Invalid token", error_user_title="Logged out", error_user_msg="Log in again")
    graph.get("/v25.0/1001").mock(return_value=httpx.Response(401, json=error))

    check = await channel.check_token(credentials)

    assert isinstance(check, TokenRejected)
    assert check.fault.message == "Invalid token (Logged out: Log in again)"
