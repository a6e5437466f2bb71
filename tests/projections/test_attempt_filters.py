"""Lists of attempts, whatever their filter, show just the attempts that match, in order, page by page."""

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
A_PAGE = 3


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    """One message: a batch of all sorts, one that was sent whole, a sort of each, one that waits, and a resend."""
    with closing(opened(database_url)) as store:
        append(store, message_stream(MESSAGE), 0, message_submitted(38, batches=4))
        for number, (size, outcomes) in enumerate(((14, OUTCOMES), (10, ALL_SENT), (7, OUTCOMES), (7, ())), start=1):
            _batch(store, number, [f"u{number}{place:02}" for place in range(size)], outcomes)
        append(store, message_stream(MESSAGE), 1, retry_requested(first_batch=5, recipients=2))
        _batch(store, 5, ["u101", "u108"], (FAILED, SENT), attempt=2)
        yield store


def _batch(store: Store, number: int, people: Sequence[str], outcomes: Sequence[Outcome], attempt: int = 1) -> None:
    """Sent with these outcomes, one after the other and again from the first; with none it waits."""
    stream = batch_stream(MESSAGE, 0, number)
    created = batch_created(*batch_recipients(*people, attempt=attempt), batch_number=number, round=attempt - 1)
    append(store, stream, 0, created)
    if outcomes:
        came: Mapping[str, Outcome] = dict(zip(people, itertools.cycle(outcomes), strict=False))
        append(store, stream, 1, *delivered(batches.fold([created]), came))


def listed(store: Store, wanted: DeliveryFilter, size: int) -> list[DeliveryRow]:
    """All pages of a list, one after the other."""
    rows: list[DeliveryRow] = []
    after = (0, 0)
    while True:
        with store.transaction(commit=False) as sql:
            page = delivery_rows.attempts(sql, wanted, after=after, limit=size)
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


def test_each_filter_shows_just_the_attempts_that_match(store: Store) -> None:
    everything = listed(store, DeliveryFilter(message_id=MESSAGE), 1_000)
    found = set[int]()

    for statuses, error_types, recipient_id in itertools.product(STATUSES, ERROR_TYPES, ("", "u101", "nobody")):
        wanted = DeliveryFilter(
            message_id=MESSAGE, statuses=statuses, error_types=error_types, recipient_id=recipient_id
        )
        expected = [row for row in everything if is_wanted(row, wanted)]
        assert listed(store, wanted, A_PAGE) == expected, wanted
        found.add(len(expected))

    assert len(everything) == 40
    assert max(found - {40}) > 4 * A_PAGE, "the filters are tried over several pages"


def test_attempts_of_another_message_are_not_shown(store: Store) -> None:
    assert listed(store, DeliveryFilter(message_id="m-2", statuses=("SENT",)), 10) == []
    assert listed(store, DeliveryFilter(message_id="m-2", error_types=("NETWORK",)), 10) == []
