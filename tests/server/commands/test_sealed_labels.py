"""No title, page name or reason of a person stands in the database in clear, and rebuilds find the same rows."""

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
from server.crypto.labels import is_sealed
from server.eventstore.archive import archive_messages
from server.eventstore.commit import Commit
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
from tests.server.commands.desk import Desk

MARK = "Velveteen"
TITLE, STREAMED, NAME = f"{MARK} title", f"{MARK} streamed", f"{MARK} name"
HOLD_REASON, RESEND_REASON = f"{MARK} hold", f"{MARK} resend"
CLEAR = "marked-recipient"  # ids are not sealed: the search has to find this one
OLD_SERVER = "INSERT INTO workers (worker, lease_expire_time) VALUES ('old', :expires)"


@pytest.fixture
async def desk(database_url: str) -> AsyncIterator[Desk]:
    async with EventStore(opened(database_url)) as log:
        desk = Desk(log)
        await puts(desk).put(put_page(PAGE, name=NAME))
        yield desk


def puts(desk: Desk) -> PutPageService:
    return PutPageService(desk.log, desk.vault, TokenChannel(), desk.now, 10.0)


def holds(desk: Desk) -> PageHoldService:
    return PageHoldService(desk.log, desk.vault, desk.now)


async def page(desk: Desk) -> PageRow:
    row = await desk.log.read(lambda sql: pages.find(sql, PAGE))
    assert row is not None
    return row


async def label_everything(desk: Desk) -> str:
    """The id of a message that failed, was resent with a reason, and was taken by the timer; its page was held."""
    streamed = await desk.streams.open(send_message(title=STREAMED))
    await streamed.add(people("zoe"))
    await streamed.submit()
    message_id = await desk.sent({CLEAR: FAILED}, title=TITLE, retry_policy=cron())
    timer = RetryTimer(desk.log, desk.rounds, parse_timetable("900"), desk.now)
    (taken,) = await timer.run_now()
    assert desk.vault.labels.titles.open(taken.title, message_id) == TITLE
    await desk.deliver(message_id, {CLEAR: FAILED})
    await desk.complete(message_id)
    await desk.resends.resend(resend_message(message_id, reason=RESEND_REASON, request_id="r-1"))
    await holds(desk).hold(HoldPage(owner=OWNER, page_id=PAGE, reason=HOLD_REASON, request_id="r-2"))
    return message_id


def kept_files(database_url: str, folder: Path, since: float) -> Iterator[bytes]:
    """The bytes of the database's own files, its write-ahead log included."""
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


async def test_no_label_stands_in_the_files_of_the_database(desk: Desk, database_url: str, tmp_path: Path) -> None:
    started = time.time() - 1
    message_id = await label_everything(desk)

    files = list(kept_files(database_url, tmp_path, started))

    assert any(CLEAR.encode() in content for content in files)
    assert not any(MARK.encode() in content for content in files)
    row, held, labels = await desk.row(message_id), await page(desk), desk.vault.labels
    assert labels.titles.open(row.title, message_id) == TITLE
    assert labels.page_names.open(held.name, PAGE) == NAME
    assert held.hold is not None
    assert labels.hold_reasons.open(held.hold.reason, PAGE) == HOLD_REASON
    reasons = [one.reason for one in await desk.events(message_id) if isinstance(one, RetryRequested) and one.reason]
    assert [labels.resend_reasons.open(reason, message_id) for reason in reasons] == [RESEND_REASON]
    assert {labels.titles.open(one.title, one.message_id) for one in await desk.messages()} == {TITLE, STREAMED}


async def test_archived_events_hold_no_label_in_clear(database_url: str, tmp_path: Path) -> None:
    with closing(opened(database_url)) as store:
        await _sent_and_archived(store, tmp_path / "archive")
        (file,) = (tmp_path / "archive").glob("*.jsonl.gz")

        events = gzip.decompress(file.read_bytes())

        assert CLEAR.encode() in events
        assert MARK.encode() not in events
        assert differences(store, tmp_path / "archive") == {}


