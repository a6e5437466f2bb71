"""Resend: taken and skipped recipients, and the contents of a round."""

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from domain.errors import MessageIsCancelled
from domain.fault import ErrorType
from domain.outcome import Failed, Outcome
from domain.retry import OnUnconfirmed, RetryPolicy, SkipReason
from server.commands.rounds import RoundSummary
from tests.builders import (
    FAILED,
    FAILED_FOR_GOOD,
    FAILED_FOR_TOKEN,
    SENT,
    UNCONFIRMED,
    cancel_message,
    fault,
    people,
)
from tests.server.commands.command_harness import CommandHarness

LIMITED = Failed(fault(ErrorType.RATE_LIMIT))
OUTCOMES: Mapping[str, Outcome] = {
    "again": FAILED,
    "blocked": FAILED_FOR_GOOD,
    "doubtful": UNCONFIRMED,
    "limited": LIMITED,
    "sent": SENT,
    "tokenless": FAILED_FOR_TOKEN,
}


def skipped(**reasons: int) -> dict[SkipReason, int]:
    return {SkipReason(reason): count for reason, count in reasons.items()}


# Selection


async def test_a_plain_resend_takes_retryable_recipients(harness: CommandHarness) -> None:
    message_id = await harness.sent(OUTCOMES)

    started = await harness.resend(message_id)

    assert await harness.taken(message_id) == ["again", "limited"]
    assert started == RoundSummary(
        recipients=2,
        batches=1,
        start_number=2,
        skipped=skipped(ALREADY_SENT=1, PERMANENT_ERROR=1, TOKEN_NOT_REPLACED=1, UNCONFIRMED=1),
    )


@pytest.mark.parametrize(
    ("asked_for", "taken", "skips"),
    [
        (
            {"include_unconfirmed": True},
            ["again", "doubtful", "limited"],
            skipped(ALREADY_SENT=1, PERMANENT_ERROR=1, TOKEN_NOT_REPLACED=1),
        ),
        (
            {"error_types": (ErrorType.INVALID_RECIPIENT, ErrorType.ACCESS_TOKEN)},
            ["blocked", "tokenless"],
            skipped(ALREADY_SENT=1, OTHER_ERROR_TYPE=3),
        ),
        (
            {"error_types": (ErrorType.NETWORK,)},
            ["again"],
            skipped(ALREADY_SENT=1, OTHER_ERROR_TYPE=3, UNCONFIRMED=1),
        ),
        (
            {"error_types": (ErrorType.NETWORK,), "include_unconfirmed": True},
            ["again", "doubtful"],
            skipped(ALREADY_SENT=1, OTHER_ERROR_TYPE=3),
        ),
        (
            {"recipient_ids": ("sent", "blocked", "again", "unknown", "doubtful")},
            ["blocked", "again"],
            skipped(ALREADY_SENT=1, UNKNOWN_RECIPIENT=1, UNCONFIRMED=1),
        ),
        (
            {"recipient_ids": ("doubtful",), "include_unconfirmed": True},
            ["doubtful"],
            {},
        ),
        (
            {"recipient_ids": ("again", "blocked", "limited"), "error_types": (ErrorType.RATE_LIMIT,)},
            ["limited"],
            skipped(OTHER_ERROR_TYPE=2),
        ),
        (
            {"recipient_ids": ("again", "again", "unknown", "unknown")},
            ["again"],
            skipped(UNKNOWN_RECIPIENT=1),
        ),
        (
            {"error_types": (ErrorType.PERMISSION,)},
            [],
            skipped(ALREADY_SENT=1, OTHER_ERROR_TYPE=5),
        ),
    ],
)
async def test_a_resend_takes_the_selected_recipients(
    harness: CommandHarness, asked_for: dict[str, Any], taken: list[str], skips: dict[SkipReason, int]
) -> None:
    message_id = await harness.sent(OUTCOMES)

    dry = await harness.resend(message_id, **asked_for, validate_only=True)
    started = await harness.resend(message_id, **asked_for)

    assert await harness.taken(message_id) == taken
    assert (started.recipients, started.skipped) == (len(taken), skips)
    assert msgspec.structs.replace(dry, predictions={}) == started


async def test_a_message_may_allow_resends_of_unconfirmed_recipients(harness: CommandHarness) -> None:
    message_id = await harness.sent({"doubtful": UNCONFIRMED}, on_unconfirmed=OnUnconfirmed.RESEND)

    await harness.resend(message_id)

    assert await harness.taken(message_id) == ["doubtful"]


async def test_a_recipient_that_an_earlier_attempt_may_have_reached_is_left_out(harness: CommandHarness) -> None:
    message_id = await harness.sent({"ann": UNCONFIRMED, "bob": FAILED})
    await harness.resend(message_id, include_unconfirmed=True)
    await harness.deliver(message_id, {"ann": FAILED, "bob": FAILED})

    plain = await harness.resend(message_id)
    await harness.resend(message_id, include_unconfirmed=True)

    assert (plain.recipients, plain.skipped) == (1, skipped(UNCONFIRMED=1))
    assert await harness.taken(message_id, round_=2) == ["bob"]
    assert await harness.taken(message_id, round_=3) == ["ann"]


async def test_no_recipient_gets_more_attempts_than_allowed(harness: CommandHarness) -> None:
    message_id = await harness.sent({"ann": FAILED}, retry_policy=RetryPolicy(max_retry_attempts=2))
    for _ in range(2):
        await harness.resend(message_id)
        await harness.deliver(message_id, {"ann": FAILED})

    started = await harness.resend(message_id, recipient_ids=("ann",))

    assert (started.recipients, started.skipped) == (0, skipped(ATTEMPTS_USED_UP=1))


async def test_after_a_new_token_failures_of_the_old_one_are_taken(harness: CommandHarness) -> None:
    message_id = await harness.sent({"ann": FAILED_FOR_TOKEN, "bob": FAILED_FOR_GOOD})
    before = await harness.resend(message_id)

    await harness.replace_token()
    await harness.resend(message_id)

    assert before.recipients == 0
    assert await harness.taken(message_id) == ["ann"]


async def test_failures_of_the_new_token_are_not_taken_again(harness: CommandHarness) -> None:
    message_id = await harness.sent({"ann": FAILED_FOR_TOKEN})
    await harness.replace_token()
    await harness.resend(message_id)
    await harness.deliver(message_id, {"ann": FAILED_FOR_TOKEN})

    started = await harness.resend(message_id)

    assert started.skipped == skipped(TOKEN_NOT_REPLACED=1)


async def test_recipients_in_progress_are_not_taken_again(harness: CommandHarness) -> None:
    message_id = await harness.send(people("ann", "bob"))

    started = await harness.resend(message_id, recipient_ids=("ann",))
    plain = await harness.resend(message_id)

    assert (started.recipients, started.skipped) == (0, skipped(IN_PROGRESS=1))
    assert (plain.start_number, plain.skipped) == (0, skipped(IN_PROGRESS=2))


async def test_a_cancelled_message_cannot_be_resent(harness: CommandHarness) -> None:
    message_id = await harness.send(people("ann"))
    await harness.cancels.cancel(cancel_message(message_id))

    with pytest.raises(MessageIsCancelled):
        await harness.resend(message_id)
