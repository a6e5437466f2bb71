"""Recipients, rounds, archivable messages and erased people as readers find them."""

from typing import Any

import pytest

from domain.delivery import DeliveryStatus
from domain.message_events import MessageArchived
from domain.retention_events import PersonErased
from domain.streams import person_stream
from projections import archivable_messages, batches, erasures, recipient_rows
from projections.archivable_messages import ArchivableMessage
from projections.delivery_rows import DeliveryFilter
from projections.sql import micros
from server.eventstore.commit import StreamEvents
from tests.builders import (
    FAILED,
    FAILED_FOR_GOOD,
    MESSAGE,
    NOW,
    OWNER,
    SENT,
    UNCONFIRMED,
    after,
    auto,
    batch_recipients,
    message_paused,
    retry_requested,
)
from tests.projections.driven_store import DrivenStore

LATER = micros(after(60))


def resend_to_bob(db: DrivenStore) -> None:
    """A message with four outcomes, and a batch of a second round that is pending."""
    db.send(MESSAGE, {"ann": SENT, "bob": FAILED, "carl": FAILED_FOR_GOOD, "dora": UNCONFIRMED})
    db.write(
        db.of_message(db.message(), retry_requested()),
        *db.new_batches(MESSAGE, [batch_recipients("bob", attempt=2, origin=(1, 1))], first=2, round=1),
    )


# Recipients


@pytest.mark.parametrize(
    ("wanted", "after_id", "found"),
    [
        ({}, "", ["ann", "bob", "carl", "dora"]),
        ({}, "bob", ["carl", "dora"]),
        ({"recipient_id": "carl"}, "", ["carl"]),
        ({"statuses": ("SENT",)}, "", ["ann"]),
        ({"statuses": ("FAILED", "UNCONFIRMED")}, "", ["carl", "dora"]),
        ({"error_types": ("INVALID_RECIPIENT",)}, "", ["carl"]),
    ],
)
def test_recipients_are_listed_by_id_as_the_filter_says(
    db: DrivenStore, wanted: dict[str, Any], after_id: str, found: list[str]
) -> None:
    resend_to_bob(db)

    rows = db.ask(
        lambda sql: recipient_rows.list_recipients(
            sql, DeliveryFilter(**{"message_id": MESSAGE, **wanted}), after=after_id, limit=10
        )
    )

    assert [row.recipient_id for row in rows] == found


def test_the_place_of_a_recipient_is_that_of_the_first_round(db: DrivenStore) -> None:
    resend_to_bob(db)

    origins = db.ask(lambda sql: recipient_rows.origins(sql, [(MESSAGE, "bob"), (MESSAGE, "nil"), ("m-9", "ann")]))

    assert origins == {(MESSAGE, "bob"): (1, 1)}


# Rounds


def test_a_round_is_over_when_all_of_its_batches_have_ended(db: DrivenStore) -> None:
    resend_to_bob(db)

    first = db.ask(lambda sql: batches.result_of(sql, MESSAGE, first=1, count=1))
    both = db.ask(lambda sql: batches.result_of(sql, MESSAGE, first=1, count=2))

    assert (first.have_ended, first.failed, first.unconfirmed) == (True, 2, 1)
    assert (both.have_ended, both.failed, both.unconfirmed) == (False, 0, 0)


def test_attempts_are_counted_by_round_and_status(db: DrivenStore) -> None:
    resend_to_bob(db)

    rounds = db.ask(lambda sql: batches.attempt_counts_by_round(sql, MESSAGE, [0, 1, 7]))

    counts = {number: {status: count for status, count in row.items() if count} for number, row in rounds.items()}
    assert counts == {
        0: {DeliveryStatus.SENT: 1, DeliveryStatus.FAILED: 2, DeliveryStatus.UNCONFIRMED: 1},
        1: {DeliveryStatus.PENDING: 1},
    }


# Archives


def test_a_message_that_nothing_will_change_may_be_archived(db: DrivenStore) -> None:
    db.send("done", {"ann": SENT})
    db.send("failed", {"ann": FAILED})
    db.send("retried later", {"ann": FAILED}, retry_policy=auto())
    db.submit("pending", "ann")
    db.send("paused", {"ann": FAILED}, retry_policy=auto())
    db.write(db.of_message(db.message("paused"), message_paused(message_id="paused")))

    found = db.ask(lambda sql: archivable_messages.list_archivable(sql, LATER, after="", limit=10))

    assert found == [ArchivableMessage("done", OWNER, 1), ArchivableMessage("failed", OWNER, 1)]
    assert db.ask(lambda sql: archivable_messages.list_archivable(sql, LATER, after="done", limit=10)) == found[1:]
    assert db.ask(lambda sql: archivable_messages.list_archivable(sql, micros(NOW), after="", limit=10)) == []
    assert db.ask(lambda sql: archivable_messages.is_archivable(sql, "done", LATER))
    assert not db.ask(lambda sql: archivable_messages.is_archivable(sql, "pending", LATER))


def test_an_archived_message_with_events_left_in_the_log_is_found(db: DrivenStore) -> None:
    resend_to_bob(db)
    db.deliver(MESSAGE, 2, {"bob": SENT})
    assert db.ask(archivable_messages.archived_with_events_left) == []

    message = db.message()
    version = message.version + 1
    archived = MessageArchived(
        message_id=MESSAGE, owner=OWNER, version=version, events=9, file="a.gz", digest="0" * 64, time=after(9)
    )
    db.write(db.of_message(message, archived))

    assert db.ask(archivable_messages.archived_with_events_left) == [MESSAGE]
    assert db.ask(lambda sql: archivable_messages.batch_keys(sql, MESSAGE)) == [(0, 1), (0, 2)]
    assert not db.ask(lambda sql: archivable_messages.is_archivable(sql, MESSAGE, LATER))


# Erasures


def test_an_erased_person_has_no_name_and_is_found_as_erased(db: DrivenStore) -> None:
    db.send(MESSAGE, {"ann": SENT, "bob": SENT})
    db.send("m-2", {"ann": FAILED}, at=3)
    assert db.ask(lambda sql: erasures.messages_of_person(sql, "ann")) == [MESSAGE, "m-2"]
    assert not db.ask(lambda sql: erasures.is_erased(sql, "ann"))

    erased = PersonErased(recipient_id="ann", messages=(MESSAGE, "m-2"), requested_by=OWNER, time=after(9))
    db.write(StreamEvents(person_stream("ann"), 0, [erased]))

    assert db.ask(lambda sql: erasures.messages_of_person(sql, "ann")) == []
    assert db.ask(lambda sql: erasures.is_erased(sql, "ann"))
    assert db.ask(lambda sql: erasures.ever_erased(sql, ["ann", "bob"])) == {"ann"}
    assert db.ask(lambda sql: erasures.ever_erased(sql, [])) == frozenset()
    assert db.ask(lambda sql: erasures.erased_recipients(sql, MESSAGE, ["ann", "bob"])) == {"ann"}
    assert not db.rows("SELECT 1 FROM deliveries WHERE recipient_id = 'ann' AND recipient_name <> ''")
    db.assert_rebuilt_equal()
