import json
import time
from collections.abc import Awaitable, Callable

import httpx
import pytest

from server.sandbox.control import SandboxControl
from server.sandbox.runner import Sandbox

SendBatch = Callable[..., Awaitable[httpx.Response]]


def bodies(answer: httpx.Response) -> list[dict[str, object]]:
    return [json.loads(part["body"]) for part in answer.json()]


async def test_parts_are_answered_in_their_order(send_batch: SendBatch) -> None:
    answer = await send_batch([f"u{number}" for number in range(50)])
    assert answer.status_code == 200
    assert [part["code"] for part in answer.json()] == [200] * 50
    assert [body["recipient_id"] for body in bodies(answer)] == [f"u{number}" for number in range(50)]


async def test_parts_have_headers_unless_excluded(send_batch: SendBatch) -> None:
    [part] = (await send_batch(["u1"])).json()
    assert {"name": "Content-Type", "value": "application/json; charset=UTF-8"} in part["headers"]
    assert "X-Page-Usage" in {header["name"] for header in part["headers"]}
    [bare] = (await send_batch(["u1"], include_headers="false")).json()
    assert set(bare) == {"code", "body"}


@pytest.mark.parametrize("path", ["/", "/v25.0", "/v25.0/"])
@pytest.mark.parametrize("as_text", [True, False])
async def test_a_batch_may_be_json(sandbox: Sandbox, graph: httpx.AsyncClient, path: str, as_text: bool) -> None:
    body = "recipient=%7B%22id%22%3A%22u1%22%7D&message=%7B%22text%22%3A%22Hello%22%7D"
    parts = [{"method": "POST", "relative_url": "me/messages", "body": body}]
    batch = {"batch": json.dumps(parts) if as_text else parts, "access_token": "T", "include_headers": False}
    answer = await graph.post(httpx.URL(sandbox.url).join(path), json=batch)
    assert [body["recipient_id"] for body in bodies(answer)] == ["u1"]


@pytest.mark.parametrize("relative_url", ["me/messages", "1001/messages", "v25.0/1001/messages", "/v25.0/me/messages"])
async def test_parts_may_name_the_page_or_me_with_or_without_a_version(
    send_batch: SendBatch, relative_url: str
) -> None:
    [part] = (await send_batch(["u1"], relative_url=relative_url)).json()
    assert part["code"] == 200


async def test_one_failed_part_does_not_stop_the_others(control: SandboxControl, send_batch: SendBatch) -> None:
    await control.order({"preset": "unknown_recipient", "recipients": ["u2"]})
    answer = await send_batch(["u1", "u2", "u3"])
    assert [part["code"] for part in answer.json()] == [200, 400, 200]
    assert json.loads(answer.json()[1]["body"])["error"]["error_subcode"] == 2018001
    assert (await control.summary()).by_outcome == {"accepted": 2, "error:100-2018001": 1}


async def test_more_than_50_parts_are_refused_without_a_code(control: SandboxControl, send_batch: SendBatch) -> None:
    answer = await send_batch(["u1"] * 51)
    error = answer.json()["error"]
    assert (answer.status_code, error["type"], "code" in error) == (400, "GraphBatchException", False)
    assert (await control.summary()).received == 0


@pytest.mark.parametrize("batch", ["[]", "", "{}", "[1]", "nonsense"])
async def test_an_invalid_batch_is_refused(sandbox: Sandbox, graph: httpx.AsyncClient, batch: str) -> None:
    answer = await graph.post(httpx.URL(sandbox.url).join("/"), data={"access_token": "T", "batch": batch})
    assert answer.json()["error"]["type"] == "GraphBatchException"


async def test_an_invalid_json_batch_is_refused(sandbox: Sandbox, graph: httpx.AsyncClient) -> None:
    answer = await graph.post(httpx.URL(sandbox.url).join("/"), json={"batch": 7})
    assert answer.json()["error"]["type"] == "GraphBatchException"


@pytest.mark.parametrize("place", ["body", "relative_url", "part"])
async def test_a_part_may_have_its_own_token(
    sandbox: Sandbox, graph: httpx.AsyncClient, control: SandboxControl, place: str
) -> None:
    await control.token("T-bad", "expire")
    part = {
        "method": "POST",
        "relative_url": "me/messages",
        "body": "recipient={%22id%22:%22u1%22}&message={%22text%22:%22x%22}",
    }
    own = {
        "body": {"body": part["body"] + "&access_token=T-own"},
        "relative_url": {"relative_url": "me/messages?access_token=T-own"},
        "part": {"access_token": "T-own"},
    }[place]
    form = {"access_token": "T-bad", "batch": json.dumps([{**part, **own}, part])}
    answer = await graph.post(httpx.URL(sandbox.url).join("/"), data=form)
    assert [answered["code"] for answered in answer.json()] == [200, 400]


