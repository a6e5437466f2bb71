"""ErasePerson, on both databases: what was kept of a person can be read by nobody, and all else is as it was."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

import psycopg
import pytest

from domain.commands import ErasePerson
from domain.errors import OlderReleaseLives, PersonNotFound, RequestIdReused
from domain.recipient import Recipient
from domain.streams import batch_stream, message_stream
from projections.delivery_rows import DeliveryFilter
from projections.recipient_rows import RecipientRow, recipients
from projections.sql import Row, Sql
from server.commands.erasure import ErasureService
from server.eventstore.commit import Commit
from server.eventstore.event_store import EventStore
from server.eventstore.rebuild import differences
from server.queries.history import History
from server.queries.recipient_names import Names
from tests.builders import FAILED, OWNER, after, batch_created, message_submitted, people, send_message
from tests.databases import opened
from tests.server.commands.desk import EVERY, Desk

ANN = Recipient(id="ann", name="Annabel Marked", variables={"city": "Marked-on-Sea"})
BOB = Recipient(id="bob", name="Bob", variables={"city": "Hue"})
TEXT = "{{name}} of {{city}}"
OLD_SERVER = "INSERT INTO workers (worker, lease_expire_time) VALUES ('old', :expires)"


@pytest.fixture
async def desk(database_url: str) -> AsyncIterator[Desk]:
    async with EventStore(opened(database_url)) as log:
        desk = Desk(log)
        await desk.register_page()
        yield desk


async def erase(desk: Desk, recipient_id: str = "ann", **fields: str) -> int:
    service = ErasureService(desk.log, desk.vault, desk.now)
    return await service.erase(ErasePerson(owner=OWNER, recipient_id=recipient_id, **fields))


async def test_a_person_who_was_erased_has_no_name_and_others_keep_theirs(desk: Desk) -> None:
    first, second = await desk.send([ANN, BOB], text=TEXT), await desk.send([ANN], text=TEXT)
    other = await desk.send([BOB], text=TEXT)

    assert await erase(desk) == 2

    assert await desk.names(first) == {"ann": "", "bob": "Bob"}
    assert await desk.names(second) == {"ann": ""}
    assert await desk.names(other) == {"bob": "Bob"}
    assert (await desk.row(first)).total == 2


async def test_to_erase_again_changes_nothing(desk: Desk) -> None:
    await desk.send([ANN])
    await erase(desk)
    before = await desk.contents()

    assert await erase(desk) == 0
    assert await desk.contents() == before


async def test_a_person_whom_no_message_knows_is_not_found(desk: Desk) -> None:
    await desk.send([BOB])

    with pytest.raises(PersonNotFound) as refused:
        await erase(desk)
    assert refused.value.metadata == {"recipient_id": "ann"}


async def test_a_request_that_is_repeated_gets_the_first_answer(desk: Desk) -> None:
    await desk.send([ANN])

    assert await erase(desk, request_id="r-1") == 1
    assert await erase(desk, request_id="r-1") == 1
    with pytest.raises(RequestIdReused):
        await erase(desk, "bob", request_id="r-1")


async def test_two_erasures_at_once_are_one(desk: Desk) -> None:
    await desk.send([ANN])

    assert sorted(await asyncio.gather(erase(desk), erase(desk))) == [0, 1]


async def test_who_is_sent_to_again_has_a_name_again(desk: Desk) -> None:
    before = await desk.send([ANN], text=TEXT)
    await erase(desk)
    since = await desk.send([ANN], text=TEXT)

    assert await desk.names(before) == {"ann": ""}
    assert await desk.names(since) == {"ann": "Annabel Marked"}
    assert await erase(desk) == 1
    assert await desk.names(since) == {"ann": ""}


async def test_two_first_sends_at_once_can_both_be_read_and_both_be_erased(desk: Desk) -> None:
    sent = await asyncio.gather(*(desk.send([ANN], text=TEXT) for _ in range(2)))

    assert [await desk.names(message_id) for message_id in sent] == [{"ann": "Annabel Marked"}] * 2
    assert await erase(desk) == 2
    assert [await desk.names(message_id) for message_id in sent] == [{"ann": ""}] * 2


async def test_whoever_has_only_an_id_can_be_erased_too(desk: Desk) -> None:
    await desk.send([Recipient(id="ann")], text="Dear all")

    assert await erase(desk) == 1
    assert await desk.log.read(lambda sql: sql.rows("SELECT * FROM person_keys")) == []


async def test_a_resends_names_are_those_of_the_first_round(desk: Desk) -> None:
    message_id = await desk.send([ANN, BOB], text=TEXT)
    await desk.deliver(message_id, {"ann": FAILED, "bob": FAILED})
    await erase(desk)
    await desk.resend(message_id)

    assert await desk.taken(message_id) == ["ann", "bob"]
    assert await desk.names(message_id) == {"ann": "", "bob": "Bob"}


async def test_what_a_stream_left_when_it_broke_off_can_be_read_by_nobody(desk: Desk) -> None:
    stream = await desk.streams.open(send_message(text=TEXT))
    await stream.add([ANN, *people(*map(str, range(1_500)))])
    assert len(await desk.log.read(lambda sql: sql.rows("SELECT * FROM person_keys"))) == 10

    await stream.abandon("it broke off")

    assert await desk.log.read(lambda sql: sql.rows("SELECT * FROM person_keys")) == []


async def test_the_past_does_not_name_who_was_erased_since(desk: Desk) -> None:
    """By this release, and by the one before, which wrote names in the clear."""
    message_id = await desk.send([ANN, BOB], text=TEXT)
    old = await written_before(desk)
    moment, history = desk.now(), History(desk.log, lambda: after(10_000))
    await erase(desk)

    for then in (message_id, old):
        rows = await history.ask(OWNER, then, moment, partial(everybody, message_id=then))
        named = await Names(desk.log, desk.vault).shown(rows)
        assert {row.recipient_id: row.recipient_name for row in named} == {"ann": "", "bob": "Bob"}
    history.close()


def found(sql: Sql, statement: str) -> Sequence[Row]:
    return sql.rows(statement)


def everybody(sql: Sql, message_id: str) -> Sequence[RecipientRow]:
    return recipients(sql, DeliveryFilter(message_id=message_id), after="", limit=EVERY)


async def written_before(desk: Desk) -> str:
    """A message of Ann and Bob as the release before wrote it."""
    await desk.append(message_stream("old"), 0, message_submitted(2, message_id="old"))
    await desk.append(batch_stream("old", 0, 1), 0, batch_created("ann", "bob", message_id="old"))
    return "old"


async def test_names_in_the_clear_are_shown_until_they_are_erased(desk: Desk) -> None:
    message_id = await written_before(desk)
    assert await desk.names(message_id) == {"ann": "Ann", "bob": "Bob"}

    assert await erase(desk) == 1

    assert await desk.names(message_id) == {"ann": "", "bob": "Bob"}
    for table in ("recipients", "deliveries"):
        query = f"SELECT 1 FROM {table} WHERE recipient_name = 'Ann'"  # noqa: S608
        assert await desk.log.read(partial(found, statement=query)) == []


async def test_beside_a_server_of_the_release_before_names_are_as_it_reads_them(desk: Desk) -> None:
    await beside(desk, lambda sql: sql.execute(OLD_SERVER, {"expires": sql.clock() + 60_000_000}))

    message_id = await desk.send([ANN, BOB], text=TEXT)

    (created,) = await desk.created(message_id, round_=0)
    assert (created.recipients[0].name, created.sealed_by_person) == ("Annabel Marked", False)
    key = await desk.log.read(desk.vault.message_key(message_id))
    assert key.open_variables(created.sealed_variables, 1) == [ANN.variables, BOB.variables]
    with pytest.raises(OlderReleaseLives):
        await erase(desk)

    await beside(desk, lambda sql: sql.execute("DELETE FROM workers"))
    assert await erase(desk) == 1
    assert await desk.names(message_id) == {"ann": "", "bob": "Bob"}


async def beside(desk: Desk, write: Callable[[Sql], None]) -> None:
    await desk.log.commit(Commit([], also=write))


# What is kept


async def test_read_models_made_anew_are_as_they_were_before_and_after(database_url: str) -> None:
    with closing(opened(database_url)) as store:
        async with EventStore(store) as log:
            desk = Desk(log)
            await desk.register_page()
            message_id = await desk.sent({"ann": FAILED, "bob": FAILED})
            await desk.resend(message_id)
            await written_before(desk)

            assert differences(store) == {}
            await erase(desk)
            await desk.deliver(message_id, {"ann": FAILED})
            await desk.send([ANN], text=TEXT)
            assert differences(store) == {}


async def test_neither_a_name_nor_a_variable_is_ever_in_the_clear_and_the_key_is_gone(
    database_url: str, tmp_path: Path
) -> None:
    async with EventStore(opened(database_url)) as log:
        desk = Desk(log)
        await desk.register_page()
        message_id = await desk.send([ANN, BOB], text=TEXT, request_id="r-1")
        await desk.deliver(message_id, {"ann": FAILED})
        await desk.resend(message_id)
        (kept,) = await log.read(lambda sql: sql.rows("SELECT * FROM person_keys"))
        before = everything(database_url, tmp_path)
        assert b'["ann","",2,1,0,0]' in before  # the search finds what stands in the clear, in the events too
        assert kept["sealed"].encode() in before
        assert b"Marked" not in before

        await erase(desk, request_id="r-2")

        since = everything(database_url, tmp_path)
        assert kept["sealed"].encode() not in since
        assert b"Marked" not in since
        assert await desk.names(message_id) == {"ann": "", "bob": "Bob"}


def everything(database_url: str, folder: Path) -> bytes:
    """Every byte of the database's files; on PostgreSQL, of its tables."""
    if database_url.startswith("sqlite"):
        return b"".join(path.read_bytes() for path in folder.iterdir() if path.name.startswith("redrive.db"))
    found = b""
    with psycopg.connect(database_url) as connection:
        for (table,) in connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"):
            with connection.cursor().copy(f"COPY {table} TO STDOUT") as rows:
                found += b"".join(map(bytes, rows))
    return found + b"".join(bytes.fromhex(part.decode()) for part in _hexadecimal(found))


def _hexadecimal(text: bytes) -> list[bytes]:
    r"""What COPY writes as \\x and hexadecimal digits: the events."""
    return [field[3:] for line in text.splitlines() for field in line.split(b"\t") if field.startswith(b"\\\\x")]
