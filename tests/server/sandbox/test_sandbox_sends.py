import json
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from server.sandbox.control import SandboxControl
from server.sandbox.runner import Sandbox

Send = Callable[..., Awaitable[httpx.Response]]
HELLO = {"recipient": {"id": "u1"}, "message": {"text": "Hello"}}


async def test_a_send_is_answered_with_the_recipient_and_a_message_id(send: Send) -> None:
    answer = await send("u1")
    assert answer.status_code == 200
    assert answer.json()["recipient_id"] == "u1"
    assert answer.json()["message_id"].startswith("m_")


async def test_message_ids_are_unique(send: Send) -> None:
    ids = [(await send("u1")).json()["message_id"] for _ in range(20)]
    assert len(set(ids)) == 20


async def test_answers_have_the_usage_headers(send: Send) -> None:
    headers = (await send()).headers
    usage = {"call_count": 1, "total_cputime": 1, "total_time": 1}
    assert json.loads(headers["X-App-Usage"]) == usage
    assert json.loads(headers["X-Page-Usage"]) == usage
    [[business]] = json.loads(headers["X-Business-Use-Case-Usage"]).values()
    assert business == {"type": "messenger", **usage, "estimated_time_to_regain_access": 0}


@pytest.mark.parametrize("path", ["/v25.0/1001/messages", "/v22.0/me/messages", "/1001/messages", "/me/messages"])
async def test_a_send_may_name_the_page_or_me_with_or_without_a_version(
    sandbox: Sandbox, graph: httpx.AsyncClient, path: str
) -> None:
    answer = await graph.post(httpx.URL(sandbox.url).join(path), json={**HELLO, "access_token": "T"})
    assert answer.status_code == 200


async def test_a_send_may_be_a_form(graph: httpx.AsyncClient, control: SandboxControl) -> None:
    form = {"recipient": '{"id":"u1"}', "message": '{"text":"Hello","metadata":"d1"}', "access_token": "T"}
    assert (await graph.post("/1001/messages", data=form)).json()["recipient_id"] == "u1"
    [arrival] = (await control.received()).arrivals
    assert arrival.metadata == "d1"


async def test_a_send_may_be_a_multipart_form(graph: httpx.AsyncClient) -> None:
    fields = {"recipient": '{"id":"u1"}', "message": '{"text":"Hello"}', "access_token": "T"}
    answer = await graph.post("/1001/messages", files={name: (None, value) for name, value in fields.items()})
    assert answer.json()["recipient_id"] == "u1"


async def test_the_token_may_be_in_the_query_or_a_bearer_header(graph: httpx.AsyncClient) -> None:
    in_query = await graph.post("/1001/messages", params={"access_token": "T"}, json=HELLO)
    in_header = await graph.post("/1001/messages", headers={"Authorization": "Bearer T"}, json=HELLO)
    assert (in_query.status_code, in_header.status_code) == (200, 200)


async def test_a_send_without_a_token_is_refused_with_190(graph: httpx.AsyncClient, control: SandboxControl) -> None:
    answer = await graph.post("/1001/messages", json=HELLO)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["type"]) == (400, 190, "OAuthException")
    assert error["fbtrace_id"]
    assert (await control.summary()).accepted == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"recipient": None},
        {"recipient": {}},
        {"recipient": {"id": 17}},
        {"message": None},
        {"message": {}},
        {"message": {"text": "x" * 2_001}},
        {"message": {"text": "x", "attachment": {"type": "image"}}},
        {"message": {"attachment": {"type": "sculpture"}}},
        {"message": {"text": "x", "quick_replies": [{}] * 14}},
        {"message": {"text": "x", "metadata": "x" * 1_001}},
        {"messaging_type": "SHOUT"},
        {"messaging_type": "MESSAGE_TAG"},
        {"messaging_type": "MESSAGE_TAG", "tag": "ACCOUNT_UPDATE"},
        {"notification_type": "LOUD"},
    ],
)
async def test_a_wrong_parameter_is_refused_with_100(
    graph: httpx.AsyncClient, control: SandboxControl, wrong: dict[str, Any]
) -> None:
    answer = await graph.post("/1001/messages", json={**HELLO, "access_token": "T", **wrong})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, 100)
    summary = await control.summary()
    assert (summary.accepted, summary.by_outcome) == (0, {"error:100": 1})


@pytest.mark.parametrize(
    "right",
    [
        {"message": {"text": "x" * 2_000}},
        {"message": {"attachment": {"type": "image", "payload": {"url": "https://example.org/a.png"}}}},
        {"messaging_type": "MESSAGE_TAG", "tag": "HUMAN_AGENT"},
        {"recipient": {"user_ref": "r1"}},
        {"notification_type": "NO_PUSH"},
    ],
)
async def test_a_valid_parameter_is_accepted(graph: httpx.AsyncClient, right: dict[str, Any]) -> None:
    answer = await graph.post("/1001/messages", json={**HELLO, "access_token": "T", **right})
    assert answer.status_code == 200


@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff"])
async def test_an_unreadable_body_is_refused_with_100(graph: httpx.AsyncClient, body: bytes) -> None:
    headers = {"Content-Type": "application/json", "Authorization": "Bearer T"}
    answer = await graph.post("/1001/messages", content=body, headers=headers)
    assert answer.json()["error"]["code"] == 100


@pytest.mark.parametrize("form", [{"recipient": "u1"}, {"recipient": '{"id":"u1"}', "message": "Hello"}])
async def test_form_fields_that_are_not_json_are_refused_with_100(
    graph: httpx.AsyncClient, form: dict[str, str]
) -> None:
    answer = await graph.post("/1001/messages", data={"access_token": "T", **form})
    assert answer.json()["error"]["code"] == 100


@pytest.mark.parametrize("path", ["/1001", "/v25.0/1001"])
async def test_a_token_check_answers_the_page_id(sandbox: Sandbox, graph: httpx.AsyncClient, path: str) -> None:
    url = httpx.URL(sandbox.url).join(path)
    answer = await graph.get(url, params={"fields": "id", "access_token": "T"})
    assert answer.json() == {"id": "1001"}


async def test_a_token_check_without_a_token_is_refused(graph: httpx.AsyncClient) -> None:
    assert (await graph.get("/1001", params={"fields": "id"})).json()["error"]["code"] == 190


async def test_a_token_check_is_not_a_message(graph: httpx.AsyncClient, control: SandboxControl) -> None:
    await graph.get("/1001", params={"access_token": "T"})
    assert (await control.summary()).received == 0


@pytest.mark.parametrize(("method", "path"), [("GET", "/1001/messages"), ("POST", "/1001/feed"), ("DELETE", "/a/b/c")])
async def test_another_path_is_an_error_and_no_message(
    graph: httpx.AsyncClient, control: SandboxControl, method: str, path: str
) -> None:
    answer = await graph.request(method, path, params={"access_token": "T"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, 2500)
    assert (await control.summary()).received == 0