async def _sent_and_archived(store: Store, folder: Path) -> None:
    log = EventStore(store)
    desk = Desk(log)
    await desk.register_page()
    await desk.sent({CLEAR: FAILED}, title=TITLE)
    assert archive_messages(store, folder, after(10**7), after(10**7)).messages == 1


async def test_a_rebuild_finds_the_same_sealed_labels(desk: Desk) -> None:
    assert isinstance(desk.log, EventStore)
    message_id = await label_everything(desk)
    before = await desk.row(message_id), await page(desk)

    store = desk.log._store  # an embedded database opens once only
    assert differences(store) == {}
    assert rebuild(store) == {}

    assert (await desk.row(message_id), await page(desk)) == before
    assert desk.vault.labels.titles.open(before[0].title, message_id) == TITLE


async def test_beside_a_server_of_the_release_before_labels_that_it_shows_stay_clear(desk: Desk) -> None:
    """It knows titles and names of pages, and no holds; a new database is not closed to it by then."""
    await desk.log.commit(Commit([], also=_open_to_older_server))

    message_id = await desk.send(people("ann"), title=TITLE)
    streamed = await desk.streams.open(send_message(title=STREAMED))
    await streamed.add(people("zoe"))
    await streamed.submit()
    await puts(desk).put(put_page(PAGE, name="Another name"))

    assert {row.title for row in await desk.messages()} == {TITLE, STREAMED}
    assert (await page(desk)).name == "Another name"
    assert desk.vault.labels.titles.open((await desk.row(message_id)).title, message_id) == TITLE


def _open_to_older_server(sql: Sql) -> None:
    sql.execute("UPDATE redrive_schema SET version = 1")
    if sql.log_position == "notification_id":  # on PostgreSQL the first news forbids leases without a release
        sql.execute("ALTER TABLE workers ALTER COLUMN release SET DEFAULT 0")
    sql.execute(OLD_SERVER, {"expires": sql.clock() + 60_000_000})


async def test_the_name_of_a_page_is_sealed_once_and_again_only_when_it_differs(desk: Desk) -> None:
    first = (await page(desk)).name
    await puts(desk).put(put_page(PAGE, name=NAME, messages_per_second=20.0))
    same = (await page(desk)).name
    await puts(desk).put(put_page(PAGE, name=f"{NAME} too"))

    assert is_sealed(first)
    assert same == first
    assert desk.vault.labels.page_names.open((await page(desk)).name, PAGE) == f"{NAME} too"


async def test_a_clear_name_of_a_release_before_is_sealed_when_it_is_put_again(desk: Desk) -> None:
    await desk.append(page_stream(PAGE), 1, page_settings_changed(name=NAME))
    await puts(desk).put(put_page(PAGE, access_token="another-token"))
    unnamed = (await page(desk)).name

    await puts(desk).put(put_page(PAGE, name=NAME))

    assert unnamed == NAME
    assert is_sealed((await page(desk)).name)


async def test_a_fault_that_holds_a_page_says_why_as_the_platform_does(desk: Desk) -> None:
    """An error of the platform is no label of a person: it stands in clear, as in deliveries."""
    await holds(desk).hold_for(PAGE, FAILED.fault, token_generation=1)

    held = (await desk.log.load(page_stream(PAGE)))[-1]
    assert isinstance(held, PageHeld)
    assert held.hold.reason == FAILED.fault.message


async def test_a_repeated_request_with_a_reason_gets_the_first_answer(desk: Desk) -> None:
    message_id = await label_everything(desk)

    again = await desk.resends.resend(resend_message(message_id, reason=RESEND_REASON, request_id="r-1"))
    await holds(desk).hold(HoldPage(owner=OWNER, page_id=PAGE, reason=HOLD_REASON, request_id="r-2"))

    assert again.recipients == 1
    reasons = [one for one in await desk.events(message_id) if isinstance(one, RetryRequested) and one.reason]
    assert len(reasons) == 1
    assert sum(isinstance(one, PageHeld) for one in await desk.log.load(page_stream(PAGE))) == 1
