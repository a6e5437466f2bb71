"""A repeated request gets the first answer: across an upgrade, with older servers running, after a rotation."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from typing import Any
from uuid import UUID, uuid5

import pytest

from domain.commands import SendMessage
from domain.errors import Aborted, OlderReleaseRunning, RedriveError, RequestIdReused, StreamInProgress
from domain.message import is_keyed
from projections.sql import Sql
from server.commands.send import SendAnswer, SendService
from server.commands.send_stream import StreamSendService
from server.crypto import rotation, server_keys
from server.crypto.key_ring import new_key
from server.crypto.keyed_ids import older_message_id
from server.crypto.vault import Vault
from server.eventstore import schema
from server.eventstore.event_store import EventStore
from server.eventstore.rebuild import differences
from server.eventstore.store import Store
from tests.builders import OWNER, WORKER, crowd, send_message
from tests.databases import opened
from tests.keyed_ids import KEY, message_id_for
from tests.server.commands.command_harness import CommandHarness

OLDER = UUID("5d3c0d7e-52a4-4cf2-9c8f-0e3a6f2f8b11")
REQUEST = send_message(request_id="r-1")
OLDER_ID = str(uuid5(OLDER, f"{OWNER}\x00r-1"))
PEOPLE = crowd(3)
MINUTE = 60_000_000  # microseconds


@pytest.fixture
def store(database_url: str) -> Store:
    return opened(database_url)


@pytest.fixture
async def harness(store: Store) -> AsyncIterator[CommandHarness]:
    async with EventStore(store) as log:
        harness = CommandHarness(log)
        await harness.register_page()
        yield harness


class OlderIds:
    """Ids of the earlier release, which also finds repeated requests by them."""

    def message_of(self, _sql: Sql, owner: str, _method: str, request_id: str) -> str:
        return older_message_id(owner, request_id)

    def message_answered(self, _answered: Any, owner: str, request_id: str) -> str:
        return older_message_id(owner, request_id)


class Server:
    """The calls Send and SendStream of one server."""

    def __init__(self, harness: CommandHarness, *, is_older: bool = False, vault: Vault | None = None) -> None:
        vault = vault or Vault(KEY)
        if is_older:
            older: Any = OlderIds()
            vault.ids = older
        self.sends = SendService(harness.log, vault, harness.now)
        self.streams = StreamSendService(harness.log, vault, self.sends, harness.now, WORKER)

    async def send(self, command: SendMessage = REQUEST) -> SendAnswer:
        return await self.sends.send(command, PEOPLE)

    async def stream(self, command: SendMessage = REQUEST) -> SendAnswer:
        stream = await self.streams.open(command)
        try:
            await stream.add(PEOPLE)
            return await stream.submit()
        except RedriveError:
            await stream.abandon("refused")
            raise


async def remove_answers(harness: CommandHarness) -> None:
    """Remove the stored answers' message ids, as the earlier release did not store them."""

    def forget(sql: Sql) -> None:
        sql.execute("UPDATE requests SET answer = :answer", {"answer": '{"duplicates_dropped": 0}'})

    await harness.log.write(forget)


async def start_older_server(harness: CommandHarness) -> None:
    def lease(sql: Sql) -> None:
        statement = "INSERT INTO workers (worker, lease_expire_time, release) VALUES ('older', :until, 0)"
        sql.execute(statement, {"until": sql.clock() + MINUTE})

    await harness.log.write(lease)


async def end_older_server(harness: CommandHarness) -> None:
    await harness.log.write(lambda sql: sql.execute("DELETE FROM workers"))


async def only_message(harness: CommandHarness) -> str:
    """Return the id of the only message, which must be complete and visible."""
    [row] = await harness.messages()
    assert row.total == len(PEOPLE)
    return row.message_id


@pytest.mark.parametrize(("first", "again"), list(itertools.product(("send", "stream"), repeat=2)))
async def test_a_request_from_before_the_upgrade_gets_its_first_answer(
    harness: CommandHarness, first: str, again: str
) -> None:
    before = await getattr(Server(harness, is_older=True), first)()
    await remove_answers(harness)

    for _ in range(2):
        repeated = await getattr(Server(harness), again)()
        assert (repeated.message.message_id, repeated.duplicates_dropped) == (before.message.message_id, 0)
    assert await only_message(harness) == OLDER_ID


async def test_a_request_from_before_the_upgrade_with_another_payload_is_refused(harness: CommandHarness) -> None:
    await Server(harness, is_older=True).send()
    await remove_answers(harness)
    other = send_message("Another text", request_id="r-1")

    for repeat in (Server(harness).send(other), Server(harness).stream(other)):
        with pytest.raises(RequestIdReused):
            await repeat
    assert await only_message(harness) == OLDER_ID


