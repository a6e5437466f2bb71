import asyncio
import json
import logging
import socket
import time
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from domain import graph_codes as codes
from domain.classification import PlatformError, attribute_missing_object, classify
from domain.outcome import Failed
from server.sandbox.control import OrderRefusedError, SandboxControl
from server.sandbox.effect import ErrorAnswer, UserToken
from server.sandbox.preset import PRESETS
from server.sandbox.runner import Sandbox, running_sandbox
from server.sandbox.settings import SandboxSettings
from tests.waiting import eventually

Send = Callable[..., Awaitable[httpx.Response]]


@pytest.mark.parametrize(
    ("code", "status"), [(4, 403), (10, 403), (230, 403), (1, 500), (2, 500), (100, 400), (551, 400), (12345, 400)]
)
async def test_an_ordered_error_has_the_platforms_http_status(
    control: SandboxControl, send: Send, code: int, status: int
) -> None:
    await control.order({"effect": {"kind": "error", "code": code}})
    answer = await send()
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["type"]) == (status, code, "OAuthException")
    assert error["message"]
    assert "error_subcode" not in error


async def test_every_field_of_an_error_can_be_ordered(control: SandboxControl, send: Send) -> None:
    fields = {"message": "Não", "type": "IGApiException", "is_transient": False}
    await control.order({"effect": {"kind": "error", "code": 10, "subcode": 2534022, "http_status": 200, **fields}})
    answer = await send()
    error = answer.json()["error"]
    assert answer.status_code == 200
    assert error.pop("fbtrace_id")
    assert error == {"code": 10, "error_subcode": 2534022, **fields}


async def test_an_error_without_a_code_can_be_ordered(control: SandboxControl, send: Send) -> None:
    await control.order({"effect": {"kind": "error", "code": 0}})
    assert "code" not in (await send()).json()["error"]


@pytest.mark.parametrize(
    ("preset", "code", "subcode"),
    [
        ("expired_token", 190, 463),
        ("revoked_token", 190, 460),
        ("rate_limit", 613, None),
        ("app_limit", 4, None),
        ("unknown_recipient", 100, 2018001),
        ("unavailable_recipient", 551, 1545041),
        ("outside_window", 10, 2018278),
        ("permission", 230, None),
        ("policy_block", 368, None),
        ("bad_content", 100, None),
        ("temporary", 2, None),
        ("unknown_error", 1, None),
        ("sent_anyway", 1, 1357046),
        ("user_token", 190, None),
        ("page_missing", 100, 33),
        ("unauthorized_address", 5, None),
        ("unknown_app", 101, None),
        ("deprecated_version", 2635, None),
        ("unlisted_error", 98765, None),
        ("file_not_fetched", 100, 2018008),
        ("outside_window_without_subcode", 10, None),
        ("unavailable_without_subcode", 200, None),
    ],
)
async def test_a_preset_answers_its_error(
    control: SandboxControl, send: Send, preset: str, code: int, subcode: int | None
) -> None:
    await control.order({"preset": preset, "recipients": ["u17"]})
    error = (await send("u17")).json()["error"]
    assert (error["code"], error.get("error_subcode")) == (code, subcode)
    assert (await send("u18")).status_code == 200
    assert (await control.received("u17")).arrivals[0].accepted == PRESETS[preset].accepts


@pytest.mark.parametrize("page", ["1001", "1002"])
async def test_a_missing_page_error_has_the_page_id_of_the_request(
    control: SandboxControl, send: Send, page: str
) -> None:
    await control.order({"preset": "page_missing"})
    error = (await send("u17", page=page)).json()["error"]
    assert error["type"] == "GraphMethodException"
    assert error["message"].startswith(f"Unsupported post request. Object with ID '{page}' does not exist")


async def test_the_text_of_an_error_can_contain_the_page_and_the_recipient(control: SandboxControl, send: Send) -> None:
    await control.order({"effect": {"kind": "error", "code": 803, "message": "{recipient} of {page} {braces}"}})
    assert (await send("u17")).json()["error"]["message"] == "u17 of 1001 {braces}"


