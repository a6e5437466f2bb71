"""Titles, page names and reasons are never stored in plain text, and rebuilds restore the same rows."""

import gzip
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from domain.commands import HoldPage
from domain.message_events import RetryRequested
from domain.page_events import PageHeld
from domain.streams import page_stream
from projections import pages
from projections.pages import PageRow
from projections.sql import Sql
from server.background.retry_timer import RetryTimer
from server.background.timetable import parse_timetable
from server.commands.pages import PageHoldService, PutPageService
from server.eventstore.archive import archive_messages
from server.eventstore.codec import is_sealed_label
from server.eventstore.event_store import EventStore
from server.eventstore.rebuild import differences, rebuild
from server.eventstore.store import Store
from tests.builders import (
    FAILED,
    OWNER,
    PAGE,
    after,
    cron,
    page_settings_changed,
    people,
    put_page,
    resend_message,
    send_message,
)
from tests.databases import opened
from tests.server.api.edge import TokenChannel
from tests.server.commands.command_harness import CommandHarness

MARK = "Velveteen"
TITLE, STREAMED, NAME = f"{MARK} title", f"{MARK} streamed", f"{MARK} name"
HOLD_REASON, RESEND_REASON = f"{MARK} hold", f"{MARK} resend"
CLEAR = "marked-recipient"  # ids are not sealed, so the search must find this one
OLD_SERVER = "INSERT INTO workers (worker, lease_expire_time) VALUES ('old', :expires)"


@pytest.fixture
async def harness(database_url: str) -> AsyncIterator[CommandHarness]:
    async with EventStore(opened(database_url)) as log:
        harness = CommandHarness(log)
        await puts(harness).put(put_page(PAGE, name=NAME))
        yield harness


def puts(harness: CommandHarness) -> PutPageService:
    return PutPageService(harness.log, harness.vault, TokenChannel(), harness.now, 10.0)


def holds(harness: CommandHarness) -> PageHoldService:
    return PageHoldService(harness.log, harness.vault, harness.now)


async def page(harness: CommandHarness) -> PageRow:
    row = await harness.log.read(lambda sql: pages.find(sql, PAGE))
    assert row is not None
    return row


async def label_everything(harness: CommandHarness) -> str:
    """Create a message with a title that failed, was resent with a reason, and taken by the timer; hold its page."""
    streamed = await harness.streams.open(send_message(title=STREAMED))
    await streamed.add(people("zoe"))
    await streamed.submit()
    message_id = await harness.sent({CLEAR: FAILED}, title=TITLE, retry_policy=cron())
    timer = RetryTimer(harness.log, harness.rounds, parse_timetable("900"), harness.now)
    (taken,) = await timer.run_now()
    assert harness.vault.labels.titles.open(taken.title, message_id) == TITLE
    await harness.deliver(message_id, {CLEAR: FAILED})
    await harness.complete(message_id)
    await harness.resends.resend(resend_message(message_id, reason=RESEND_REASON, request_id="r-1"))
    await holds(harness).hold(HoldPage(owner=OWNER, page_id=PAGE, reason=HOLD_REASON, request_id="r-2"))
    return message_id


def kept_files(database_url: str, folder: Path, since: float) -> Iterator[bytes]:
    """Yield the bytes of the database's own files, including its write-ahead log."""
    if database_url.startswith("sqlite"):
        yield from (path.read_bytes() for path in folder.glob("redrive.db*"))
        return
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("CHECKPOINT")
        row = connection.execute(
            "SELECT current_setting('data_directory'), oid FROM pg_database WHERE datname = current_database()"
        ).fetchone()
    assert row is not None
    data = Path(row[0])
    yield from (path.read_bytes() for path in (data / "base" / str(row[1])).iterdir())
    written = (path for path in (data / "pg_wal").iterdir() if path.is_file() and path.stat().st_mtime >= since)
    yield from (path.read_bytes() for path in written)


async def test_no_label_is_in_the_files_of_the_database(
    harness: CommandHarness, database_url: str, tmp_path: Path
) -> None:
    started = time.time() - 1
    message_id = await label_everything(harness)

    files = list(kept_files(database_url, tmp_path, started))

    assert any(CLEAR.encode() in content for content in files)
    assert not any(MARK.encode() in content for content in files)
    row, held, labels = await harness.row(message_id), await page(harness), harness.vault.labels
    assert labels.titles.open(row.title, message_id) == TITLE
    assert labels.page_names.open(held.name, PAGE) == NAME
    assert held.hold is not None
    assert labels.hold_reasons.open(held.hold.reason, PAGE) == HOLD_REASON
    reasons = [one.reason for one in await harness.events(message_id) if isinstance(one, RetryRequested) and one.reason]
    assert [labels.resend_reasons.open(reason, message_id) for reason in reasons] == [RESEND_REASON]
    assert {labels.titles.open(one.title, one.message_id) for one in await harness.messages()} == {TITLE, STREAMED}


