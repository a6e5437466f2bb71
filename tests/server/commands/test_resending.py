"""Resend: who is taken, who is skipped and why, and what a round is made of."""

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from domain.errors import MessageIsCancelled
from domain.fault import ErrorType
from domain.outcome import Failed, Outcome
from domain.retry import OnUnconfirmed, RetryPolicy, SkipReason
from server.commands.rounds import RoundStarted
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
from tests.server.commands.desk import Desk

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


# Who is taken


async def test_a_plain_resend_takes_who_can_be_reached_now(desk: Desk) -> None:
    message_id = await desk.sent(OUTCOMES)

    started = await desk.resend(message_id)

    assert await desk.taken(message_id) == ["again", "limited"]
    assert started == RoundStarted(
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
            {"recipient_ids": ("sent", "blocked", "again", "stranger", "doubtful")},
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
            {"recipient_ids": ("again", "again", "stranger", "stranger")},
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
async def test_a_resend_takes_what_was_asked_for(
    desk: Desk, asked_for: dict[str, Any], taken: list[str], skips: dict[SkipReason, int]
) -> None:
    message_id = await desk.sent(OUTCOMES)

    dry = await desk.resend(message_id, **asked_for, validate_only=True)
    started = await desk.resend(message_id, **asked_for)

    assert await desk.taken(message_id) == taken
    assert (started.recipients, started.skipped) == (len(taken), skips)
    assert msgspec.structs.replace(dry, predictions={}) == started


async def test_a_message_may_ask_for_unconfirmed_ones_to_be_resent(desk: Desk) -> None:
    message_id = await desk.sent({"doubtful": UNCONFIRMED}, on_unconfirmed=OnUnconfirmed.RESEND)

    await desk.resend(message_id)

    assert await desk.taken(message_id) == ["doubtful"]


async def test_who_may_have_been_reached_by_an_earlier_attempt_is_left_out_too(desk: Desk) -> None:
    message_id = await desk.sent({"ann": UNCONFIRMED, "bob": FAILED})
    await desk.resend(message_id, include_unconfirmed=True)
    await desk.deliver(message_id, {"ann": FAILED, "bob": FAILED})

    plain = await desk.resend(message_id)
    await desk.resend(message_id, include_unconfirmed=True)

    assert (plain.recipients, plain.skipped) == (1, skipped(UNCONFIRMED=1))
    assert await desk.taken(message_id, round_=2) == ["bob"]
    assert await desk.taken(message_id, round_=3) == ["ann"]


async def test_nobody_gets_more_attempts_than_allowed(desk: Desk) -> None:
    message_id = await desk.sent({"ann": FAILED}, retry_policy=RetryPolicy(max_retry_attempts=2))
    for _ in range(2):
        await desk.resend(message_id)
        await desk.deliver(message_id, {"ann": FAILED})

    started = await desk.resend(message_id, recipient_ids=("ann",))

    assert (started.recipients, started.skipped) == (0, skipped(ATTEMPTS_USED_UP=1))


async def test_after_a_new_token_those_whom_the_old_one_failed_are_taken(desk: Desk) -> None:
    message_id = await desk.sent({"ann": FAILED_FOR_TOKEN, "bob": FAILED_FOR_GOOD})
    before = await desk.resend(message_id)

    await desk.replace_token()
    await desk.resend(message_id)

    assert before.recipients == 0
    assert await desk.taken(message_id) == ["ann"]


async def test_those_whom_the_new_token_failed_too_are_not_taken_again(desk: Desk) -> None:
    message_id = await desk.sent({"ann": FAILED_FOR_TOKEN})
    await desk.replace_token()
    await desk.resend(message_id)
    await desk.deliver(message_id, {"ann": FAILED_FOR_TOKEN})

    started = await desk.resend(message_id)

    assert started.skipped == skipped(TOKEN_NOT_REPLACED=1)


async def test_who_is_on_the_way_is_not_taken_again(desk: Desk) -> None:
    message_id = await desk.send(people("ann", "bob"))

    started = await desk.resend(message_id, recipient_ids=("ann",))
    plain = await desk.resend(message_id)

    assert (started.recipients, started.skipped) == (0, skipped(IN_PROGRESS=1))
    assert (plain.start_number, plain.skipped) == (0, skipped(IN_PROGRESS=2))


async def test_who_was_cancelled_is_not_taken(desk: Desk) -> None:
    message_id = await desk.send(people("ann"))
    await desk.cancels.cancel(cancel_message(message_id))

    with pytest.raises(MessageIsCancelled):
        await desk.resend(message_id)
