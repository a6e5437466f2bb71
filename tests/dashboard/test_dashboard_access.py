"""Access to the dashboard, and protection from other sites."""

import re
from pathlib import Path

import httpx
import pytest
from playwright.async_api import Browser, Page, expect

from redrive.v1.page_service_pb2 import ListPagesRequest
from server.auth.caller import Scope
from server.auth.certificates import Certificates
from tests.dashboard.stage import Stage, Visit, running_dashboard, visiting
from tests.server.api.known_callers import HOST, Callers, guarded_edge, token_metadata

pytestmark = pytest.mark.asyncio(loop_scope="session")

_HANDSHAKE = {
    "connection": "Upgrade",
    "upgrade": "websocket",
    "sec-websocket-version": "13",
    "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
}
_SOCKET = "/_nicegui_ws/socket.io/?EIO=4&transport="


async def test_every_response_forbids_framing_and_foreign_content(stage: Stage) -> None:
    async with httpx.AsyncClient(base_url=stage.url, trust_env=False) as http:
        for path in ("/", "/static/dashboard.js", "/login", "/nowhere"):
            headers = (await http.get(path)).headers

            assert headers["x-frame-options"] == "DENY"
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["referrer-policy"] == "same-origin"
            policy = headers["content-security-policy"]
            assert "frame-ancestors 'none'" in policy
            assert "default-src 'none'" in policy
            assert "http" not in policy


async def test_foreign_origin_is_refused_for_changing_requests(stage: Stage) -> None:
    async with httpx.AsyncClient(base_url=stage.url, trust_env=False) as http:
        own, foreign = {"origin": stage.url}, {"origin": "https://attacker.example"}

        assert (await http.get(_SOCKET + "polling", headers=foreign)).status_code == 403
        assert (await http.get(_SOCKET + "websocket", headers=_HANDSHAKE | foreign)).status_code == 403
        assert (await http.get(_SOCKET + "websocket", headers=_HANDSHAKE)).status_code == 403
        assert (await http.get(_SOCKET + "websocket", headers=_HANDSHAKE | {"origin": "null"})).status_code == 403
        assert (await http.post("/login", data={"token": "t"}, headers=foreign)).status_code == 403
        assert (await http.post("/logout")).status_code == 403
        assert (await http.post("/logout", headers=own)).status_code == 303
        assert (await http.get(_SOCKET + "polling", headers=own)).status_code == 200


async def test_foreign_host_name_is_refused(stage: Stage) -> None:
    async with httpx.AsyncClient(base_url=stage.url, trust_env=False) as http:
        assert (await http.get("/", headers={"host": "attacker.example"})).status_code == 403
        assert (await http.get("/", headers={"host": "localhost:8080"})).status_code == 200
        assert (await http.get("/", headers={"host": "[::1"})).status_code == 403
        assert (await http.get("/", headers={"origin": "http://[::1"})).status_code == 403


async def test_without_authentication_there_is_no_login(visit: Visit) -> None:
    await visit.open("/")

    await expect(visit.page.get_by_role("heading", name="History")).to_be_visible()
    await expect(visit.page.get_by_role("button", name="Log out")).to_have_count(0)
    assert await visit.context.cookies() == []


async def test_authenticated_server_is_used_over_tls_with_the_viewers_token(browser: Browser, tmp_path: Path) -> None:
    callers = Callers(tmp_path)
    token = callers.token("ann", Scope.ADMIN)
    trusted = tmp_path / "authority.pem"
    trusted.write_bytes(callers.authority.certificate)
    certificates = Certificates(*callers.authority.certify(HOST, HOST).write(tmp_path), None)
    log = tmp_path / "dashboard.log"
    async with guarded_edge(callers, certificates=certificates) as edge:
        server = f"{HOST}:{edge.address.rpartition(':')[2]}"
        options = ("--root-certificates", str(trusted))
        async with running_dashboard(server, log, *options) as url, visiting(browser, url) as visit:
            page = visit.page
            await page.goto(f"{url}/reports?page=shop")
            await expect(page).to_have_url(f"{url}/login?next=/reports%3Fpage%3Dshop")
            await page.goto(f"{url}/messages/some-id")
            await expect(page).to_have_url(f"{url}/login?next=/messages/some-id")
            assert await visit.accessibility_faults() == []
            await page.get_by_label("Your token").fill("rdt_wrong")
            await page.get_by_role("button", name="Log in").click()
            await expect(page.get_by_role("alert")).to_contain_text("does not accept this token")
            visit.complaints.clear()  # of the 403

            await page.get_by_label("Your token").fill(token)
            await page.get_by_role("button", name="Log in").click()
            await expect(page.get_by_role("alert").filter(has_text="There is no such message.")).to_be_visible()
            await visit.open("/")
            await expect(page.get_by_text("No message matches.")).to_be_visible()
            (cookie,) = await visit.context.cookies()
            assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
            assert token not in await page.content()

            other = await visit.tab()
            await other.goto(url)
            await expect(other.get_by_text("No message matches.")).to_be_visible()
            await page.get_by_role("button", name="Log out").click()
            await expect(page).to_have_url(re.compile("/login"))
            await expect(other).to_have_url(f"{url}/login")
    assert token not in log.read_text()
    assert not list(Path.cwd().glob(".nicegui/*"))


async def test_a_logout_ends_every_tab_of_the_session_and_no_other_session(browser: Browser, tmp_path: Path) -> None:
    """A colleague with the same token keeps the connection to the server open; the tabs end nevertheless."""
    callers = Callers(tmp_path)
    token = callers.token("ann", Scope.ADMIN)
    async with (
        guarded_edge(callers) as edge,
        running_dashboard(edge.address, tmp_path / "dashboard.log") as url,
        visiting(browser, url) as visit,
        visiting(browser, url) as colleague,
    ):
        for one in (visit, colleague):
            await _log_in(one, token)
        other, stubborn = await visit.tab(), await visit.tab()
        await other.goto(url)
        await _about_to_hold(stubborn, url)

        await visit.page.get_by_role("button", name="Log out").click()

        await expect(other).to_have_url(f"{url}/login")
        await expect(stubborn.get_by_role("heading")).to_have_count(0)
        await stubborn.evaluate("recorded.forEach((sent) => window.socket.emit(...sent))")
        await colleague.page.get_by_role("link", name="Pages").click()
        await expect(colleague.page.get_by_role("button", name="Hold", exact=True).first).to_be_visible()
        listed = await edge.pages.ListPages(ListPagesRequest(), metadata=token_metadata(token))
        assert [page.HasField("hold") for page in listed.pages] == [False]


async def _log_in(visit: Visit, token: str) -> None:
    await visit.page.goto(f"{visit.url}/login")
    await visit.page.get_by_label("Your token").fill(token)
    await visit.page.get_by_role("button", name="Log in").click()
    await expect(visit.page.get_by_role("heading", name="History")).to_be_visible()


async def _about_to_hold(page: Page, url: str) -> None:
    """Fill in the form that holds a page, and record what its button sends; this tab never navigates away."""
    await page.goto(f"{url}/pages")
    await page.get_by_role("button", name="Hold", exact=True).first.click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("Reason").fill("I had left")
    await page.evaluate("""() => {
        window.open = () => {};
        window.recorded = [];
        const emit = window.socket.emit.bind(window.socket);
        window.socket.emit = (...sent) => sent[0] === "event" ? recorded.push(sent) : emit(...sent);
        window.restore = () => { window.socket.emit = emit; };
    }""")
    await dialog.get_by_role("button", name="Hold").click()
    await page.wait_for_function("recorded.length > 0")
    await page.evaluate("restore()")