@pytest.mark.parametrize(
    ("preset", "verdict"),
    [
        ("user_token", codes.INVALID_TOKEN),
        ("page_missing", codes.PAGE_UNREACHABLE),
        ("unauthorized_address", codes.APP_REFUSED),
        ("unknown_app", codes.APP_UNKNOWN),
        ("deprecated_version", codes.APP_OUTDATED),
        ("unlisted_error", codes.UNLISTED),
        ("file_not_fetched", codes.BAD_CONTENT),
        ("outside_window_without_subcode", codes.RECIPIENT_FORBIDDEN),
        ("unavailable_without_subcode", codes.UNKNOWN_RECIPIENT),
    ],
)
def test_a_preset_is_classified_as_its_name_says(preset: str, verdict: codes.ErrorClass) -> None:
    effect = PRESETS[preset].effect
    assert isinstance(effect, ErrorAnswer | UserToken)
    error = effect.error().about(page="1001", recipient="u17")
    read = PlatformError(
        code=error.code,
        subcode=error.subcode,
        type_name=error.type,
        message=error.message,
        is_transient=error.is_transient,
        http_status=error.http_status,
    )
    outcome = attribute_missing_object(classify(read), page_id="1001", recipient_id="u17")
    assert isinstance(outcome, Failed)
    fault = outcome.fault
    assert (fault.type, fault.scope, fault.retry, fault.is_listed) == verdict


async def test_a_delay_comes_before_the_answer(control: SandboxControl, send: Send) -> None:
    await control.order({"effect": {"kind": "delay", "seconds": 0.15}}, {"effect": {"kind": "delay", "seconds": 0.1}})
    begin = time.monotonic()
    assert (await send()).status_code == 200
    assert time.monotonic() - begin >= 0.25


async def test_the_sandbox_can_delay_every_answer() -> None:
    async with running_sandbox(SandboxSettings(delay_seconds=0.1)) as slow, httpx.AsyncClient() as client:
        begin = time.monotonic()
        await client.get(f"{slow.url}/1001", params={"access_token": "T"})
        assert time.monotonic() - begin >= 0.1


async def test_usage_is_in_the_headers_and_the_message_is_accepted(control: SandboxControl, send: Send) -> None:
    await control.order({"effect": {"kind": "usage", "percent": 97}})
    answer = await send()
    assert answer.status_code == 200
    assert json.loads(answer.headers["X-Page-Usage"])["call_count"] == 97


async def test_ordered_headers_replace_the_usual_ones_and_the_message_is_accepted(
    control: SandboxControl, send: Send
) -> None:
    ordered = {"x-business-use-case-usage": '{"7":[{"type":"ads_management"}]}', "Retry-After": "30"}
    await control.order({"effect": {"kind": "headers", "headers": ordered}})

    answer = await send()

    assert answer.status_code == 200
    assert answer.headers.get_list("X-Business-Use-Case-Usage") == ['{"7":[{"type":"ads_management"}]}']
    assert (answer.headers["Retry-After"], "X-App-Usage" in answer.headers) == ("30", True)


async def test_ordered_headers_are_sent_with_an_ordered_error(control: SandboxControl, send: Send) -> None:
    await control.order({"effect": {"kind": "headers", "headers": {"Retry-After": "30"}}})
    await control.order({"effect": {"kind": "error", "code": 100, "user_title": "Button", "user_msg": "Too long"}})

    answer = await send()

    assert answer.headers["Retry-After"] == "30"
    error = answer.json()["error"]
    assert (error["error_user_title"], error["error_user_msg"]) == ("Button", "Too long")


@pytest.mark.parametrize("headers", [{}, {"a b": "1"}, {"A": "1\n"}, {"A\n": "1"}, {"A": "\r\nB: 2"}, {"A": 1}])
async def test_invalid_headers_are_refused(control: SandboxControl, headers: dict[str, object]) -> None:
    with pytest.raises(OrderRefusedError, match="headers"):
        await control.order({"effect": {"kind": "headers", "headers": headers}})


@pytest.mark.parametrize("accepts", [True, False])
async def test_a_timeout_never_answers(control: SandboxControl, send: Send, accepts: bool) -> None:
    await control.order({"effect": {"kind": "timeout"}, "accepts": accepts})
    with pytest.raises(httpx.ReadTimeout):
        await send("u1", timeout=0.2)
    [arrival] = (await control.received("u1")).arrivals
    assert (arrival.outcome, arrival.accepted) == ("timeout", accepts)


async def test_a_request_without_an_answer_does_not_delay_the_stop() -> None:
    body = {"recipient": {"id": "u1"}, "message": {"text": "Hello"}, "access_token": "T"}
    async with httpx.AsyncClient() as client:
        async with running_sandbox() as sandbox:
            await sandbox.control.order({"preset": "timeout"})
            sending = asyncio.create_task(client.post(f"{sandbox.url}/1001/messages", json=body))
            await eventually(sandbox.control.summary, lambda summary: summary.received > 0)
            begin = time.monotonic()
        assert time.monotonic() - begin < 0.9
        with pytest.raises(httpx.ReadError):
            await sending