async def test_archived_events_contain_no_plain_text_label(database_url: str, tmp_path: Path) -> None:
    with closing(opened(database_url)) as store:
        await _sent_and_archived(store, tmp_path / "archive")
        (file,) = (tmp_path / "archive").glob("*.jsonl.gz")

        events = gzip.decompress(file.read_bytes())

        assert CLEAR.encode() in events
        assert MARK.encode() not in events
        assert differences(store, tmp_path / "archive") == {}


async def _sent_and_archived(store: Store, folder: Path) -> None:
    log = EventStore(store)
    harness = CommandHarness(log)
    await harness.register_page()
    await harness.sent({CLEAR: FAILED}, title=TITLE)
    assert archive_messages(store, folder, after(10**7), after(10**7)).messages == 1


async def test_a_rebuild_restores_the_sealed_labels(harness: CommandHarness) -> None:
    assert isinstance(harness.log, EventStore)
    message_id = await label_everything(harness)
    before = await harness.row(message_id), await page(harness)

    store = harness.log._store  # an embedded database can only be opened once
    assert differences(store) == {}
    assert rebuild(store) == {}

    assert (await harness.row(message_id), await page(harness)) == before
    assert harness.vault.labels.titles.open(before[0].title, message_id) == TITLE


async def test_labels_that_an_older_server_shows_stay_readable_while_it_runs(harness: CommandHarness) -> None:
    """It shows titles and page names, and has no holds; a new database is still open to it."""
    await harness.log.write(_open_to_older_server)

    message_id = await harness.send(people("ann"), title=TITLE)
    streamed = await harness.streams.open(send_message(title=STREAMED))
    await streamed.add(people("zoe"))
    await streamed.submit()
    await puts(harness).put(put_page(PAGE, name="Another name"))

    assert {row.title for row in await harness.messages()} == {TITLE, STREAMED}
    assert (await page(harness)).name == "Another name"
    assert harness.vault.labels.titles.open((await harness.row(message_id)).title, message_id) == TITLE


def _open_to_older_server(sql: Sql) -> None:
    sql.execute("UPDATE redrive_schema SET version = 1")
    if sql.log_position == "notification_id":  # on PostgreSQL the first new event blocks leases without a release
        sql.execute("ALTER TABLE workers ALTER COLUMN release SET DEFAULT 0")
    sql.execute(OLD_SERVER, {"expires": sql.clock() + 60_000_000})


async def test_a_page_name_is_sealed_once_and_again_only_when_it_changes(harness: CommandHarness) -> None:
    first = (await page(harness)).name
    await puts(harness).put(put_page(PAGE, name=NAME, messages_per_second=20.0))
    same = (await page(harness)).name
    await puts(harness).put(put_page(PAGE, name=f"{NAME} too"))

    assert is_sealed_label(first)
    assert same == first
    assert harness.vault.labels.page_names.open((await page(harness)).name, PAGE) == f"{NAME} too"


async def test_a_plain_text_name_of_an_earlier_release_is_sealed_when_it_is_put_again(harness: CommandHarness) -> None:
    await harness.append(page_stream(PAGE), 1, page_settings_changed(name=NAME))
    await puts(harness).put(put_page(PAGE, access_token="another-token"))
    unnamed = (await page(harness)).name

    await puts(harness).put(put_page(PAGE, name=NAME))

    assert unnamed == NAME
    assert is_sealed_label((await page(harness)).name)


async def test_the_reason_of_an_automatic_hold_is_the_platforms_error(harness: CommandHarness) -> None:
    """An error of the platform is not a person's text: it is stored in plain text, as in deliveries."""
    await holds(harness).hold_for(PAGE, FAILED.fault, token_generation=1)

    held = (await harness.log.load(page_stream(PAGE)))[-1]
    assert isinstance(held, PageHeld)
    assert held.hold.reason == FAILED.fault.message


async def test_a_repeated_request_with_a_reason_gets_the_first_answer(harness: CommandHarness) -> None:
    message_id = await label_everything(harness)

    again = await harness.resends.resend(resend_message(message_id, reason=RESEND_REASON, request_id="r-1"))
    await holds(harness).hold(HoldPage(owner=OWNER, page_id=PAGE, reason=HOLD_REASON, request_id="r-2"))

    assert again.recipients == 1
    reasons = [one for one in await harness.events(message_id) if isinstance(one, RetryRequested) and one.reason]
    assert len(reasons) == 1
    assert sum(isinstance(one, PageHeld) for one in await harness.log.load(page_stream(PAGE))) == 1
