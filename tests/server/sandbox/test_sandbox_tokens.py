import hashlib
import hmac
from collections.abc import Awaitable, Callable

import httpx
import pytest

from server.sandbox.control import SandboxControl
from server.sandbox.fault_order import FaultOrder
from server.sandbox.state import USER_ID
from server.sandbox.token_book import GraphCredentials, TokenOrder, fingerprint

Send = Callable[..., Awaitable[httpx.Response]]


def error_of(answer: httpx.Response) -> tuple[int, int | None]:
    error = answer.json()["error"]
    return error["code"], error.get("error_subcode")


async def test_an_expired_token_is_refused_until_it_is_renewed(control: SandboxControl, send: Send) -> None:
    await control.token("T1", "expire")
    assert error_of(await send(token="T1")) == (190, 463)
    assert (await send(token="T2")).status_code == 200
    await control.token("T1", "renew")
    assert (await send(token="T1")).status_code == 200


async def test_an_expired_token_fails_its_check(graph: httpx.AsyncClient, control: SandboxControl) -> None:
    await control.token("T1", "expire")
    assert error_of(await graph.get("/1001", params={"access_token": "T1"})) == (190, 463)


async def test_a_revoked_token_is_refused(control: SandboxControl, send: Send) -> None:
    await control.token("T1", "revoke")
    assert error_of(await send(token="T1")) == (190, 458)


async def test_allowing_a_token_makes_all_others_invalid(control: SandboxControl, send: Send) -> None:
    assert (await send(token="T2")).status_code == 200
    await control.token("T1", "allow")
    assert (await send(token="T1")).status_code == 200
    assert error_of(await send(token="T2")) == (190, None)


async def test_renewing_a_token_does_not_make_others_invalid(control: SandboxControl, send: Send) -> None:
    await control.token("T1", "renew")
    assert (await send(token="T2")).status_code == 200


async def test_a_proof_is_checked_if_a_secret_is_known(
    graph: httpx.AsyncClient, control: SandboxControl, send: Send
) -> None:
    await control.token("T1", "allow", app_secret="S")
    assert error_of(await send(token="T1")) == (100, None)
    proof = hmac.new(b"S", b"T1", hashlib.sha256).hexdigest()
    assert (await send(token="T1", params={"appsecret_proof": proof})).status_code == 200
    check = await graph.get("/1001", params={"access_token": "T1", "appsecret_proof": "wrong"})
    assert check.json()["error"]["type"] == "GraphMethodException"


async def test_any_proof_is_accepted_without_a_known_secret(send: Send) -> None:
    assert (await send(params={"appsecret_proof": "anything"})).status_code == 200


async def test_a_token_expires_during_sending_and_its_replacement_is_accepted(
    graph: httpx.AsyncClient, control: SandboxControl, send: Send
) -> None:
    assert (await send(token="T1")).status_code == 200
    await control.order({"preset": "expired_token"})
    assert error_of(await send(token="T1")) == (190, 463)
    assert (await graph.get("/1001", params={"access_token": "T2"})).json() == {"id": "1001"}
    assert (await send(token="T2")).status_code == 200
    assert error_of(await send(token="T1")) == (190, 463)


async def test_renewing_a_token_ends_the_fault_that_expired_it(control: SandboxControl, send: Send) -> None:
    await control.order({"preset": "expired_token"})
    assert error_of(await send(token="T1")) == (190, 463)
    await control.token("T1", "renew")
    assert (await send(token="T1")).status_code == 200


async def test_me_is_the_page_that_the_token_was_used_for(
    graph: httpx.AsyncClient, control: SandboxControl, send: Send
) -> None:
    await graph.get("/1001", params={"access_token": "T1"})
    await control.order({"preset": "permission", "page": "1001"})
    assert error_of(await send(page="me", token="T1")) == (230, None)
    assert (await send(page="me", token="T2")).status_code == 200
    assert [arrival.page for arrival in (await control.received()).arrivals] == ["1001", "me"]


async def owner_of_token(graph: httpx.AsyncClient, node: str, token: str) -> str:
    answer = await graph.get(f"/{node}", params={"fields": "id", "access_token": token})
    return str(answer.json()["id"])


async def test_me_answers_with_the_page_of_the_token(graph: httpx.AsyncClient, send: Send) -> None:
    await send(page="1001", token="T1")
    await send(page="1002", token="T2")
    assert [await owner_of_token(graph, "me", token) for token in ("T1", "T2")] == ["1001", "1002"]


async def test_a_users_token_may_read_the_page_but_is_not_a_page_token(
    graph: httpx.AsyncClient, control: SandboxControl, send: Send
) -> None:
    await control.order({"preset": "user_token"})
    assert error_of(await send(page="1001", token="T1")) == (190, None)
    assert await owner_of_token(graph, "1001", "T1") == "1001"
    assert await owner_of_token(graph, "me", "T1") == USER_ID
    assert (await send(page="1001", token="T2")).status_code == 200
    assert await owner_of_token(graph, "me", "T2") == "1001"
    await control.token("T1", "renew")
    assert (await send(page="1001", token="T1")).status_code == 200


async def test_a_users_token_is_detected_before_a_send(graph: httpx.AsyncClient, control: SandboxControl) -> None:
    await control.order({"preset": "user_token"})
    assert await owner_of_token(graph, "1001", "T1") == "1001"
    assert await owner_of_token(graph, "me", "T1") == USER_ID


async def test_a_users_token_that_has_expired_fails_its_check(
    graph: httpx.AsyncClient, control: SandboxControl
) -> None:
    await control.order({"preset": "user_token"})
    await control.token("T1", "expire")
    assert error_of(await graph.get("/me", params={"access_token": "T1"})) == (190, 463)


@pytest.mark.parametrize(
    "holder",
    [
        FaultOrder(preset="timeout", token="secret-token"),
        TokenOrder(token="secret-token", action="allow", app_secret="secret-key"),
        GraphCredentials("secret-token", "secret-proof"),
    ],
)
def test_a_token_is_not_shown_in_a_repr(holder: object) -> None:
    assert "secret" not in repr(holder)


async def test_a_token_is_shown_by_its_fingerprint_only(control: SandboxControl, send: Send) -> None:
    [placed] = await control.order({"preset": "slow", "token": "other-token"})
    assert placed.order.token == fingerprint("other-token")
    await send(token="secret-token")
    [arrival] = (await control.received()).arrivals
    assert arrival.token == fingerprint("secret-token")
