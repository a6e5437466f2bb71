"""`redrive-server doctor` names problems and remedies, changes nothing, and shows no secret."""

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from aiohttp import web
from typer.testing import CliRunner

from server.bootstrap import open_store, open_vault
from server.cli.doctor.database import compared
from server.cli.doctor.finding import Finding, Severity
from server.crypto.key_ring import random_key
from server.crypto.vault import PageSecrets
from server.main import cli
from server.sandbox.runner import Sandbox, running_sandbox
from server.settings import Settings
from tests.builders import PAGE, TOKEN
from tests.server.eventstore.whole_log import write_everything

OK, WARNING, PROBLEM = Severity.OK, Severity.WARNING, Severity.PROBLEM


class Report(msgspec.Struct):
    is_well: bool
    findings: list[Finding]
    exit_code: int = 0

    def worst(self, check: str) -> Finding:
        """Return the most severe finding of a check."""
        found = [finding for finding in self.findings if finding.check == check]
        return max(found, key=lambda finding: list(Severity).index(finding.severity))


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with running_sandbox() as running:
        yield running


@pytest.fixture
def environment(
    database_url: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> pytest.MonkeyPatch:
    """Set the environment of a server whose database has a page."""
    settings = {
        "REDRIVE_DATABASE_URL": database_url,
        "REDRIVE_GRAPH_URL": sandbox.url,
        "REDRIVE_LISTEN": "127.0.0.1:0",
        "REDRIVE_SECRET_KEY": random_key(),
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    with closing(open_store(Settings())) as store:
        write_everything(store)
        vault = open_vault(store, Settings())
        with store.transaction(commit=True) as sql:
            vault.save_page_secrets(PAGE, PageSecrets(access_token=TOKEN, app_secret="app-secret-4711"), 1)(sql)
    return monkeypatch


async def examined(*options: str) -> Report:
    result = await asyncio.to_thread(CliRunner().invoke, cli, ["doctor", "--json", *options])
    assert TOKEN not in result.output
    assert "app-secret" not in result.output
    report = msgspec.json.decode(result.stdout, type=Report)
    report.exit_code = result.exit_code
    assert all(finding.remedy for finding in report.findings if finding.severity is not OK)
    return report


async def test_a_well_configured_service_has_no_problems(environment: pytest.MonkeyPatch) -> None:
    with closing(open_store(Settings())):  # a running server
        report = await examined("--pages")

    assert [finding for finding in report.findings if finding.severity is not OK] == []
    assert report.is_well
    assert report.exit_code == 0
    assert {"settings", "database", "key", "clock", "platform", "listen", "access", f"page {PAGE}"} <= {
        finding.check for finding in report.findings
    }


async def test_a_database_without_tables_has_no_pages_to_check(
    database_url: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("REDRIVE_DATABASE_URL", database_url)
    monkeypatch.setenv("REDRIVE_GRAPH_URL", sandbox.url)
    monkeypatch.setenv("REDRIVE_LISTEN", "127.0.0.1:0")
    monkeypatch.setenv("REDRIVE_SECRET_KEY", random_key())
    (tmp_path / "redrive.db").touch()

    report = await examined("--pages")

    assert report.is_well
    assert "it is empty: the first start creates its tables" in [finding.message for finding in report.findings]


async def test_all_problems_are_reported_together(
    environment: pytest.MonkeyPatch, sandbox: Sandbox, database_url: str
) -> None:
    await sandbox.control.token(TOKEN, "expire")
    refused = await examined("--pages")
    environment.setenv("REDRIVE_SECRET_KEY", random_key())
    environment.setenv("REDRIVE_GRAPH_URL", "http://127.0.0.1:9/v25.0")
    environment.setenv("REDRIVE_MESAGES_PER_SECOND", "5")
    with socket.create_server(("127.0.0.1", 0)) as taken, closing(open_store(Settings())) as store:
        with store.transaction(commit=True) as sql:
            sql.execute("UPDATE redrive_schema SET version = 99")
        environment.setenv("REDRIVE_LISTEN", f"127.0.0.1:{taken.getsockname()[1]}")
        environment.setenv("REDRIVE_METRICS_LISTEN", "192.0.2.1:9464")
        report = await examined("--pages")

    assert refused.worst(f"page {PAGE}").severity is PROBLEM
    assert "190-463" in refused.worst(f"page {PAGE}").message
    assert not report.is_well
    assert report.exit_code == 1
    severities = {
        finding: report.worst(finding).severity
        for finding in ("settings", "database", "key", "platform", "listen", "metrics")
    }
    assert severities == dict.fromkeys(severities, PROBLEM) | {"listen": WARNING}
    assert "REDRIVE_MESAGES_PER_SECOND" in report.worst("settings").message
    assert "schema version 99" in report.worst("database").message
    assert "encrypted with another key" in report.worst("key").message


@pytest.mark.parametrize(
    ("settings", "check", "words"),
    [
        ({"REDRIVE_MESSAGES_PER_SECOND": "-1"}, "settings", "greater than or equal to 0.001"),
        ({"REDRIVE_GRAPH_URL": "http://graph.example/v25.0"}, "settings", "in clear text"),
        ({"REDRIVE_DATABASE_URL": "sqlite:////nowhere/at/all.db"}, "database", "/nowhere/at"),
        ({"REDRIVE_DATABASE_URL": "postgresql://u:hidden-password@127.0.0.1:9/none"}, "database", "cannot be opened"),
        ({"REDRIVE_SECRET_KEY": "short"}, "key", "REDRIVE_SECRET_KEY"),
        ({"REDRIVE_AUTH_FILE": "/nowhere/tokens"}, "access", "/nowhere/tokens"),
    ],
)
async def test_a_wrong_setting_is_named(
    settings: Mapping[str, str],
    check: str,
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    sandbox: Sandbox,
) -> None:
    environment = {"REDRIVE_DATABASE_URL": f"sqlite:///{tmp_path / 'redrive.db'}", "REDRIVE_GRAPH_URL": sandbox.url}
    for name, value in {**environment, **settings}.items():
        monkeypatch.setenv(name, value)

    report = await examined()

    assert report.worst(check).severity is PROBLEM
    assert words in report.worst(check).message
    assert "hidden-password" not in repr(report)
    assert list(tmp_path.iterdir()) == []  # nothing was created


async def test_a_file_that_is_no_database_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox
) -> None:
    (tmp_path / "redrive.db").write_text("not a database" * 100)
    monkeypatch.setenv("REDRIVE_DATABASE_URL", f"sqlite:///{tmp_path / 'redrive.db'}")
    monkeypatch.setenv("REDRIVE_GRAPH_URL", sandbox.url)

    assert "not a database" in (await examined()).worst("database").message


async def test_a_redirect_of_the_platform_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox
) -> None:
    async def elsewhere(_: web.Request) -> web.Response:
        raise web.HTTPFound(sandbox.url)

    app = web.Application()
    app.router.add_get("/v25.0", elsewhere)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    monkeypatch.setenv("REDRIVE_DATABASE_URL", f"sqlite:///{tmp_path / 'redrive.db'}")
    monkeypatch.setenv("REDRIVE_GRAPH_URL", f"http://127.0.0.1:{runner.addresses[0][1]}/v25.0")

    assert "redirect" in (await examined()).worst("platform").message
    await runner.cleanup()


async def test_keys_that_are_readable_by_others_or_missing_are_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox
) -> None:
    monkeypatch.setenv("REDRIVE_DATABASE_URL", f"sqlite:///{tmp_path / 'redrive.db'}")
    monkeypatch.setenv("REDRIVE_GRAPH_URL", sandbox.url)
    with closing(open_store(Settings())) as store:
        vault = open_vault(store, Settings())
        with store.transaction(commit=True) as sql:
            vault.save_page_secrets(PAGE, PageSecrets(access_token=TOKEN), 1)(sql)
    key = tmp_path / "redrive.db.key"

    key.chmod(0o644)
    assert (await examined()).worst("key").remedy == f"chmod 600 {key}"
    key.unlink()
    assert "is missing" in (await examined()).worst("key").message


@pytest.mark.parametrize(("seconds", "severity"), [(0, OK), (-2, OK), (10, WARNING), (-10, WARNING), (3600, PROBLEM)])
def test_different_clocks_are_reported(seconds: int, severity: Severity) -> None:
    finding = compared("the database's", timedelta(seconds=seconds))

    assert finding.severity is severity
    assert severity is OK or ("ahead of" if seconds > 0 else "behind") in finding.message


async def test_the_text_output_shows_the_remedy_below_each_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox
) -> None:
    monkeypatch.setenv("REDRIVE_DATABASE_URL", f"sqlite:///{tmp_path / 'redrive.db'}")
    monkeypatch.setenv("REDRIVE_GRAPH_URL", sandbox.url)
    monkeypatch.setenv("REDRIVE_NONSENSE", "1")

    lines = (await asyncio.to_thread(CliRunner().invoke, cli, ["doctor"])).output.splitlines()

    assert lines[:2] == [
        "problem  settings: REDRIVE_NONSENSE is not a setting",
        "         -> correct its name, or remove it",
    ]
