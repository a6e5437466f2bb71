from collections.abc import AsyncIterator, Awaitable, Callable

import httpx
import pytest

from server.sandbox.control import OrderRefusedError, SandboxControl
from server.sandbox.effect import Delay
from server.sandbox.fault_order import FaultOrder
from server.sandbox.runner import Sandbox, create_app, running_sandbox
from server.sandbox.settings import SandboxSettings

Send = Callable[..., Awaitable[httpx.Response]]


@pytest.fixture
async def http(sandbox: Sandbox) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=httpx.URL(sandbox.url).join("/sandbox/"), trust_env=False) as client:
        yield client


@pytest.mark.parametrize(
    ("order", "field"),
    [
        ("nonsense", ""),
        (b'{"preset": "\xff"}', ""),
        ("{}", "effect"),
        ('{"preset": "flood"}', "preset"),
        ('{"preset": "slow", "effect": {"kind": "empty"}}', "effect"),
        ('{"preset": "slow", "recipient": ["u1"]}', "recipient"),
        ('{"preset": "slow", "recipients": []}', "recipients"),
        ('{"preset": "slow", "recipients": ["u1", ""]}', "recipients"),
        ('{"preset": "slow", "recipients": [1]}', "recipients[0]"),
        ('{"preset": "slow", "share": 1.5}', "share"),
        ('{"preset": "slow", "times": 0}', "times"),
        ('{"preset": "slow", "after_seconds": -1}', "after_seconds"),
        ('{"preset": "slow", "for_seconds": 0}', "for_seconds"),
        ('{"preset": "slow", "accepts": true}', "accepts"),
        ('{"preset": "rate_limit", "accepts": true}', "accepts"),
        ('{"preset": "expired_token", "accepts": true}', "accepts"),
        ('{"effect": "timeout"}', "effect"),
        ('{"effect": {"kind": "flood"}}', "effect.kind"),
        ('{"effect": {"code": 1}}', "effect.kind"),
        ('{"effect": {"kind": "error"}}', "effect.code"),
        ('{"effect": {"kind": "error", "code": "1"}}', "effect.code"),
        ('{"effect": {"kind": "error", "code": 1, "http_status": 99}}', "effect.http_status"),
        ('{"effect": {"kind": "timeout", "seconds": 1}}', "effect.seconds"),
        ('{"effect": {"kind": "delay", "seconds": 0}}', "effect.seconds"),
        ('{"effect": {"kind": "status", "http_status": 404}}', "effect.http_status"),
        ('{"effect": {"kind": "rate_limit", "seconds": 9, "code": 5}}', "effect.code"),
        ('[{"preset": "slow"}, {"preset": "slow", "times": 0}]', "[1].times"),
        ('[{"preset": "slow"}, {"preset": "flood"}]', "[1].preset"),
    ],
)
async def test_a_wrong_fault_is_refused_by_its_field_and_nothing_is_ordered(
    http: httpx.AsyncClient, control: SandboxControl, order: str | bytes, field: str
) -> None:
    answer = await http.post("faults", content=order)
    error = answer.json()["error"]
    assert (answer.status_code, error["field"]) == (400, field)
    assert error["message"]
    assert await control.faults() == []


@pytest.mark.parametrize(
    ("order", "field"),
    [
        ('{"action": "expire"}', "token"),
        (b'{"token": "\xff", "action": "expire"}', ""),
        ('{"token": "", "action": "expire"}', "token"),
        ('{"token": "T", "action": "burn"}', "action"),
        ('{"token": "T", "action": "expire", "secret": "S"}', "secret"),
    ],
)
async def test_a_wrong_token_order_is_refused_by_its_field(
    http: httpx.AsyncClient, order: str | bytes, field: str
) -> None:
    answer = await http.post("tokens", content=order)
    assert (answer.status_code, answer.json()["error"]["field"]) == (400, field)


