"""The open round in a message's row, with and without a canary, for any grouping of events into transactions."""

import pytest

from domain.canary import Canary, Trial
from domain.event import Event
from domain.message_events import MessageCancelled, RetryStopped
from projections import message_rows
from tests.builders import FAILED, MESSAGE, NOW, OWNER, batch_recipients, retry_requested
from tests.projections.driven_store import DrivenStore

TRIAL = Trial(canary=Canary(recipients=1), rest=2, as_of=3)
CANARY = retry_requested(trial=TRIAL, last_recipient="ann")
GOES_ON = retry_requested(goes_on=True, last_recipient="ann")
STOPPED = RetryStopped(message_id=MESSAGE, round=1, recipients=1, failed=1, unconfirmed=0, time=NOW)
CANCELLED = MessageCancelled(message_id=MESSAGE, requested_by=OWNER, time=NOW)
NEXT = retry_requested(first_batch=3, last_recipient="bob")
LAST = retry_requested(first_batch=4)
OF_ANOTHER_ROUND = retry_requested(round=2, first_batch=3)


@pytest.mark.parametrize("opens", [CANARY, GOES_ON])
@pytest.mark.parametrize("at_once", [False, True])
@pytest.mark.parametrize(
    ("events", "canary_round", "round_"),
    [
        ([], 1, 1),
        ([NEXT], 1, 1),
        ([NEXT, LAST], 0, 1),
        ([OF_ANOTHER_ROUND], 1, 2),
        ([OF_ANOTHER_ROUND, LAST], 0, 2),
        ([STOPPED], 0, 1),
        ([CANCELLED], 0, 1),
    ],
)
def test_the_row_has_the_open_round_until_it_ends(
    db: DrivenStore, opens: Event, events: list[Event], canary_round: int, round_: int, *, at_once: bool
) -> None:
    db.register_page()
    db.send(MESSAGE, {"ann": FAILED, "bob": FAILED, "cid": FAILED})
    batch = db.new_batches(MESSAGE, [batch_recipients("ann", attempt=2)], first=2, round=1)
    first: list[Event] = [opens, *events] if at_once else [opens]
    db.write(db.of_message(db.message(), *first), *batch)
    for event in [] if at_once else events:
        db.write(db.of_message(db.message(), event))

    row, message = db.row(), db.message()

    assert (row.canary_round, row.round) == (canary_round, round_)
    assert (message.open_round is not None, message.round) == (canary_round > 0, round_)
    assert db.ask(message_rows.with_canary) == ([MESSAGE] if canary_round else [])
    db.assert_rebuilt_equal()
