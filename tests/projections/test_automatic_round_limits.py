"""Limit and suspension of automatic rounds in a message's row are the same as in its stream and after a rebuild."""

import pytest

from domain.canary import Canary, Trial
from domain.event import Event
from domain.message_events import MessageCancelled, MessageCompleted, RetryStopped
from domain.retry import RetryTrigger
from projections import message_rows
from tests.builders import (
    FAILED,
    MESSAGE,
    NOW,
    OWNER,
    batch_recipients,
    message_paused,
    message_resumed,
    retry_requested,
)
from tests.projections.driven_store import DrivenStore

CANARY = retry_requested(
    trial=Trial(canary=Canary(recipients=1), rest=2, as_of=3), last_recipient="ann", automatic_from_batch=2
)
STOPPED = RetryStopped(
    message_id=MESSAGE, round=1, recipients=1, failed=1, unconfirmed=0, suspends_automatic_rounds=True, time=NOW
)
DONE = MessageCompleted(message_id=MESSAGE, time=NOW)
CANCELLED = MessageCancelled(message_id=MESSAGE, requested_by=OWNER, time=NOW)


@pytest.mark.parametrize("at_once", [False, True])
@pytest.mark.parametrize(
    ("events", "limit", "is_suspended"),
    [
        ([], 2, False),
        ([STOPPED], 2, True),
        ([STOPPED, DONE, message_resumed()], 0, False),
        ([message_paused(), message_resumed()], 2, False),
        ([STOPPED, DONE, retry_requested(first_batch=3, round=2)], 0, False),
        ([STOPPED, DONE, retry_requested(first_batch=3, automatic_from_batch=2)], 2, True),
        ([STOPPED, DONE, retry_requested(RetryTrigger.AUTO, first_batch=3, round=2, automatic_from_batch=2)], 2, True),
        ([STOPPED, CANCELLED], 2, False),
    ],
)
def test_the_row_has_the_same_limit_and_suspension_as_the_stream(
    db: DrivenStore, events: list[Event], limit: int, *, is_suspended: bool, at_once: bool
) -> None:
    db.register_page()
    db.send(MESSAGE, {"ann": FAILED, "bob": FAILED, "cid": FAILED})
    batch = db.new_batches(MESSAGE, [batch_recipients("ann", attempt=2)], first=2, round=1)
    first: list[Event] = [CANARY, *events] if at_once else [CANARY]
    db.write(db.of_message(db.message(), *first), *batch)
    for event in [] if at_once else events:
        db.write(db.of_message(db.message(), event))

    row, message = db.row(), db.message()

    assert (row.automatic_from_batch, row.suspended) == (limit, is_suspended)
    assert (message.automatic_from_batch, message.suspended) == (limit, is_suspended)
    assert db.ask(message_rows.changed_late) == []
    db.assert_rebuilt_equal()