@pytest.mark.parametrize(("first", "again"), list(itertools.product(("send", "stream"), repeat=2)))
async def test_both_releases_answer_each_others_requests_while_both_run(
    harness: CommandHarness, first: str, again: str
) -> None:
    await start_older_server(harness)
    older, newer = Server(harness, is_older=True), Server(harness)

    answers = [
        await getattr(newer, first)(),
        await getattr(older, again)(),
        await getattr(newer, again)(),
    ]

    assert {answer.message.message_id for answer in answers} == {OLDER_ID} == {await only_message(harness)}
    await end_older_server(harness)
    assert (await getattr(newer, first)()).message.message_id == OLDER_ID


async def test_concurrent_requests_to_both_releases_make_one_message_each(harness: CommandHarness) -> None:
    await start_older_server(harness)
    servers = [Server(harness, is_older=True), Server(harness), Server(harness)]
    requests = [send_message(request_id=f"r-{number}") for number in range(10)]

    async def sent(server: Server, request: SendMessage) -> str:
        for _ in range(20):
            with suppress(Aborted, StreamInProgress):
                return (await server.send(request)).message.message_id
        raise AssertionError("no answer")

    found = await asyncio.gather(*(sent(server, request) for request in requests for server in servers))

    assert [len(set(found[start : start + 3])) for start in range(0, 30, 3)] == [1] * 10
    assert len(await harness.messages()) == 10


async def test_without_older_servers_ids_cannot_be_computed_without_the_key(harness: CommandHarness) -> None:
    await start_older_server(harness)
    await Server(harness).send()
    await end_older_server(harness)

    for number, kind in enumerate(("send", "stream"), start=2):
        request = send_message(request_id=f"r-{number}")
        message_id = (await getattr(Server(harness), kind)(request)).message.message_id
        assert message_id == message_id_for(OWNER, f"r-{number}")
        assert message_id != older_message_id(OWNER, f"r-{number}")
    assert is_keyed((await Server(harness).send(send_message())).message.message_id)
    assert await harness.log.read(schema.version_of) == schema.VERSION, "older servers are refused from now on"


@pytest.mark.parametrize("kind", ["send", "stream"])
async def test_a_send_planned_before_an_older_server_started_is_refused(
    harness: CommandHarness, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(
        "server.crypto.keyed_ids.older_release_is_running", lambda _sql: False
    )  # it was not running a moment ago
    await start_older_server(harness)

    with pytest.raises(OlderReleaseRunning):
        await getattr(Server(harness), kind)()

    assert await harness.messages() == []
    monkeypatch.undo()
    assert (await getattr(Server(harness), kind)()).message.message_id == OLDER_ID


@pytest.mark.parametrize(("loser", "winner"), [(True, False), (False, True)])
async def test_servers_that_disagree_about_older_servers_make_one_message(
    harness: CommandHarness, monkeypatch: pytest.MonkeyPatch, *, loser: bool, winner: bool
) -> None:
    """One server has noticed the older server before the other: both plan, and one of them writes."""
    monkeypatch.setattr("server.crypto.keyed_ids.older_release_is_running", lambda _sql: loser)
    late = Server(harness)
    stream = await late.streams.open(REQUEST)
    await stream.add(PEOPLE)
    monkeypatch.setattr("server.crypto.keyed_ids.older_release_is_running", lambda _sql: winner)
    first = await Server(harness).send()

    with pytest.raises(Aborted):
        await stream.submit()
    await stream.abandon("refused")

    assert await only_message(harness) == first.message.message_id
    assert (await late.stream()).message.message_id == first.message.message_id


@pytest.mark.parametrize(("first", "again"), list(itertools.product(("send", "stream"), repeat=2)))
async def test_a_repeat_after_key_rotations_gets_the_first_answer(
    harness: CommandHarness, store: Store, first: str, again: str
) -> None:
    answers = [await getattr(Server(harness), first)()]
    old = KEY
    for new in (new_key(), new_key()):
        await asyncio.to_thread(rotation.rotate, store, old, new)
        old = new
        with store.transaction(commit=False) as sql:
            vault = Vault(new, server_keys.payload_key(sql, new))
        answers.append(await getattr(Server(harness, vault=vault), again)())

    assert {answer.message.message_id for answer in answers} == {await only_message(harness)}
    assert await asyncio.to_thread(differences, store) == {}


async def test_rebuilt_read_models_answer_repeated_requests(harness: CommandHarness, store: Store) -> None:
    first: Sequence[SendAnswer] = [await Server(harness).send(send_message(request_id=f"r-{n}")) for n in range(3)]

    assert await asyncio.to_thread(differences, store) == {}

    again = [await Server(harness).send(send_message(request_id=f"r-{n}")) for n in range(3)]
    assert [one.message.message_id for one in again] == [one.message.message_id for one in first]
