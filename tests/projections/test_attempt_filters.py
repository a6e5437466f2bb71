"""Lists of attempts return exactly the attempts that match the filter, in order, page by page."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing

import pytest

from domain import batch as batches
from domain.outcome import Outcome
from domain.streams import batch_stream, message_stream
from projections import delivery_rows
from projections.delivery_rows import DeliveryFilter, DeliveryRow
from server.eventstore.store import Store
from tests.builders import (
    FAILED,
    FAILED_FOR_GOOD,
    FAILED_FOR_TOKEN,
    MESSAGE,
    SENT,
    UNCONFIRMED,
    batch_created,
    batch_recipients,
    delivered,
    message_submitted,
    retry_requested,
)
from tests.databases import opened
from tests.server.eventstore.whole_log import append

OUTCOMES = (SENT, FAILED, SENT, FAILED_FOR_GOOD, UNCONFIRMED, FAILED_FOR_TOKEN, SENT)
ALL_SENT = (SENT,)
STATUSES = (
    (),
    ("SENT",),
    ("FAILED",),
    ("UNCONFIRMED",),
    ("PENDING", "SENDING"),
    ("UNCONFIRMED", "SENT"),
    ("CANCELLED",),
)
ERROR_TYPES = ((), ("NETWORK",), ("INVALID_RECIPIENT", "NETWORK", "ACCESS_TOKEN"), ("OTHER",))
PAGE_SIZE = 3


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    """A message with mixed batches, a batch that is all sent, a pending batch and a resend."""
    with closing(opened(database_url)) as store:
        append(store, message_stream(MESSAGE), 0, message_submitted(38, batches=4))
        for number, (size, outcomes) in enumerate(((14, OUTCOMES), (10, ALL_SENT), (7, OUTCOMES), (7, ())), start=1):
            _batch(store, number, [f"u{number}{index:02}" for index in range(size)], outcomes)
        append(store, message_stream(MESSAGE), 1, retry_requested(first_batch=5, recipients=2))
        _batch(store, 5, ["u101", "u108"], (FAILED, SENT), attempt=2)
        yield store


def _batch(store: Store, number: int, people: Sequence[str], outcomes: Sequence[Outcome], attempt: int = 1) -> None:
    """Append a batch that is sent with these outcomes, repeated in a cycle; without outcomes it stays pending."""
    stream = batch_stream(MESSAGE, 0, number)
    created = batch_created(*batch_recipients(*people, attempt=attempt), batch_number=number, round=attempt - 1)
    append(store, stream, 0, created)
    if outcomes:
        by_recipient: Mapping[str, Outcome] = dict(zip(people, itertools.cycle(outcomes), strict=False))
        append(store, stream, 1, *delivered(batches.fold([created]), by_recipient))


def listed(store: Store, wanted: DeliveryFilter, size: int) -> list[DeliveryRow]:
    """Return the rows of all pages of a list."""
    rows: list[DeliveryRow] = []
    after = (0, 0)
    while True:
        with store.transaction(commit=False) as sql:
            page = delivery_rows.list_attempts(sql, wanted, after=after, limit=size)
        rows += page
        if len(page) < size:
            return rows
        after = (page[-1].batch_number, page[-1].position)


def is_wanted(row: DeliveryRow, wanted: DeliveryFilter) -> bool:
    return (
        wanted.recipient_id in ("", row.recipient_id)
        and (not wanted.statuses or row.status in wanted.statuses)
        and (not wanted.error_types or row.error_type in wanted.error_types)
    )


def test_each_filter_returns_exactly_the_matching_attempts(store: Store) -> None:
    all_attempts = listed(store, DeliveryFilter(message_id=MESSAGE), 1_000)
    sizes = set[int]()

    for statuses, error_types, recipient_id in itertools.product(STATUSES, ERROR_TYPES, ("", "u101", "unknown")):
        wanted = DeliveryFilter(
            message_id=MESSAGE, statuses=statuses, error_types=error_types, recipient_id=recipient_id
        )
        expected = [row for row in all_attempts if is_wanted(row, wanted)]
        assert listed(store, wanted, PAGE_SIZE) == expected, wanted
        sizes.add(len(expected))

    assert len(all_attempts) == 40
    assert max(sizes - {40}) > 4 * PAGE_SIZE, "some filtered lists have several pages"


def test_attempts_of_other_messages_are_not_returned(store: Store) -> None:
    assert listed(store, DeliveryFilter(message_id="m-2", statuses=("SENT",)), 10) == []
    assert listed(store, DeliveryFilter(message_id="m-2", error_types=("NETWORK",)), 10) == []
