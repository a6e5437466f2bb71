"""`redrive-server migrate` and `redrive-server rebuild` as processes, on both databases."""

import asyncio
import base64
import os
import re
import signal
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest

from projections import read_models
from redrive import Client
from redrive.v1.content_pb2 import Content
from redrive.v1.delivery_service_pb2 import SendRequest
from redrive.v1.page_service_pb2 import PutPageRequest
from server.eventstore.rebuild import differences
from tests.builders import PAGE
from tests.databases import opened
from tests.e2e.campaign import recipients, watch_until_done
from tests.e2e.processes import SandboxProcess, ServerProcess, client_of, running_server
from tests.e2e.programs import Program, start_program
from tests.server.eventstore.whole_log import write_everything, write_many

KEY = base64.b64encode(bytes(range(32))).decode()


class Ended(NamedTuple):
    """Exit code and output of a command."""

    code: int
    out: str
    err: str


async def started(command: str, url: str) -> Program:
    environment = {**os.environ, "REDRIVE_DATABASE_URL": url}
    return await start_program("redrive-server", *command.split(), environment=environment, stdout=PIPE, stderr=PIPE)


async def run(command: str, url: str) -> Ended:
    process = await started(command, url)
    out, err = await process.communicate()
    assert process.returncode is not None
    return Ended(process.returncode, out.decode(), err.decode())


def execute(url: str, statement: str) -> None:
    with closing(opened(url)) as store, store.transaction(commit=True) as sql:
        sql.execute(statement)


@pytest.fixture
async def server(tmp_path: Path, sandbox: SandboxProcess, database_url: str) -> AsyncIterator[ServerProcess]:
    settings = {"REDRIVE_DATABASE_URL": database_url, "REDRIVE_SECRET_KEY": KEY}
    async with running_server(tmp_path, sandbox.graph_url, settings) as server:
        yield server


async def send(client: Client, page: str = PAGE, *, people: int = 3) -> str:
    request = SendRequest(page_id=page, content=Content(text="Hi {{name}}"), recipients=recipients(people, "30"))
    message_id = (await client.send(request)).message.id
    await watch_until_done(client, message_id)
    return message_id


async def test_every_migration_prints_the_schema_version(database_url: str) -> None:
    for _ in range(2):
        assert await run("migrate", database_url) == Ended(0, "the database has schema version 1\n", "")


async def test_several_processes_may_migrate_an_empty_database_at_once(postgres_url: str) -> None:
    ends = await asyncio.gather(*(run("migrate", postgres_url) for _ in range(5)))

    assert ends == [Ended(0, "the database has schema version 1\n", "")] * 5


@pytest.mark.parametrize("command", ["", "migrate", "rebuild"])
async def test_a_newer_database_is_refused_with_one_line(database_url: str, command: str) -> None:
    execute(database_url, "UPDATE redrive_schema SET version = 3")

    end = await run(command, database_url)

    assert (end.code, end.out) == (1, "")
    assert re.fullmatch(r"redrive-server .*: the database has schema version 3, .*up to 2: .*\n", end.err)


async def test_a_rebuild_reports_that_all_tables_are_equal(database_url: str) -> None:
    with closing(opened(database_url)) as store:
        write_everything(store)

    end = await run("rebuild", database_url)

    assert (end.code, end.out) == (0, f"equal: all {len(read_models.TABLE_NAMES)} tables match the event store\n")
    assert re.search(r"position (\d+) of \1 in the event store", end.err)


async def test_a_rebuild_names_the_tables_that_it_replaced(database_url: str) -> None:
    with closing(opened(database_url)) as store:
        write_everything(store)
    execute(database_url, "UPDATE pages SET name = 'spoilt'")

    assert (await run("rebuild", database_url)).out == (
        "pages: replaced; rows only in the old table 1, only in the new one 1\n"
    )
    with closing(opened(database_url)) as store:
        assert differences(store) == {}


async def test_a_killed_rebuild_continues_at_its_position(database_url: str) -> None:
    with closing(opened(database_url)) as store:
        write_many(store, "7001", 15_000)
        write_everything(store)
    execute(database_url, "UPDATE pages SET name = 'spoilt'")

    process = await started("rebuild", database_url)
    assert process.stderr is not None
    while b"position 0 " in (line := await process.stderr.readline()):
        pass
    process.send_signal(signal.SIGKILL)
    await process.communicate()
    end = await run("rebuild", database_url)

    assert process.returncode == -signal.SIGKILL
    killed_at, continued_at = _position(line.decode()), _position(end.err)
    assert 0 < killed_at <= continued_at < 15_000
    assert (end.code, end.out.splitlines()) == (
        3,
        ["pages: replaced; rows only in the old table 2, only in the new one 2"],
    )


def _position(lines: str) -> int:
    """Return the first position in the output."""
    found = re.search(r"position (\d+) of", lines)
    assert found, lines
    return int(found.group(1))


async def test_a_rebuild_is_refused_while_a_server_runs(database_url: str, server: ServerProcess) -> None:
    async with client_of(server) as client:
        await client.put_page(PutPageRequest(page_id=PAGE, access_token="EAAG"))

        end = await run("rebuild", database_url)

        assert (end.code, end.out) == (1, "")
        assert re.fullmatch(r"redrive-server rebuild: .* (in use by another process|stop them first): .*\n", end.err)
        await send(client)


async def test_a_server_continues_with_rebuilt_tables(database_url: str, server: ServerProcess) -> None:
    async with client_of(server) as client:
        await client.put_page(PutPageRequest(page_id=PAGE, access_token="EAAG"))
        first = await send(client)
        before = await client.get_message(first)
    assert await server.stop() == 0
    execute(database_url, "UPDATE messages SET sent = 0, status = 'FAILED'")

    assert (await run("rebuild", database_url)).code == 3
    await server.start()

    async with client_of(server) as client:
        assert await client.get_message(first) == before
        assert (await client.get_message(await send(client))).counts.sent == 3
    assert await server.stop() == 0
    assert (await run("rebuild", database_url)).code == 0
