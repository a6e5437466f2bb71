"""A backup taken during a send is restored into an empty place, and sends only what an operator releases."""

import asyncio
import base64
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from typer.testing import CliRunner

from redrive import Client
from redrive.v1.delivery_service_pb2 import ResendRequest
from redrive.v1.message_pb2 import Message, MessageStatus
from server.eventstore.rebuild import differences
from server.main import cli
from tests.databases import opened
from tests.e2e.campaign import PAGE, assert_balanced, put_page, recipients, send_and_wait, send_request
from tests.e2e.processes import SandboxProcess, client_of, running_server
from tests.waiting import eventually

KEY = base64.b64encode(bytes(range(32))).decode()
OTHER_KEY = base64.b64encode(bytes(32)).decode()
PEOPLE = 100
RATE = 100.0  # messages per second

BackUp = Callable[[], str]  # makes a backup now, restores it to an empty place, and returns its URL


def sqlite_back_up(folder: Path) -> str:
    """Back up and restore as docs/deploying.md describes: SQLite's backup and the key file."""
    kept, empty = folder / "kept", folder / "empty"
    kept.mkdir()
    with closing(sqlite3.connect(folder / "redrive.db")) as live, closing(sqlite3.connect(kept / "redrive.db")) as copy:
        live.backup(copy)
    shutil.copy2(folder / "redrive.db.key", kept)
    shutil.copytree(kept, empty)
    return f"sqlite:///{empty / 'redrive.db'}"


def postgres_back_up(folder: Path, url: str) -> str:
    """Back up and restore as docs/deploying.md describes: pg_dump, and pg_restore into an empty database."""
    dump, empty = folder / "redrive.dump", url.replace("/test_", "/restored_")
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute("SELECT setting FROM pg_config WHERE name = 'BINDIR'").fetchone()
        assert row is not None
        connection.execute(f"CREATE DATABASE {psycopg.conninfo.conninfo_to_dict(empty)['dbname']}")
    programs = Path(row[0])
    subprocess.run([programs / "pg_dump", "--format=custom", f"--file={dump}", url], check=True)
    subprocess.run([programs / "pg_restore", "--no-owner", f"--dbname={empty}", dump], check=True)
    return empty


def is_over(message: Message) -> bool:
    return not message.counts.pending and not message.counts.sending


@pytest.fixture
def back_up(database_url: str, tmp_path: Path) -> BackUp:
    if database_url.startswith("sqlite:"):
        return lambda: sqlite_back_up(tmp_path)
    return lambda: postgres_back_up(tmp_path, database_url)


async def hold_all(settings: Mapping[str, str]) -> tuple[int, str]:
    """Run `redrive-server hold`; return its exit code and output."""
    ended = await asyncio.to_thread(lambda: CliRunner().invoke(cli, ["hold"], env=settings))
    return ended.exit_code, ended.output


async def some_are_sent(client: Client, message_id: str) -> Message:
    return await eventually(lambda: client.get_message(message_id), lambda message: 20 <= message.counts.sent <= 80)


async def test_a_restored_database_sends_nothing_until_an_operator_releases_it(
    database_url: str, back_up: BackUp, tmp_path: Path, sandbox: SandboxProcess
) -> None:
    settings = {"REDRIVE_DATABASE_URL": database_url, "REDRIVE_LEASE_SECONDS": "2"}
    if not database_url.startswith("sqlite:"):
        settings["REDRIVE_SECRET_KEY"] = KEY
    await sandbox.control.order({"preset": "unknown_recipient", "recipients": ["a7"]})
    async with running_server(tmp_path, sandbox.graph_url, settings) as server, client_of(server) as client:
        await put_page(client)
        done = await send_and_wait(client, send_request(recipients(20, "a")))
        await put_page(client, rate=RATE)
        under_way = (await client.send(send_request(recipients(PEOPLE, "b")))).message
        await some_are_sent(client, under_way.id)
        restored = {**settings, "REDRIVE_DATABASE_URL": back_up()}
        forgotten = await send_and_wait(client, send_request(recipients(5, "c")))
    before = (await sandbox.control.summary()).accepted
    assert before == 19 + PEOPLE + 5

    code, output = await hold_all({**restored, "REDRIVE_SECRET_KEY": OTHER_KEY})
    assert (code, "the key does not decrypt" in output) == (1, True)
    for pages in (1, 0):
        code, output = await hold_all(restored)
        assert (code, output.partition(";")[0]) == (0, f"{pages} pages were put on hold")
    with closing(opened(restored["REDRIVE_DATABASE_URL"])) as store:
        assert differences(store) == {}

    (tmp_path / "again").mkdir()
    async with running_server(tmp_path / "again", sandbox.graph_url, restored) as server, client_of(server) as client:
        resent = await client.resend(ResendRequest(message_id=done.id, recipient_ids=[f"a{n}" for n in range(20)]))
        assert resent.recipients_to_retry == 1
        assert [(skipped.count) for skipped in resent.skipped] == [19]
        known = [message.id async for message in client.list_messages(page_id=PAGE)]
        assert set(known) == {done.id, under_way.id}
        assert forgotten.id not in known

        stopped = await client.cancel_message(under_way.id)
        assert_balanced(stopped.counts)
        stopped = await eventually(lambda: client.get_message(under_way.id), is_over)
        assert stopped.status == MessageStatus.MESSAGE_STATUS_CANCELLED
        assert stopped.counts.sent + stopped.counts.unconfirmed + stopped.counts.cancelled == PEOPLE
        assert (await sandbox.control.summary()).accepted == before

        await client.release_page(PAGE)
        await eventually(
            lambda: client.get_message(done.id), lambda message: not message.counts.pending + message.counts.sending
        )
        assert (await sandbox.control.received("a7")).arrivals[-1].number > before
        assert (await sandbox.control.summary()).accepted == before
