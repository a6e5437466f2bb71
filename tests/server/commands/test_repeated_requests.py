"""A repeated request gets the first answer: over an upgrade, beside the release before, after a rotation."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from typing import Any
from uuid import UUID, uuid5

import pytest

from domain.commands import SendMessage
from domain.errors import Aborted, OlderReleaseLives, RedriveError, RequestIdReused, StreamInProgress
from domain.message_id import is_keyed
from projections.sql import Sql
from server.commands.send import SendAnswer, SendService
from server.commands.send_stream import StreamSendService
from server.crypto import rotation, server_keys
from server.crypto.key_ring import new_key
from server.crypto.keyed_ids import older_message_id
from server.crypto.vault import Vault
from server.eventstore import schema
from server.eventstore.commit import Commit
from server.eventstore.event_store import EventStore
from server.eventstore.rebuild import differences
from server.eventstore.store import Store
from tests.builders import OWNER, WORKER, crowd, send_message
from tests.databases import opened
from tests.keyed_ids import KEY, message_id_for
from tests.server.commands.desk import Desk

OLDER = UUID("5d3c0d7e-52a4-4cf2-9c8f-0e3a6f2f8b11")
REQUEST = send_message(request_id="r-1")
OLDER_ID = str(uuid5(OLDER, f"{OWNER}\x00r-1"))
PEOPLE = crowd(3)
MINUTE = 60_000_000  # microseconds


@pytest.fixture
def store(database_url: str) -> Store:
    return opened(database_url)


@pytest.fixture
async def desk(store: Store) -> AsyncIterator[Desk]:
    async with EventStore(store) as log:
        desk = Desk(log)
        await desk.register_page()
        yield desk


class OlderIds:
    """Ids as the release before makes them; it looks for a repeated request's message under this id too."""

    def message_of(self, _sql: Sql, owner: str, _method: str, request_id: str) -> str:
        return older_message_id(owner, request_id)

    def message_answered(self, _answered: Any, owner: str, request_id: str) -> str:
        return older_message_id(owner, request_id)


class Server:
    """What callers of one server reach: by Send, or by SendStream."""

    def __init__(self, desk: Desk, *, is_older: bool = False, vault: Vault | None = None) -> None:
        vault = vault or Vault(KEY)
        if is_older:
            older: Any = OlderIds()
            vault.ids = older
        self.sends = SendService(desk.log, vault, desk.now)
        self.streams = StreamSendService(desk.log, vault, self.sends, desk.now, WORKER)

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


async def as_the_release_before_left_it(desk: Desk) -> None:
    """Its answers name no message: the requests hold what duplicates were dropped, and nothing else."""

    def forget(sql: Sql) -> None:
        sql.execute("UPDATE requests SET answer = :answer", {"answer": '{"duplicates_dropped": 0}'})

    await desk.log.commit(Commit([], also=forget))


async def older_lease(desk: Desk) -> None:
    def lease(sql: Sql) -> None:
        statement = "INSERT INTO workers (worker, lease_expire_time, release) VALUES ('older', :until, 0)"
        sql.execute(statement, {"until": sql.clock() + MINUTE})

    await desk.log.commit(Commit([], also=lease))


async def end_of_older(desk: Desk) -> None:
    await desk.log.commit(Commit([], also=lambda sql: sql.execute("DELETE FROM workers")))


async def only_message(desk: Desk) -> str:
    """The id of the one message that there is, whole and visible."""
    [row] = await desk.messages()
    assert row.total == len(PEOPLE)
    return row.message_id


@pytest.mark.parametrize(("first", "again"), list(itertools.product(("send", "stream"), repeat=2)))
async def test_a_request_from_before_the_upgrade_gets_its_first_answer(desk: Desk, first: str, again: str) -> None:
    before = await getattr(Server(desk, is_older=True), first)()
    await as_the_release_before_left_it(desk)

    for _ in range(2):
        repeated = await getattr(Server(desk), again)()
        assert (repeated.message.message_id, repeated.duplicates_dropped) == (before.message.message_id, 0)
    assert await only_message(desk) == OLDER_ID


async def test_a_request_from_before_the_upgrade_with_another_payload_is_refused(desk: Desk) -> None:
    await Server(desk, is_older=True).send()
    await as_the_release_before_left_it(desk)
    other = send_message("Another text", request_id="r-1")

    for repeat in (Server(desk).send(other), Server(desk).stream(other)):
        with pytest.raises(RequestIdReused):
            await repeat
    assert await only_message(desk) == OLDER_ID


