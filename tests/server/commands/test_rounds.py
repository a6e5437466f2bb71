"""What a resend makes: a round, once for each request."""

import msgspec
import pytest

from domain.batch_events import BatchRecipient
from domain.errors import MessageNotFound, RequestIdReused
from domain.fault import ErrorType
from domain.message_events import RetryRequested
from domain.retry import RetrySelection, RetryTrigger
from tests.builders import (
    FAILED,
    FAILED_FOR_GOOD,
    OWNER,
    SENT,
    cancel_message,
    crowd,
    people,
)
from tests.server.commands.desk import Desk

# What a round is


async def test_a_round_is_numbered_on_and_asked_for_by_somebody(desk: Desk) -> None:
    message_id = await desk.sent({"ann": FAILED, "bob": FAILED_FOR_GOOD})

    await desk.resend(message_id, error_types=(ErrorType.NETWORK,))

    requested = (await desk.events(message_id))[-1]
    assert isinstance(requested, RetryRequested)
    assert (requested.round, requested.trigger, requested.requested_by) == (1, RetryTrigger.MANUAL, OWNER)
    assert requested.selection == RetrySelection(error_types=(ErrorType.NETWORK,))
    assert (requested.first_batch, requested.batches, requested.recipients, requested.retry_count) == (2, 1, 1, 0)


async def test_a_second_attempt_knows_where_its_variables_stand(desk: Desk) -> None:
    message_id = await desk.send(crowd(150))
    await desk.deliver(message_id, {"u00120": FAILED})
    await desk.resend(message_id)
    await desk.deliver(message_id, {"u00120": FAILED})
    await desk.resend(message_id)

    (first,), (second,) = [(await desk.created(message_id, round_=n))[0].recipients for n in (1, 2)]

    assert first == BatchRecipient(id="u00120", name="", attempt_number=2, origin_batch=2, origin_position=20)
    assert second == msgspec.structs.replace(first, attempt_number=3)


async def test_a_resend_opens_a_message_that_was_done(desk: Desk) -> None:
    message_id = await desk.sent({"ann": FAILED, "bob": SENT})

    await desk.resend(message_id)

    row = await desk.row(message_id)
    assert (row.completed, row.status, row.round, row.retry_count) == (False, "SENDING", 1, 0)
    assert await desk.counts(message_id) == {"PENDING": 1, "SENT": 1}


async def test_a_round_that_takes_nobody_is_none(desk: Desk) -> None:
    message_id = await desk.sent({"ann": SENT})
    before = await desk.contents()

    started = await desk.resend(message_id)

    assert (started.recipients, started.batches, started.start_number) == (0, 0, 0)
    assert await desk.contents() == before
    assert (await desk.row(message_id)).completed


async def test_a_dry_run_changes_nothing(desk: Desk) -> None:
    message_id = await desk.sent({"ann": FAILED})
    before = await desk.contents()

    started = await desk.resend(message_id, validate_only=True, request_id="r-1")

    assert (started.recipients, started.start_number) == (1, 2)
    assert await desk.contents() == before


async def test_somebody_elses_message_cannot_be_resent(desk: Desk) -> None:
    message_id = await desk.sent({"ann": FAILED})

    with pytest.raises(MessageNotFound):
        await desk.resend(message_id, owner="somebody else")
    with pytest.raises(MessageNotFound):
        await desk.resend("no such message")


# The same request again


async def test_a_repeated_resend_gets_the_first_answer(desk: Desk) -> None:
    message_id = await desk.sent({"ann": FAILED, "bob": FAILED, "eve": SENT})
    first = await desk.resend(message_id, request_id="r-1")
    before = await desk.contents()

    again = await desk.resend(message_id, request_id="r-1")

    assert again == first
    assert again.recipients == 2
    assert await desk.contents() == before


async def test_a_repeated_resend_gets_the_first_answer_also_after_a_cancel(desk: Desk) -> None:
    message_id = await desk.sent({"ann": FAILED})
    first = await desk.resend(message_id, request_id="r-1")
    await desk.cancels.cancel(cancel_message(message_id))

    assert await desk.resend(message_id, request_id="r-1") == first


async def test_the_same_request_id_for_another_resend_is_refused(desk: Desk) -> None:
    message_id = await desk.sent({"ann": FAILED, "bob": FAILED})
    await desk.resend(message_id, recipient_ids=("ann",), request_id="r-1")

    with pytest.raises(RequestIdReused):
        await desk.resend(message_id, recipient_ids=("bob",), request_id="r-1")

    assert await desk.taken(message_id) == ["ann"]


async def test_a_resend_that_took_nobody_does_not_use_up_its_request_id(desk: Desk) -> None:
    message_id = await desk.send(people("ann"))
    nobody = await desk.resend(message_id, request_id="r-1")
    await desk.deliver(message_id, {"ann": FAILED})

    started = await desk.resend(message_id, request_id="r-1")

    assert (nobody.recipients, started.recipients) == (0, 1)
