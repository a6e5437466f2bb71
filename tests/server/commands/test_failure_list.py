"""ListFailed: who failed and why, and whom a plain resend takes now."""

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
from tests.server.commands.desk import Desk

OUTCOMES: dict[str, Outcome] = {
    "again": FAILED,
    "blocked": FAILED_FOR_GOOD,
    "doubtful": UNCONFIRMED,
    "sent": SENT,
    "tokenless": FAILED_FOR_TOKEN,
}


async def failures(desk: Desk, message_id: str, *, after: str = "", limit: int = 100, **wanted: Any) -> FailureList:
    filter_ = FailureFilter(**{"owner": OWNER, **wanted}, message_id=message_id)
    return await desk.log.read(list_failures(filter_, after=after, limit=limit))


def shown(found: FailureList) -> dict[str, bool]:
    return {failure.row.recipient_id: failure.retryable for failure in found.failures}


async def test_failed_and_unconfirmed_recipients_are_listed_with_whether_they_can_be_retried(desk: Desk) -> None:
    message_id = await desk.sent(OUTCOMES)

    found = await failures(desk, message_id)

    assert shown(found) == {"again": True, "blocked": False, "doubtful": False, "tokenless": False}
    assert found.retryable_count == 1
    assert found.error_types == {
        ErrorType.NETWORK: 2,
        ErrorType.INVALID_RECIPIENT: 1,
        ErrorType.ACCESS_TOKEN: 1,
    }
    assert found.message == await desk.row(message_id)


async def test_a_failure_shows_its_last_error(desk: Desk) -> None:
    message_id = await desk.sent({"ann": FAILED_FOR_TOKEN})

    row = (await failures(desk, message_id)).failures[0].row

    assert (row.recipient_id, row.attempts) == ("ann", 1)
    assert await desk.names(message_id) == {"ann": "Ann"}
    assert (row.error_code, row.error_subcode, row.error_message) == (190, 463, "no luck")


async def test_a_new_token_makes_its_failures_retryable(desk: Desk) -> None:
    message_id = await desk.sent(OUTCOMES)

    await desk.replace_token()

    assert shown(await failures(desk, message_id))["tokenless"]


async def test_unconfirmed_ones_are_retryable_where_the_message_said_so(desk: Desk) -> None:
    message_id = await desk.sent(OUTCOMES, on_unconfirmed=OnUnconfirmed.RESEND)

    assert shown(await failures(desk, message_id))["doubtful"]


async def test_who_has_no_attempts_left_is_not_retryable(desk: Desk) -> None:
    message_id = await desk.sent({"ann": FAILED}, retry_policy=RetryPolicy(max_retry_attempts=1))
    await desk.resend(message_id)
    await desk.deliver(message_id, {"ann": FAILED})

    found = await failures(desk, message_id)

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
async def test_a_filter_narrows_the_list_but_not_the_counts(desk: Desk, wanted: dict[str, Any], ids: list[str]) -> None:
    message_id = await desk.sent(OUTCOMES)

    found = await failures(desk, message_id, **wanted)

    assert list(shown(found)) == ids
    assert (found.retryable_count, sum(found.error_types.values())) == (1, 4)


async def test_a_list_goes_on_where_it_stopped(desk: Desk) -> None:
    message_id = await desk.sent({who.id: FAILED for who in crowd(5)})

    first = await failures(desk, message_id, limit=3)
    rest = await failures(desk, message_id, after=list(shown(first))[-1], limit=3)

    assert [*shown(first), *shown(rest)] == [who.id for who in crowd(5)]


async def test_who_is_tried_again_is_no_failure_meanwhile(desk: Desk) -> None:
    message_id = await desk.sent({"ann": FAILED, "bob": FAILED})

    await desk.resend(message_id, recipient_ids=("ann",))

    found = await failures(desk, message_id)
    assert list(shown(found)) == ["bob"]
    assert found.error_types == {ErrorType.NETWORK: 1}


async def test_somebody_elses_failures_are_not_shown(desk: Desk) -> None:
    message_id = await desk.send(people("ann"))

    with pytest.raises(MessageNotFound):
        await failures(desk, message_id, owner="somebody else")