@pytest.mark.parametrize("accepts", [True, False])
async def test_a_reset_breaks_the_connection(control: SandboxControl, send: Send, accepts: bool) -> None:
    await control.order({"effect": {"kind": "reset"}, "accepts": accepts})
    with pytest.raises(httpx.ReadError):
        await send("u1")
    [arrival] = (await control.received("u1")).arrivals
    assert (arrival.outcome, arrival.accepted) == ("reset", accepts)


async def test_a_reset_is_not_an_end_of_stream(sandbox: Sandbox) -> None:
    await sandbox.control.order({"preset": "network"})
    url = httpx.URL(sandbox.url)
    reader, writer = await asyncio.open_connection(url.host, url.port)
    writer.write(b"GET /1001?access_token=T HTTP/1.1\r\nHost: localhost\r\n\r\n")
    with pytest.raises(ConnectionResetError):
        await reader.read()
    writer.close()


@pytest.mark.parametrize("accepts", [True, False])
@pytest.mark.parametrize(
    ("effect", "status", "body", "outcome"),
    [
        ({"kind": "status", "http_status": 502}, 502, "<html>", "status:502"),
        ({"kind": "garbage"}, 200, "{", "garbage"),
        ({"kind": "empty"}, 200, "", "empty"),
    ],
)
async def test_an_answer_can_be_unreadable(
    control: SandboxControl,
    send: Send,
    effect: dict[str, Any],
    status: int,
    body: str,
    outcome: str,
    accepts: bool,
) -> None:
    await control.order({"effect": effect, "accepts": accepts})
    answer = await send("u1")
    assert answer.status_code == status
    assert answer.text.startswith(body)
    assert bool(answer.text) == bool(body)
    with pytest.raises(ValueError, match=r"Expecting|Unterminated"):
        answer.json()
    [arrival] = (await control.received("u1")).arrivals
    assert (arrival.outcome, arrival.accepted) == (outcome, accepts)


async def test_a_null_part_does_not_affect_single_sends(control: SandboxControl, send: Send) -> None:
    await control.order({"preset": "null_part"})
    assert (await send()).status_code == 200


async def test_a_rate_limit_gives_its_end(control: SandboxControl, send: Send) -> None:
    await control.order({"effect": {"kind": "rate_limit", "seconds": 90, "code": 80006}})
    answer = await send()
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, 80006)
    assert 88 <= int(answer.headers["Retry-After"]) <= 90
    assert json.loads(answer.headers["X-Page-Usage"])["call_count"] == 100
    [[business]] = json.loads(answer.headers["X-Business-Use-Case-Usage"]).values()
    assert business["estimated_time_to_regain_access"] == 2


@pytest.mark.parametrize("knock", [b"hello\r\n\r\n", b"GET / HTTP/1.1\r\nBad Header\r\n\r\n", b"\x16\x03\x01\x02\r\n"])
async def test_an_invalid_http_request_is_refused_without_a_log_line(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture, knock: bytes
) -> None:
    url = httpx.URL(sandbox.url)
    reader, writer = await asyncio.open_connection(url.host, url.port)
    writer.write(knock)
    assert (await reader.readline()).startswith(b"HTTP/1.0 400")
    writer.close()
    assert [record for record in caplog.records if record.levelno > logging.DEBUG] == []


async def test_a_defect_of_the_sandbox_is_logged(
    send: Send, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.sandbox.graph_api.answer_call", None)
    assert (await send()).status_code == 500
    assert [record.name for record in caplog.records if record.exc_info] == ["redrive.sandbox"]


async def test_a_fault_without_a_target_affects_token_checks(graph: httpx.AsyncClient, control: SandboxControl) -> None:
    await control.order({"preset": "server_error"})
    assert (await graph.get("/1001", params={"access_token": "T"})).status_code == 503


@pytest.mark.parametrize(
    "order",
    [
        {"preset": "unknown_recipient"},
        {"preset": "null_part"},
        {"preset": "server_error", "recipients": ["u1"]},
        {"preset": "server_error", "share": 1},
        {"preset": "server_error", "times": 1},
        {"preset": "server_error", "page": "1002"},
    ],
)
async def test_a_fault_of_messages_does_not_affect_token_checks(
    graph: httpx.AsyncClient, control: SandboxControl, order: dict[str, Any]
) -> None:
    await control.order(order)
    assert (await graph.get("/1001", params={"access_token": "T"})).json() == {"id": "1001"}


def test_a_port_in_use_is_an_error() -> None:
    async def listen_on(port: int) -> None:
        async with running_sandbox(SandboxSettings(port=port)):
            pass

    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="in use"):
        asyncio.run(listen_on(taken.getsockname()[1]))
