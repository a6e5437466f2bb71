"""ErasePerson, on both databases: the erased recipient's data cannot be read, and all other data is unchanged."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

import psycopg
import pytest

from domain.commands import ErasePerson, Recipient
from domain.errors import OlderReleaseRunning, PersonNotFound, RequestIdReused
from domain.streams import batch_stream, message_stream
from projections.delivery_rows import DeliveryFilter
from projections.recipient_rows import RecipientRow, list_recipients
from projections.sql import Row, Sql
from server.commands.erasure import ErasureService
from server.eventstore.event_store import EventStore
from server.eventstore.rebuild import differences
from server.queries.history import History
from server.queries.recipient_names import RecipientNames
from tests.builders import FAILED, OWNER, after, batch_created, message_submitted, people, send_message
from tests.databases import opened
from tests.server.commands.command_harness import ALL, CommandHarness

ANN = Recipient(id="ann", name="Annabel Marked", variables={"city": "Marked-on-Sea"})
BOB = Recipient(id="bob", name="Bob", variables={"city": "Hue"})
TEXT = "{{name}} of {{city}}"
OLD_SERVER = "INSERT INTO workers (worker, lease_expire_time) VALUES ('old', :expires)"


@pytest.fixture
async def harness(database_url: str) -> AsyncIterator[CommandHarness]:
    async with EventStore(opened(database_url)) as log:
        harness = CommandHarness(log)
        await harness.register_page()
        yield harness


async def erase(harness: CommandHarness, recipient_id: str = "ann", **fields: str) -> int:
    service = ErasureService(harness.log, harness.vault, harness.now)
    return await service.erase(ErasePerson(owner=OWNER, recipient_id=recipient_id, **fields))


async def test_an_erased_recipient_has_no_name_and_others_keep_theirs(harness: CommandHarness) -> None:
    first, second = await harness.send([ANN, BOB], text=TEXT), await harness.send([ANN], text=TEXT)
    other = await harness.send([BOB], text=TEXT)

    assert await erase(harness) == 2

    assert await harness.names(first) == {"ann": "", "bob": "Bob"}
    assert await harness.names(second) == {"ann": ""}
    assert await harness.names(other) == {"bob": "Bob"}
    assert (await harness.row(first)).total == 2


async def test_a_second_erasure_changes_nothing(harness: CommandHarness) -> None:
    await harness.send([ANN])
    await erase(harness)
    before = await harness.contents()

    assert await erase(harness) == 0
    assert await harness.contents() == before


async def test_a_recipient_without_messages_is_not_found(harness: CommandHarness) -> None:
    await harness.send([BOB])

    with pytest.raises(PersonNotFound) as refused:
        await erase(harness)
    assert refused.value.metadata == {"recipient_id": "ann"}


async def test_a_repeated_request_gets_the_first_answer(harness: CommandHarness) -> None:
    await harness.send([ANN])

    assert await erase(harness, request_id="r-1") == 1
    assert await erase(harness, request_id="r-1") == 1
    with pytest.raises(RequestIdReused):
        await erase(harness, "bob", request_id="r-1")


async def test_two_concurrent_erasures_are_one(harness: CommandHarness) -> None:
    await harness.send([ANN])

    assert sorted(await asyncio.gather(erase(harness), erase(harness))) == [0, 1]


async def test_a_recipient_that_is_sent_to_again_has_a_name_again(harness: CommandHarness) -> None:
    before = await harness.send([ANN], text=TEXT)
    await erase(harness)
    since = await harness.send([ANN], text=TEXT)

    assert await harness.names(before) == {"ann": ""}
    assert await harness.names(since) == {"ann": "Annabel Marked"}
    assert await erase(harness) == 1
    assert await harness.names(since) == {"ann": ""}


async def test_two_concurrent_first_sends_can_both_be_read_and_both_be_erased(harness: CommandHarness) -> None:
    sent = await asyncio.gather(*(harness.send([ANN], text=TEXT) for _ in range(2)))

    assert [await harness.names(message_id) for message_id in sent] == [{"ann": "Annabel Marked"}] * 2
    assert await erase(harness) == 2
    assert [await harness.names(message_id) for message_id in sent] == [{"ann": ""}] * 2


async def test_a_recipient_with_only_an_id_can_be_erased(harness: CommandHarness) -> None:
    await harness.send([Recipient(id="ann")], text="Dear all")

    assert await erase(harness) == 1
    assert await harness.log.read(lambda sql: sql.rows("SELECT * FROM person_keys")) == []


async def test_a_resend_uses_the_names_of_the_first_round(harness: CommandHarness) -> None:
    message_id = await harness.send([ANN, BOB], text=TEXT)
    await harness.deliver(message_id, {"ann": FAILED, "bob": FAILED})
    await erase(harness)
    await harness.resend(message_id)

    assert await harness.taken(message_id) == ["ann", "bob"]
    assert await harness.names(message_id) == {"ann": "", "bob": "Bob"}


async def test_the_keys_of_an_interrupted_stream_are_deleted(harness: CommandHarness) -> None:
    stream = await harness.streams.open(send_message(text=TEXT))
    await stream.add([ANN, *people(*map(str, range(1_500)))])
    assert len(await harness.log.read(lambda sql: sql.rows("SELECT * FROM person_keys"))) == 10

    await stream.abandon("it broke off")

    assert await harness.log.read(lambda sql: sql.rows("SELECT * FROM person_keys")) == []


async def test_past_states_do_not_name_an_erased_recipient(harness: CommandHarness) -> None:
    """This holds for messages of this release, and of the earlier one, which stored names in plain text."""
    message_id = await harness.send([ANN, BOB], text=TEXT)
    old = await written_before(harness)
    moment, history = harness.now(), History(harness.log, lambda: after(10_000))
    await erase(harness)

    for then in (message_id, old):
        rows = await history.ask(OWNER, then, moment, partial(all_recipients, message_id=then))
        named = await RecipientNames(harness.log, harness.vault).open_in(rows)
        assert {row.recipient_id: row.recipient_name for row in named} == {"ann": "", "bob": "Bob"}
    history.close()


def found(sql: Sql, statement: str) -> Sequence[Row]:
    return sql.rows(statement)


def all_recipients(sql: Sql, message_id: str) -> Sequence[RecipientRow]:
    return list_recipients(sql, DeliveryFilter(message_id=message_id), after="", limit=ALL)


async def written_before(harness: CommandHarness) -> str:
    """Append a message to Ann and Bob as the earlier release wrote it."""
    await harness.append(message_stream("old"), 0, message_submitted(2, message_id="old"))
    await harness.append(batch_stream("old", 0, 1), 0, batch_created("ann", "bob", message_id="old"))
    return "old"


async def test_plain_text_names_are_shown_until_they_are_erased(harness: CommandHarness) -> None:
    message_id = await written_before(harness)
    assert await harness.names(message_id) == {"ann": "Ann", "bob": "Bob"}

    assert await erase(harness) == 1

    assert await harness.names(message_id) == {"ann": "", "bob": "Bob"}
    for table in ("recipients", "deliveries"):
        query = f"SELECT 1 FROM {table} WHERE recipient_name = 'Ann'"  # noqa: S608
        assert await harness.log.read(partial(found, statement=query)) == []


async def test_names_are_readable_by_an_older_server_while_it_runs(harness: CommandHarness) -> None:
    await write_tables(harness, lambda sql: sql.execute(OLD_SERVER, {"expires": sql.clock() + 60_000_000}))

    message_id = await harness.send([ANN, BOB], text=TEXT)

    (created,) = await harness.created(message_id, round_=0)
    assert (created.recipients[0].name, created.sealed_by_person) == ("Annabel Marked", False)
    key = await harness.log.read(harness.vault.message_key(message_id))
    assert key.open_variables(created.sealed_variables, 1) == [ANN.variables, BOB.variables]
    with pytest.raises(OlderReleaseRunning):
        await erase(harness)

    await write_tables(harness, lambda sql: sql.execute("DELETE FROM workers"))
    assert await erase(harness) == 1
    assert await harness.names(message_id) == {"ann": "", "bob": "Bob"}


async def write_tables(harness: CommandHarness, write: Callable[[Sql], None]) -> None:
    await harness.log.write(write)


# Stored data


async def test_rebuilt_read_models_are_equal_before_and_after_an_erasure(database_url: str) -> None:
    with closing(opened(database_url)) as store:
        async with EventStore(store) as log:
            harness = CommandHarness(log)
            await harness.register_page()
            message_id = await harness.sent({"ann": FAILED, "bob": FAILED})
            await harness.resend(message_id)
            await written_before(harness)

            assert differences(store) == {}
            await erase(harness)
            await harness.deliver(message_id, {"ann": FAILED})
            await harness.send([ANN], text=TEXT)
            assert differences(store) == {}


async def test_no_name_or_variable_is_stored_in_plain_text_and_the_key_is_deleted(
    database_url: str, tmp_path: Path
) -> None:
    async with EventStore(opened(database_url)) as log:
        harness = CommandHarness(log)
        await harness.register_page()
        message_id = await harness.send([ANN, BOB], text=TEXT, request_id="r-1")
        await harness.deliver(message_id, {"ann": FAILED})
        await harness.resend(message_id)
        (kept,) = await log.read(lambda sql: sql.rows("SELECT * FROM person_keys"))
        before = everything(database_url, tmp_path)
        assert b'["ann","",2,1,0,0]' in before  # the search finds unencrypted values, in events too
        assert kept["sealed"].encode() in before
        assert b"Marked" not in before

        await erase(harness, request_id="r-2")

        since = everything(database_url, tmp_path)
        assert kept["sealed"].encode() not in since
        assert b"Marked" not in since
        assert await harness.names(message_id) == {"ann": "", "bob": "Bob"}


def everything(database_url: str, folder: Path) -> bytes:
    """Return all bytes of the database's files; on PostgreSQL, of its tables."""
    if database_url.startswith("sqlite"):
        return b"".join(path.read_bytes() for path in folder.iterdir() if path.name.startswith("redrive.db"))
    found = b""
    with psycopg.connect(database_url) as connection:
        for (table,) in connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"):
            with connection.cursor().copy(f"COPY {table} TO STDOUT") as rows:
                found += b"".join(map(bytes, rows))
    return found + b"".join(bytes.fromhex(part.decode()) for part in _hexadecimal(found))


def _hexadecimal(text: bytes) -> list[bytes]:
    """Return the form in which COPY writes events: \\\\x and hexadecimal digits."""
    return [field[3:] for line in text.splitlines() for field in line.split(b"\t") if field.startswith(b"\\\\x")]
