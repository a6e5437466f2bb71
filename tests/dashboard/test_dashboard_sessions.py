"""Tokens stay in the process's memory, for as long as somebody uses them."""

from pathlib import Path

import pytest

from redrive.dashboard.backend import Backend
from redrive.dashboard.login import own_path
from redrive.dashboard.sessions import COOKIE, IDLE_SECONDS, Sessions
from redrive.dashboard.settings import DashboardSettings
from redrive.errors import Unauthenticated
from server.access.scope import Scope
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
        third = await sessions.log_in(callers.token("bob", Scope.READ))
        assert closed == [shared]
        with pytest.raises(Unauthenticated):
            await sessions.log_in("rdt_wrong")
        with pytest.raises(ValueError, match="token"):
            await sessions.log_in("\N{SNOWMAN}")
        assert sessions.is_logged_in({COOKIE: third})
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
    settings = DashboardSettings(server="s", names=("redrive.example.org",))

    own = ["localhost", "127.0.0.1", "10.0.0.7", "::1", "redrive.example.org"]
    assert [name for name in [*own, "attacker.example", ""] if settings.is_own_name(name)] == own
