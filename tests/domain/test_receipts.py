"""Receipts of a batch: which ones are new, and their effect when a claim is taken over or released."""

import pytest

from domain import batch_decisions
from domain.batch import apply
from domain.batch_decisions import WORKER_LOST
from domain.batch_events import OutcomesRecorded
from domain.delivery import delivery_id, parse_delivery_id
from domain.outcome import Sent, Unconfirmed
from domain.receipts import BatchReceipts, fold, new_receipt_indexes
from tests.builders import LEASE, NOW, after, batch_created, dispatched_batch, known
from tests.domain.batch_event_builders import COMPLETED
from tests.receipts import delivered, echo, read, receipts_recorded

NOTHING = BatchReceipts()


def test_an_empty_stream_has_no_receipts() -> None:
    assert fold([]) == NOTHING
    assert NOTHING.sent() == {}


def test_receipts_reject_events_of_other_streams() -> None:
    with pytest.raises(TypeError, match="BatchCreated"):
        fold([batch_created()])


def test_an_echo_is_new_once() -> None:
    recorded = fold([receipts_recorded(echo(0))])

    assert new_receipt_indexes(recorded, [echo(0, "m_other"), echo(1), echo(1)]) == (1,)


def test_receipts_before_their_echo_are_ignored() -> None:
    assert new_receipt_indexes(NOTHING, [delivered(0), read(0)]) == ()
    assert new_receipt_indexes(NOTHING, [delivered(0), echo(0), delivered(0), read(0)]) == (1, 2, 3)


def test_delivered_and_read_are_new_once_after_an_echo() -> None:
    recorded = fold([receipts_recorded(echo(0)), receipts_recorded(read(0))])

    assert recorded.version == 2
    assert new_receipt_indexes(recorded, [read(0), delivered(0), delivered(0)]) == (1,)


def test_an_echo_proves_a_delivery_as_sent() -> None:
    recorded = fold([receipts_recorded(echo(1, "m_1"), delivered(1)), receipts_recorded(echo(3, "m_3", at=2))])

    assert recorded.sent() == {1: known(1, Sent("m_1")), 3: known(3, Sent("m_3"), after(2))}


def test_a_takeover_marks_only_deliveries_without_a_receipt_unconfirmed() -> None:
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


def test_a_release_records_deliveries_with_a_receipt_as_sent() -> None:
    batch = dispatched_batch("ann", "bob")
    receipts = fold([receipts_recorded(echo(0, "m_0"))]).sent()

    (recorded, *_) = batch_decisions.release(batch, now=NOW, receipts=receipts)

    assert isinstance(recorded, OutcomesRecorded)
    assert [known.outcome for known in recorded.outcomes] == [Sent("m_0"), Unconfirmed(WORKER_LOST)]
    assert apply(batch, [recorded]).sending == ()


def test_receipts_do_not_change_deliveries_with_an_outcome() -> None:
    batch = dispatched_batch("ann", "bob")
    batch = apply(batch, batch_decisions.record(batch, [known(0), known(1)], now=NOW))

    assert batch_decisions.release(batch, now=NOW, receipts=fold([receipts_recorded(echo(0))]).sent()) == ()


def test_a_delivery_id_can_be_parsed_from_metadata() -> None:
    assert parse_delivery_id(delivery_id("m-1", 12, 99)) == ("m-1", 12, 99)
    assert parse_delivery_id(delivery_id("a.b.1", 1, 0)) == ("a.b.1", 1, 0)


@pytest.mark.parametrize(
    "metadata", ["", "m-1", "m-1.1", "m-1.1.", ".1.1", "m-1.1.x", "m-1.-1.0", "m-1.1.1 ", "m-1.1234567890.1", "m\0.1.1"]
)
def test_other_metadata_is_no_delivery_id(metadata: str) -> None:
    assert parse_delivery_id(metadata) is None
