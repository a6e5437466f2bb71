"""A token is refused only by an error that waiting would not change."""

from typing import Any

import httpx
import pytest
import respx

from domain.fault import ErrorType
from server.messenger.channel import PageCredentials, TokenAccepted, TokenRejected, TokenUnchecked
from server.messenger.messenger_channel import MessengerChannel


async def test_an_answered_call_accepts_the_token(
    graph: respx.MockRouter, channel: MessengerChannel, credentials: PageCredentials
) -> None:
    route = graph.get("/v25.0/1001", params={"fields": "id"}).mock(
        return_value=httpx.Response(200, json={"id": "1001"})
    )
    assert await channel.check_token(credentials) == TokenAccepted()
    assert route.call_count == 1


@pytest.mark.parametrize(
    ("status", "error", "expected"),
    [
        (
            400,
            {"code": 190, "type": "OAuthException", "message": "Invalid OAuth access token."},
            ErrorType.ACCESS_TOKEN,
        ),
        (
            200,
            {"code": 190, "type": "OAuthException", "message": "Invalid OAuth access token."},
            ErrorType.ACCESS_TOKEN,
        ),
        (400, {"code": 100, "message": "Invalid appsecret_proof provided"}, ErrorType.ACCESS_TOKEN),
        (403, {"code": 10, "message": "(#10) no permission"}, ErrorType.PERMISSION),
        (404, {"code": 100, "error_subcode": 33, "message": "Unsupported get"}, ErrorType.INVALID_RECIPIENT),
        (400, {"code": 9999, "message": "unknown"}, ErrorType.OTHER),
    ],
)
async def test_an_error_body_refuses_the_token(
    status: int,
    error: dict[str, Any],
    expected: ErrorType,
    graph: respx.MockRouter,
    channel: MessengerChannel,
    credentials: PageCredentials,
) -> None:
    graph.get("/v25.0/1001").mock(return_value=httpx.Response(status, json={"error": error}))
    check = await channel.check_token(credentials)
    assert isinstance(check, TokenRejected)
    assert check.fault.type is expected


@pytest.mark.parametrize(
    "reply",
    [
        httpx.Response(500, json={"error": {"code": 2, "message": "(#2) Service temporarily unavailable"}}),
        httpx.Response(400, json={"error": {"code": 100, "is_transient": True}}),
        httpx.Response(500, json={"error": {"code": -1, "message": "Fatal"}}),
        httpx.Response(500, json={"error": {"code": 1, "error_subcode": 1357046}}),
        httpx.Response(403, json={"error": {"code": 4, "message": "(#4) Application request limit reached"}}),
        httpx.Response(403, json={"error": {"code": 368, "message": "Temporarily blocked"}}),
        httpx.Response(429),
        httpx.Response(404, content=b"<html>404</html>"),
        httpx.Response(502, content=b"<html>502</html>"),
        httpx.Response(200, content=b"<html>captive portal</html>"),
        httpx.Response(200, json={}),
        httpx.Response(200, json=[1]),
    ],
)
async def test_an_unreachable_platform_leaves_the_token_untried(
    reply: httpx.Response, graph: respx.MockRouter, channel: MessengerChannel, credentials: PageCredentials
) -> None:
    graph.get("/v25.0/1001").mock(return_value=reply)
    check = await channel.check_token(credentials)
    assert isinstance(check, TokenUnchecked)
    assert check.reason


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 305, 307, 308, 399])
@pytest.mark.parametrize("location", ["https://example.com/login", "/v25.0/1001", "", None])
async def test_a_redirect_refuses_the_token_and_is_not_followed(
    status: int, location: str | None, graph: respx.MockRouter, channel: MessengerChannel, credentials: PageCredentials
) -> None:
    """The platform sends no redirects: another server has answered, for example a login page of the network."""
    headers = {} if location is None else {"Location": location}
    graph.get("/v25.0/1001").mock(return_value=httpx.Response(status, headers=headers, content=b'{"id": "1001"}'))

    check = await channel.check_token(credentials)

    assert isinstance(check, TokenRejected)
    assert f"HTTP {status}" in check.fault.message
    assert "example.com" not in check.fault.message
    assert len(graph.calls) == 1


@pytest.mark.parametrize("body", [{"error": {"code": 2, "message": "(#2) Try again"}}, {"error": {"code": 190}}])
async def test_a_redirect_with_an_error_body_refuses_the_token(
    body: dict[str, Any], graph: respx.MockRouter, channel: MessengerChannel, credentials: PageCredentials
) -> None:
    graph.get("/v25.0/1001").mock(return_value=httpx.Response(302, json=body))

    assert isinstance(await channel.check_token(credentials), TokenRejected)


@pytest.mark.parametrize(("token", "page_id"), [("EAA\u200bB", "1001"), ("EAAB", "1\ud800")])
async def test_a_request_that_cannot_be_written_leaves_the_token_untried(
    graph: respx.MockRouter, channel: MessengerChannel, token: str, page_id: str
) -> None:
    check = await channel.check_token(PageCredentials(page_id=page_id, access_token=token, app_secret=""))

    assert isinstance(check, TokenUnchecked)
    assert token not in check.reason
    assert not graph.calls


@pytest.mark.parametrize("graph_url", ["https://[graph", "https://graph.example:port", "https://gra\x00ph.example"])
async def test_an_invalid_address_leaves_the_token_untried(
    graph: respx.MockRouter, credentials: PageCredentials, graph_url: str
) -> None:
    channel = MessengerChannel(httpx.MockTransport(graph.async_handler), graph_url)

    assert isinstance(await channel.check_token(credentials), TokenUnchecked)


async def test_a_timeout_leaves_the_token_untried(
    graph: respx.MockRouter, channel: MessengerChannel, credentials: PageCredentials
) -> None:
    graph.get("/v25.0/1001").mock(side_effect=httpx.ReadTimeout)
    assert isinstance(await channel.check_token(credentials), TokenUnchecked)


@pytest.mark.parametrize(
    ("reply", "is_own"),
    [
        (httpx.Response(200, json={"id": "1001"}), True),
        (httpx.Response(200, json={"id": 1001}), True),
        (httpx.Response(200, json={"id": "77"}), False),
        (httpx.Response(200, json={"name": "Shop"}), False),
        (httpx.Response(400, json={"error": {"code": 190, "message": "expired"}}), False),
        (httpx.Response(503, text="<html>"), False),
    ],
)
async def test_only_a_page_token_gets_the_page_as_answer(
    reply: httpx.Response,
    is_own: bool,
    graph: respx.MockRouter,
    channel: MessengerChannel,
    credentials: PageCredentials,
) -> None:
    """A user's token that may read the page gets the user as answer."""
    graph.get("/v25.0/me", params={"fields": "id"}).mock(return_value=reply)

    assert await channel.is_page_token(credentials) is is_own


async def test_an_unreachable_platform_confirms_no_token(
    graph: respx.MockRouter, channel: MessengerChannel, credentials: PageCredentials
) -> None:
    graph.get("/v25.0/me").mock(side_effect=httpx.ConnectError("refused"))

    assert not await channel.is_page_token(credentials)