@pytest.mark.parametrize(("first", "again"), list(itertools.product(("send", "stream"), repeat=2)))
async def test_either_release_answers_what_the_other_took_while_both_work(desk: Desk, first: str, again: str) -> None:
    await older_lease(desk)
    older, newer = Server(desk, is_older=True), Server(desk)

    answers = [
        await getattr(newer, first)(),
        await getattr(older, again)(),
        await getattr(newer, again)(),
    ]

    assert {answer.message.message_id for answer in answers} == {OLDER_ID} == {await only_message(desk)}
    await end_of_older(desk)
    assert (await getattr(newer, first)()).message.message_id == OLDER_ID


async def test_requests_sent_to_both_releases_at_once_make_one_message_each(desk: Desk) -> None:
    await older_lease(desk)
    servers = [Server(desk, is_older=True), Server(desk), Server(desk)]
    requests = [send_message(request_id=f"r-{number}") for number in range(10)]

    async def sent(server: Server, request: SendMessage) -> str:
        for _ in range(20):
            with suppress(Aborted, StreamInProgress):
                return (await server.send(request)).message.message_id
        raise AssertionError("no answer")

    found = await asyncio.gather(*(sent(server, request) for request in requests for server in servers))

    assert [len(set(found[start : start + 3])) for start in range(0, 30, 3)] == [1] * 10
    assert len(await desk.messages()) == 10


async def test_once_the_release_before_is_gone_ids_cannot_be_computed_without_the_key(desk: Desk) -> None:
    await older_lease(desk)
    await Server(desk).send()
    await end_of_older(desk)

    for number, kind in enumerate(("send", "stream"), start=2):
        request = send_message(request_id=f"r-{number}")
        message_id = (await getattr(Server(desk), kind)(request)).message.message_id
        assert message_id == message_id_for(OWNER, f"r-{number}")
        assert message_id != older_message_id(OWNER, f"r-{number}")
    assert is_keyed((await Server(desk).send(send_message())).message.message_id)
    assert await desk.log.read(schema.version_of) == schema.VERSION, "the release before is refused from now on"


@pytest.mark.parametrize("kind", ["send", "stream"])
async def test_an_older_server_that_comes_while_a_send_is_planned_gets_no_keyed_message(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(
        "server.crypto.keyed_ids.older_release_is_running", lambda _sql: False
    )  # it was not there a moment ago
    await older_lease(desk)

    with pytest.raises(OlderReleaseLives):
        await getattr(Server(desk), kind)()

    assert await desk.messages() == []
    monkeypatch.undo()
    assert (await getattr(Server(desk), kind)()).message.message_id == OLDER_ID


@pytest.mark.parametrize(("loser", "winner"), [(True, False), (False, True)])
async def test_servers_that_disagree_whether_an_older_one_lives_make_one_message(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, *, loser: bool, winner: bool
) -> None:
    """One has read that before the other: both plan, and one of them writes."""
    monkeypatch.setattr("server.crypto.keyed_ids.older_release_is_running", lambda _sql: loser)
    late = Server(desk)
    stream = await late.streams.open(REQUEST)
    await stream.add(PEOPLE)
    monkeypatch.setattr("server.crypto.keyed_ids.older_release_is_running", lambda _sql: winner)
    first = await Server(desk).send()

    with pytest.raises(Aborted):
        await stream.submit()
    await stream.abandon("refused")

    assert await only_message(desk) == first.message.message_id
    assert (await late.stream()).message.message_id == first.message.message_id


@pytest.mark.parametrize(("first", "again"), list(itertools.product(("send", "stream"), repeat=2)))
async def test_a_repeat_after_rotations_of_the_key_gets_the_first_answer(
    desk: Desk, store: Store, first: str, again: str
) -> None:
    answers = [await getattr(Server(desk), first)()]
    old = KEY
    for new in (new_key(), new_key()):
        await asyncio.to_thread(rotation.rotate, store, old, new)
        old = new
        with store.transaction(commit=False) as sql:
            vault = Vault(new, server_keys.payload_key(sql, new))
        answers.append(await getattr(Server(desk, vault=vault), again)())

    assert {answer.message.message_id for answer in answers} == {await only_message(desk)}
    assert await asyncio.to_thread(differences, store) == {}


async def test_what_a_rebuild_makes_of_the_log_answers_repeats_too(desk: Desk, store: Store) -> None:
    first: Sequence[SendAnswer] = [await Server(desk).send(send_message(request_id=f"r-{n}")) for n in range(3)]

    assert await asyncio.to_thread(differences, store) == {}

    again = [await Server(desk).send(send_message(request_id=f"r-{n}")) for n in range(3)]
    assert [one.message.message_id for one in again] == [one.message.message_id for one in first]
