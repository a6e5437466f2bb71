"""Receipts of a batch: what is news, and what they say at a take-over."""

import pytest

from domain import batch_decisions
from domain.batch import apply
from domain.batch_decisions import WORKER_LOST
from domain.batch_events import OutcomesRecorded
from domain.delivery import delivery_id, parse_delivery_id
from domain.outcome import Sent, Unconfirmed
from domain.receipts import BatchReceipts, fold, news
from tests.builders import LEASE, NOW, after, batch_created, dispatched_batch, known
from tests.domain.batch_facts import COMPLETED
from tests.receipts import delivered, echo, read, receipts_recorded

NOTHING = BatchReceipts()


def test_an_empty_stream_knows_nothing() -> None:
    assert fold([]) == NOTHING
    assert NOTHING.sent() == {}


def test_other_events_have_no_place_among_receipts() -> None:
    with pytest.raises(TypeError, match="BatchCreated"):
        fold([batch_created()])


def test_an_echo_is_news_once() -> None:
    book = fold([receipts_recorded(echo(0))])

    assert news(book, [echo(0, "m_other"), echo(1), echo(1)]) == (1,)


def test_of_what_was_not_echoed_nothing_else_is_heard() -> None:
    assert news(NOTHING, [delivered(0), read(0)]) == ()
    assert news(NOTHING, [delivered(0), echo(0), delivered(0), read(0)]) == (1, 2, 3)


def test_what_was_echoed_is_delivered_and_read_once() -> None:
    book = fold([receipts_recorded(echo(0)), receipts_recorded(read(0))])

    assert book.version == 2
    assert news(book, [read(0), delivered(0), delivered(0)]) == (1,)


def test_what_was_echoed_is_known_to_have_been_sent() -> None:
    book = fold([receipts_recorded(echo(1, "m_1"), delivered(1)), receipts_recorded(echo(3, "m_3", at=2))])

    assert book.sent() == {1: known(1, Sent("m_1")), 3: known(3, Sent("m_3"), after(2))}


def test_a_take_over_calls_only_that_unconfirmed_which_has_no_receipt() -> None:
    batch = dispatched_batch("ann", "bob", "cy")
    receipts = fold([receipts_recorded(echo(1, "m_1", at=-1))]).sent()

    events = batch_decisions.start(
        batch, worker="worker-2", generation=2, lease_expire_time=NOW + LEASE, now=NOW, receipts=receipts
    )

    recorded = events[1]
    assert isinstance(recorded, OutcomesRecorded)
    unconfirmed = Unconfirmed(WORKER_LOST)
    assert recorded.outcomes == (known(0, unconfirmed), known(1, Sent("m_1"), after(-1)), known(2, unconfirmed))
    assert events[2] == COMPLETED


def test_a_batch_is_let_go_with_what_its_receipts_say() -> None:
    batch = dispatched_batch("ann", "bob")
    receipts = fold([receipts_recorded(echo(0, "m_0"))]).sent()

    (recorded, *_) = batch_decisions.release(batch, now=NOW, receipts=receipts)

    assert isinstance(recorded, OutcomesRecorded)
    assert [known.outcome for known in recorded.outcomes] == [Sent("m_0"), Unconfirmed(WORKER_LOST)]
    assert apply(batch, [recorded]).sending == ()


def test_receipts_change_nothing_of_what_has_an_outcome() -> None:
    batch = dispatched_batch("ann", "bob")
    batch = apply(batch, batch_decisions.record(batch, [known(0), known(1)], now=NOW))

    assert batch_decisions.release(batch, now=NOW, receipts=fold([receipts_recorded(echo(0))]).sent()) == ()


def test_the_platform_hands_back_which_delivery_it_was() -> None:
    assert parse_delivery_id(delivery_id("m-1", 12, 99)) == ("m-1", 12, 99)
    assert parse_delivery_id(delivery_id("a.b.1", 1, 0)) == ("a.b.1", 1, 0)


@pytest.mark.parametrize(
    "metadata", ["", "m-1", "m-1.1", "m-1.1.", ".1.1", "m-1.1.x", "m-1.-1.0", "m-1.1.1 ", "m-1.1234567890.1", "m\0.1.1"]
)
def test_other_metadata_names_no_delivery(metadata: str) -> None:
    assert parse_delivery_id(metadata) is None