@pytest.mark.parametrize("path", ["received", "recipients"])
@pytest.mark.parametrize(
    ("query", "field"), [({"limit": "0"}, "limit"), ({"limit": "10001"}, "limit"), ({"after": "-1"}, "after")]
)
async def test_a_wrong_query_is_refused_by_its_field(
    http: httpx.AsyncClient, path: str, query: dict[str, str], field: str
) -> None:
    answer = await http.get(path, params=query)
    assert (answer.status_code, answer.json()["error"]["field"]) == (400, field)


async def test_one_or_several_faults_can_be_ordered(http: httpx.AsyncClient) -> None:
    one = await http.post("faults", json={"preset": "slow"})
    several = await http.post("faults", json=[{"preset": "timeout"}, {"preset": "empty", "times": 2}])
    assert (one.status_code, several.status_code) == (201, 201)
    assert [fault["id"] for fault in (await http.get("faults")).json()["faults"]] == ["f1", "f2", "f3"]
    assert several.json()["faults"][1] == {
        "id": "f3",
        "order": {"effect": {"kind": "empty"}, "times": 2},
        "hits": 0,
        "over": False,
    }


async def test_a_listed_fault_can_be_ordered_again(control: SandboxControl) -> None:
    [placed] = await control.order({"preset": "sent_anyway", "recipients": ["u1"], "share": 0.5})
    [again] = await control.order(placed.order)
    assert again.order == placed.order


async def test_hits_are_counted(control: SandboxControl, send: Send) -> None:
    await control.order({"preset": "unknown_recipient", "recipients": ["u1"]})
    for recipient in ("u1", "u2", "u1"):
        await send(recipient)
    assert [fault.hits for fault in await control.faults()] == [2]


async def test_one_or_all_faults_can_be_removed(control: SandboxControl, send: Send) -> None:
    await control.order({"preset": "temporary"}, {"preset": "permission"}, {"preset": "bad_content"})
    await control.remove_fault("f1")
    assert (await send()).json()["error"]["code"] == 230
    await control.clear_faults()
    assert (await send()).status_code == 200


async def test_removing_an_unknown_fault_is_refused(control: SandboxControl) -> None:
    with pytest.raises(OrderRefusedError, match="f9"):
        await control.remove_fault("f9")


async def test_the_client_names_the_field_of_a_refused_order(control: SandboxControl) -> None:
    with pytest.raises(OrderRefusedError) as refused:
        await control.order({"preset": "slow"}, {"preset": "flood"})
    assert refused.value.field == "[1].preset"


async def test_a_reset_keeps_only_the_faults_of_the_start() -> None:
    fault = FaultOrder(preset="unknown_recipient", recipients=("u1",))
    async with running_sandbox(SandboxSettings(faults=(fault,))) as sandbox, httpx.AsyncClient() as client:

        async def send(recipient: str) -> int:
            body = {"recipient": {"id": recipient}, "message": {"text": "Hello"}, "access_token": "T"}
            return (await client.post(f"{sandbox.url}/1001/messages", json=body)).status_code

        await sandbox.control.order({"preset": "server_error", "recipients": ["u2"]})
        await sandbox.control.token("other", "allow")
        assert (await send("u1"), await send("u2")) == (400, 400)
        await sandbox.control.reset()
        assert (await sandbox.control.summary()).received == 0
        assert (await send("u1"), await send("u2")) == (400, 200)


def test_a_wrong_fault_in_the_settings_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"faults\[0\]\.effect\.seconds"):
        create_app(SandboxSettings(faults=(FaultOrder(effect=Delay(seconds=-1)),)))


@pytest.mark.parametrize(("method", "path"), [("GET", "fault"), ("PUT", "faults"), ("GET", "reset")])
async def test_an_unknown_control_path_is_not_found(http: httpx.AsyncClient, method: str, path: str) -> None:
    answer = await http.request(method, path)
    assert (answer.status_code, answer.json()["error"]["field"]) == (404, "path")
