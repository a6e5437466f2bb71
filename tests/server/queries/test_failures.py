"""ListFailed: failed recipients, their errors, and whether a plain resend takes them now."""

from typing import Any

import pytest

from domain.errors import MessageNotFound
from domain.fault import ErrorType
from domain.outcome import Outcome
from domain.retry import OnUnconfirmed, RetryPolicy
from server.queries.failures import FailureFilter, FailureList, list_failures
from tests.builders import (
    FAILED,
    FAILED_FOR_GOOD,
    FAILED_FOR_TOKEN,
    OWNER,
    SENT,
    UNCONFIRMED,
    crowd,
    people,
)
from tests.server.commands.command_harness import CommandHarness

OUTCOMES: dict[str, Outcome] = {
    "again": FAILED,
    "blocked": FAILED_FOR_GOOD,
    "doubtful": UNCONFIRMED,
    "sent": SENT,
    "tokenless": FAILED_FOR_TOKEN,
}


async def failures(
    harness: CommandHarness, message_id: str, *, after: str = "", limit: int = 100, **wanted: Any
) -> FailureList:
    filter_ = FailureFilter(**{"owner": OWNER, **wanted}, message_id=message_id)
    return await harness.log.read(list_failures(filter_, after=after, limit=limit))


def shown(found: FailureList) -> dict[str, bool]:
    return {failure.row.recipient_id: failure.retryable for failure in found.failures}


async def test_failed_and_unconfirmed_recipients_are_listed_with_their_retryability(harness: CommandHarness) -> None:
    message_id = await harness.sent(OUTCOMES)

    found = await failures(harness, message_id)

    assert shown(found) == {"again": True, "blocked": False, "doubtful": False, "tokenless": False}
    assert found.retryable_count == 1
    assert found.error_types == {
        ErrorType.NETWORK: 2,
        ErrorType.INVALID_RECIPIENT: 1,
        ErrorType.ACCESS_TOKEN: 1,
    }
    assert found.message == await harness.row(message_id)


async def test_a_failure_shows_its_last_error(harness: CommandHarness) -> None:
    message_id = await harness.sent({"ann": FAILED_FOR_TOKEN})

    row = (await failures(harness, message_id)).failures[0].row

    assert (row.recipient_id, row.attempts) == ("ann", 1)
    assert await harness.names(message_id) == {"ann": "Ann"}
    assert (row.error_code, row.error_subcode, row.error_message) == (190, 463, "no luck")


async def test_a_new_token_makes_its_failures_retryable(harness: CommandHarness) -> None:
    message_id = await harness.sent(OUTCOMES)

    await harness.replace_token()

    assert shown(await failures(harness, message_id))["tokenless"]


async def test_unconfirmed_recipients_are_retryable_if_the_message_allows_it(harness: CommandHarness) -> None:
    message_id = await harness.sent(OUTCOMES, on_unconfirmed=OnUnconfirmed.RESEND)

    assert shown(await failures(harness, message_id))["doubtful"]


async def test_a_recipient_without_attempts_left_is_not_retryable(harness: CommandHarness) -> None:
    message_id = await harness.sent({"ann": FAILED}, retry_policy=RetryPolicy(max_retry_attempts=1))
    await harness.resend(message_id)
    await harness.deliver(message_id, {"ann": FAILED})

    found = await failures(harness, message_id)

    assert shown(found) == {"ann": False}
    assert found.failures[0].row.attempts == 2


@pytest.mark.parametrize(
    ("wanted", "ids"),
    [
        ({"error_types": (ErrorType.NETWORK,)}, ["again", "doubtful"]),
        ({"error_types": (ErrorType.NETWORK, ErrorType.ACCESS_TOKEN)}, ["again", "doubtful", "tokenless"]),
        ({"error_types": (ErrorType.PERMISSION,)}, []),
        ({"retryable_only": True}, ["again"]),
        ({"retryable_only": True, "error_types": (ErrorType.ACCESS_TOKEN,)}, []),
    ],
)
async def test_a_filter_narrows_the_list_but_not_the_counts(
    harness: CommandHarness, wanted: dict[str, Any], ids: list[str]
) -> None:
    message_id = await harness.sent(OUTCOMES)

    found = await failures(harness, message_id, **wanted)

    assert list(shown(found)) == ids
    assert (found.retryable_count, sum(found.error_types.values())) == (1, 4)


async def test_a_list_continues_where_it_stopped(harness: CommandHarness) -> None:
    message_id = await harness.sent({who.id: FAILED for who in crowd(5)})

    first = await failures(harness, message_id, limit=3)
    rest = await failures(harness, message_id, after=list(shown(first))[-1], limit=3)

    assert [*shown(first), *shown(rest)] == [who.id for who in crowd(5)]


async def test_a_recipient_that_is_resent_is_not_listed_as_failed(harness: CommandHarness) -> None:
    message_id = await harness.sent({"ann": FAILED, "bob": FAILED})

    await harness.resend(message_id, recipient_ids=("ann",))

    found = await failures(harness, message_id)
    assert list(shown(found)) == ["bob"]
    assert found.error_types == {ErrorType.NETWORK: 1}


async def test_failures_of_another_owner_are_not_shown(harness: CommandHarness) -> None:
    message_id = await harness.send(people("ann"))

    with pytest.raises(MessageNotFound):
        await failures(harness, message_id, owner="another owner")