async def test_a_bad_token_for_the_whole_batch_gets_a_flat_error(
    control: SandboxControl, send_batch: SendBatch
) -> None:
    await control.token("T1", "expire")
    answer = await send_batch(["u1", "u2"])
    assert answer.status_code == 400
    assert answer.json() == {"error_code": 190, "error_description": "Invalid OAuth access token."}
    assert (await control.summary()).by_outcome == {"error:190-463": 2}


async def test_bad_tokens_of_parts_get_errors_in_the_parts(control: SandboxControl, send_batch: SendBatch) -> None:
    await control.token("T-own", "expire")
    answer = await send_batch(["u1"], part_token="T-own")
    assert [body["error"]["error_subcode"] for body in bodies(answer)] == [463]  # type: ignore[index]


async def test_a_part_may_be_a_token_check(sandbox: Sandbox, graph: httpx.AsyncClient) -> None:
    form = {"access_token": "T", "batch": '[{"method":"GET","relative_url":"1001?fields=id"}]'}
    assert bodies(await graph.post(httpx.URL(sandbox.url).join("/"), data=form)) == [{"id": "1001"}]


@pytest.mark.parametrize("accepts", [True, False])
async def test_a_null_part_appears_in_its_position(
    control: SandboxControl, send_batch: SendBatch, accepts: bool
) -> None:
    await control.order({"preset": "null_part", "recipients": ["u2"], "accepts": accepts})
    answer = (await send_batch(["u1", "u2"])).json()
    assert (answer[0]["code"], answer[1]) == (200, None)
    assert (await control.summary()).accepted == (2 if accepts else 1)


@pytest.mark.parametrize(
    ("kind", "code", "body"),
    [("status", 503, "<html>"), ("garbage", 200, '{"recipient_id":"'), ("empty", 200, "")],
)
async def test_an_unreadable_part_appears_in_its_position(
    control: SandboxControl, send_batch: SendBatch, kind: str, code: int, body: str
) -> None:
    await control.order({"effect": {"kind": kind}, "recipients": ["u2"]})
    first, second = (await send_batch(["u1", "u2"])).json()
    assert first["code"] == 200
    assert second["code"] == code
    assert second["body"].startswith(body)
    assert bool(second["body"]) == bool(body)


@pytest.mark.parametrize(("kind", "code"), [("status", 503), ("garbage", 200), ("empty", 200)])
async def test_a_fault_of_the_whole_batch_hides_accepted_parts(
    control: SandboxControl, send_batch: SendBatch, kind: str, code: int
) -> None:
    await control.order({"effect": {"kind": kind, "whole_batch": True}, "recipients": ["u2"]})
    answer = await send_batch(["u1", "u2"])
    assert answer.status_code == code
    with pytest.raises(ValueError, match=r"Expecting|Unterminated"):
        answer.json()
    assert (await control.summary()).by_outcome["accepted"] == 1


async def test_a_batch_takes_as_long_as_its_slowest_part(control: SandboxControl, send_batch: SendBatch) -> None:
    await control.order(
        {"effect": {"kind": "delay", "seconds": 0.2}, "recipients": ["u1"]},
        {"effect": {"kind": "delay", "seconds": 0.1}, "recipients": ["u2"]},
    )
    begin = time.monotonic()
    assert [part["code"] for part in (await send_batch(["u1", "u2"])).json()] == [200, 200]
    assert time.monotonic() - begin >= 0.2


async def test_a_reset_ends_the_whole_batch(control: SandboxControl, send_batch: SendBatch) -> None:
    await control.order({"preset": "network", "recipients": ["u2"]})
    with pytest.raises(httpx.ReadError):
        await send_batch(["u1", "u2", "u3"])
    assert (await control.summary()).by_outcome == {"accepted": 2, "reset": 1}


async def test_a_batch_shows_the_limit_of_its_parts(control: SandboxControl, send_batch: SendBatch) -> None:
    await control.order({"preset": "rate_limit", "recipients": ["u2"]})
    answer = await send_batch(["u1", "u2"])
    assert 28 <= int(answer.headers["Retry-After"]) <= 30
    in_parts = [{header["name"] for header in part["headers"]} for part in answer.json()]
    assert ["Retry-After" in names for names in in_parts] == [False, True]
