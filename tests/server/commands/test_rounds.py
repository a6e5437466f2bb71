"""Rounds that resends create, once per request."""

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
from tests.server.commands.command_harness import CommandHarness

# Contents of a round


async def test_a_round_has_the_next_number_and_its_caller(harness: CommandHarness) -> None:
    message_id = await harness.sent({"ann": FAILED, "bob": FAILED_FOR_GOOD})

    await harness.resend(message_id, error_types=(ErrorType.NETWORK,))

    requested = (await harness.events(message_id))[-1]
    assert isinstance(requested, RetryRequested)
    assert (requested.round, requested.trigger, requested.requested_by) == (1, RetryTrigger.MANUAL, OWNER)
    assert requested.selection == RetrySelection(error_types=(ErrorType.NETWORK,))
    assert (requested.first_batch, requested.batches, requested.recipients, requested.retry_count) == (2, 1, 1, 0)


async def test_a_second_attempt_refers_to_its_variables(harness: CommandHarness) -> None:
    message_id = await harness.send(crowd(150))
    await harness.deliver(message_id, {"u00120": FAILED})
    await harness.resend(message_id)
    await harness.deliver(message_id, {"u00120": FAILED})
    await harness.resend(message_id)

    (first,), (second,) = [(await harness.created(message_id, round_=n))[0].recipients for n in (1, 2)]

    assert first == BatchRecipient(id="u00120", name="", attempt_number=2, origin_batch=2, origin_position=20)
    assert second == msgspec.structs.replace(first, attempt_number=3)


async def test_a_resend_reopens_a_done_message(harness: CommandHarness) -> None:
    message_id = await harness.sent({"ann": FAILED, "bob": SENT})

    await harness.resend(message_id)

    row = await harness.row(message_id)
    assert (row.completed, row.status, row.round, row.retry_count) == (False, "SENDING", 1, 0)
    assert await harness.counts(message_id) == {"PENDING": 1, "SENT": 1}


async def test_a_resend_without_recipients_starts_no_round(harness: CommandHarness) -> None:
    message_id = await harness.sent({"ann": SENT})
    before = await harness.contents()

    started = await harness.resend(message_id)

    assert (started.recipients, started.batches, started.start_number) == (0, 0, 0)
    assert await harness.contents() == before
    assert (await harness.row(message_id)).completed


async def test_a_dry_run_changes_nothing(harness: CommandHarness) -> None:
    message_id = await harness.sent({"ann": FAILED})
    before = await harness.contents()

    started = await harness.resend(message_id, validate_only=True, request_id="r-1")

    assert (started.recipients, started.start_number) == (1, 2)
    assert await harness.contents() == before


async def test_a_message_of_another_owner_cannot_be_resent(harness: CommandHarness) -> None:
    message_id = await harness.sent({"ann": FAILED})

    with pytest.raises(MessageNotFound):
        await harness.resend(message_id, owner="another owner")
    with pytest.raises(MessageNotFound):
        await harness.resend("no such message")


# Repeated requests


async def test_a_repeated_resend_gets_the_first_answer(harness: CommandHarness) -> None:
    message_id = await harness.sent({"ann": FAILED, "bob": FAILED, "eve": SENT})
    first = await harness.resend(message_id, request_id="r-1")
    before = await harness.contents()

    again = await harness.resend(message_id, request_id="r-1")

    assert again == first
    assert again.recipients == 2
    assert await harness.contents() == before


async def test_a_repeated_resend_gets_the_first_answer_after_a_cancel(harness: CommandHarness) -> None:
    message_id = await harness.sent({"ann": FAILED})
    first = await harness.resend(message_id, request_id="r-1")
    await harness.cancels.cancel(cancel_message(message_id))

    assert await harness.resend(message_id, request_id="r-1") == first


async def test_the_same_request_id_for_another_resend_is_refused(harness: CommandHarness) -> None:
    message_id = await harness.sent({"ann": FAILED, "bob": FAILED})
    await harness.resend(message_id, recipient_ids=("ann",), request_id="r-1")

    with pytest.raises(RequestIdReused):
        await harness.resend(message_id, recipient_ids=("bob",), request_id="r-1")

    assert await harness.taken(message_id) == ["ann"]


async def test_a_resend_without_recipients_does_not_use_up_its_request_id(harness: CommandHarness) -> None:
    message_id = await harness.send(people("ann"))
    empty = await harness.resend(message_id, request_id="r-1")
    await harness.deliver(message_id, {"ann": FAILED})

    started = await harness.resend(message_id, request_id="r-1")

    assert (empty.recipients, started.recipients) == (0, 1)
