"""Tokens stay in memory only, until the last session with them ends."""

import asyncio
from pathlib import Path

import grpc
import pytest

from redrive.dashboard.login import own_path
from redrive.dashboard.settings import DashboardSettings
from redrive.dashboard.state.backend import Backend
from redrive.dashboard.state.sessions import COOKIE, IDLE_SECONDS, Sessions
from redrive.errors import Unauthenticated
from server.auth.caller import Scope
from tests.server.api.known_callers import Callers, guarded_edge


async def test_sessions_with_one_token_share_a_connection_until_the_last_logs_out_or_is_idle(tmp_path: Path) -> None:
    callers = Callers(tmp_path)
    token, now = callers.token("ann", Scope.READ), 0.0
    async with guarded_edge(callers) as edge:
        sessions = Sessions(DashboardSettings(server=edge.address), clock=lambda: now)
        first, second = {COOKIE: await sessions.log_in(token)}, {COOKIE: await sessions.log_in(token)}
        shared = sessions.backend(first)
        closed: list[Backend] = []
        shared.on_close(lambda: closed.append(shared))

        assert first != second
        assert shared is sessions.backend(second) is not sessions.backend({})
        await sessions.log_out(first)
        assert sessions.backend(first) is sessions.backend({})
        assert (sessions.backend(second), closed) == (shared, [])
        now += IDLE_SECONDS + 1
        assert sessions.backend(second) is sessions.backend({})
        await sessions.end_idle()
        assert closed == [shared]
        third = await sessions.log_in(callers.token("bob", Scope.READ))
        with pytest.raises(Unauthenticated):
            await sessions.log_in("rdt_wrong")
        with pytest.raises(ValueError, match="token"):
            await sessions.log_in("\N{SNOWMAN}")
        assert sessions.is_logged_in({COOKIE: third})
        await sessions.close()


async def test_failed_login_does_not_end_another_login_in_progress(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sessions, tried, answered = Sessions(DashboardSettings(server="127.0.0.1:1")), list[Backend](), asyncio.Event()

    async def check(backend: Backend) -> None:
        tried.append(backend)
        if len(tried) > 1:
            raise Unauthenticated("no such token", code=grpc.StatusCode.UNAUTHENTICATED)
        await answered.wait()

    monkeypatch.setattr(Backend, "check", check)
    login = asyncio.create_task(sessions.log_in("right"))
    await asyncio.sleep(0)
    with pytest.raises(Unauthenticated):
        await sessions.log_in("wrong")
    answered.set()

    assert sessions.backend({COOKIE: await login}) is tried[0]
    await sessions.close()


async def test_end_of_a_session_ends_only_its_tabs(monkeypatch: pytest.MonkeyPatch) -> None:
    async def check(_: Backend) -> None: ...

    monkeypatch.setattr(Backend, "check", check)
    now, left = 0.0, list[str]()
    sessions = Sessions(DashboardSettings(server="127.0.0.1:1"), clock=lambda: now)
    first, second = {COOKIE: await sessions.log_in("token")}, {COOKIE: await sessions.log_in("token")}
    for name, cookies in (("one", first), ("two", first), ("other", second), ("idle", second)):
        sessions.on_end(cookies, lambda name=name: left.append(name))  # type: ignore[misc]
    sessions.on_end(first, lambda: left.append("closed before"))()

    await sessions.log_out(first)
    assert left == ["one", "two"]
    now += IDLE_SECONDS + 1
    await sessions.end_idle()
    assert left == ["one", "two", "other", "idle"]
    await sessions.close()


async def test_idle_session_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    async def check(_: Backend) -> None: ...

    monkeypatch.setattr(Backend, "check", check)
    now = 0.0
    sessions = Sessions(DashboardSettings(server="127.0.0.1:1"), clock=lambda: now)
    cookies = {COOKIE: await sessions.log_in("token")}
    assert sessions.is_logged_in(cookies)
    now += IDLE_SECONDS + 1

    assert not sessions.is_logged_in(cookies)
    await sessions.close()


@pytest.mark.parametrize(
    ("asked", "led"),
    [
        ("/messages/m", "/messages/m"),
        ("//attacker.example", "/"),
        ("https://attacker.example", "/"),
        ("/\\attacker", "/"),
    ],
)
def test_a_login_leads_to_pages_of_the_dashboard_only(asked: str, led: str) -> None:
    assert own_path(asked) == led


def test_only_addresses_localhost_and_given_names_are_the_dashboards_own() -> None:
    settings = DashboardSettings(server="s", names=("Redrive.example.org",))

    own = ["localhost", "127.0.0.1", "10.0.0.7", "::1", "redrive.example.org"]
    assert [name for name in [*own, "attacker.example", ""] if settings.is_own_name(name)] == own
