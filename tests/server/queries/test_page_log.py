"""A message's log with the events of its page, on both databases."""

from collections import Counter
from collections.abc import AsyncIterator

import pytest

from domain.event import Event
from domain.message_events import MessageCompleted
from domain.streams import batch_stream, message_stream, page_stream
from server.eventstore.commit import Commit, Committed, StreamEvents
from server.eventstore.event_store import EventStore
from server.queries import message_events
from server.queries.message_events import EventFilter, list_events
from tests.builders import (
    MESSAGE,
    NOW,
    OWNER,
    PAGE,
    batch_created,
    message_submitted,
    page_held,
    page_registered,
    page_released,
    page_settings_changed,
    page_token_replaced,
    retry_requested,
)
from tests.databases import opened

COMPLETED = MessageCompleted(message_id=MESSAGE, time=NOW)
EXPECTED = (
    "MessageSubmitted",
    "BatchCreated",
    "PageHeld",
    "PageTokenReplaced",
    "PageReleased",
    "MessageCompleted",
    "PageHeld",
    "RetryRequested",
    "BatchCreated",
    "MessageCompleted",
)


ON_PAGE, OF_MESSAGE = page_stream(PAGE), message_stream(MESSAGE)
FIRST, SECOND = (batch_stream(MESSAGE, 0, number) for number in (1, 2))

# A message that was resent; its page was held before, during and after it.
WRITTEN: tuple[tuple[str, Event], ...] = (
    (ON_PAGE, page_registered()),
    (ON_PAGE, page_held()),
    (ON_PAGE, page_released(2)),
    (OF_MESSAGE, message_submitted(1)),
    (FIRST, batch_created("ann")),
    (ON_PAGE, page_settings_changed()),
    (ON_PAGE, page_settings_changed()),
    (ON_PAGE, page_held()),
    (ON_PAGE, page_token_replaced(3)),
    (ON_PAGE, page_settings_changed()),
    (ON_PAGE, page_released(3)),
    (OF_MESSAGE, COMPLETED),
    (ON_PAGE, page_held()),
    (OF_MESSAGE, retry_requested()),
    (SECOND, batch_created("ann", batch_number=2, round=1)),
    (OF_MESSAGE, COMPLETED),
    (ON_PAGE, page_released(4)),
    (ON_PAGE, page_settings_changed()),
    (ON_PAGE, page_held()),
)


@pytest.fixture
async def log(database_url: str) -> AsyncIterator[EventStore]:
    versions = Counter[str]()
    async with EventStore(opened(database_url)) as log:
        for stream, event in WRITTEN:
            result = await log.commit(Commit([StreamEvents(stream, versions[stream], [event])]))
            assert isinstance(result, Committed)
            versions[stream] += 1
        yield log


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
@pytest.mark.parametrize("part", [1, 2, 500])
@pytest.mark.parametrize("most_bytes", [1, 700, message_events.MAX_PAGE_BYTES])
async def test_each_event_appears_once_in_log_order(
    log: EventStore, monkeypatch: pytest.MonkeyPatch, part: int, limit: int, most_bytes: int
) -> None:
    monkeypatch.setattr(message_events, "EVENTS_AT_ONCE", part)
    monkeypatch.setattr(message_events, "MAX_PAGE_BYTES", most_bytes)
    wanted = EventFilter(owner=OWNER, message_id=MESSAGE)

    found = list((await list_events(log, wanted, after=0, limit=limit)).events)
    while more := (await list_events(log, wanted, after=found[-1].position, limit=limit)).events:
        assert len(more) <= limit
        found += more

    assert tuple(type(one.event).__name__ for one in found) == EXPECTED
    positions = [one.position for one in found]
    assert positions == sorted(set(positions))


async def test_batch_events_can_be_excluded(log: EventStore) -> None:
    wanted = EventFilter(owner=OWNER, message_id=MESSAGE, without_batches=True)

    found = (await list_events(log, wanted, after=0, limit=100)).events

    assert [type(one.event).__name__ for one in found] == [name for name in EXPECTED if name != "BatchCreated"]


async def test_a_single_batch_has_no_page_events(log: EventStore) -> None:
    wanted = EventFilter(owner=OWNER, message_id=MESSAGE, batch_number=2)

    assert [one.stream for one in (await list_events(log, wanted, after=0, limit=100)).events] == [SECOND]
