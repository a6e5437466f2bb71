"""Predictions of resends on PostgreSQL."""

from collections.abc import AsyncIterator

import pytest

from domain.canary import Canary
from domain.fault import ErrorType, RetryRule
from domain.outcome import Failed
from domain.retry import SkipReason
from domain.retry_prediction import PredictedCause, Prediction
from projections import batches, message_rows
from server.bootstrap import event_store_over
from server.commands.open_rounds import OpenRoundService
from server.queries.rounds import CanaryState, RetryFilter, list_retries
from server.settings import Settings
from tests.builders import FAILED, FAILED_FOR_GOOD, NOW, OWNER, PAGE, SENT, fault
from tests.databases import opened
from tests.server.commands.command_harness import CommandHarness

WINDOW = Failed(fault(ErrorType.PERMISSION, RetryRule.NEVER, code=10, subcode=2018278))


@pytest.fixture
async def harness(postgres_url: str) -> AsyncIterator[CommandHarness]:
    async with event_store_over(opened(postgres_url), Settings(database_url=postgres_url)) as log:
        harness = CommandHarness(log)
        await harness.register_page()
        yield harness


async def test_a_resend_is_predicted_and_excludes_changed_recipients(harness: CommandHarness) -> None:
    message_id = await harness.sent({"ann": FAILED, "bob": FAILED, "cid": WINDOW, "dan": FAILED_FOR_GOOD, "eve": SENT})
    seen = (await harness.row(message_id)).sequence
    await harness.resend(message_id, recipient_ids=("ann",))
    await harness.deliver(message_id, {"ann": FAILED})

    dry = await harness.resend(message_id, as_of_sequence=seen, validate_only=True)
    started = await harness.resend(message_id, as_of_sequence=seen)

    assert dry.predictions == {
        Prediction(PredictedCause.RETRYABLE_NOW, ErrorType.NETWORK): 1,
        Prediction(PredictedCause.CHANGED_SINCE, ErrorType.NETWORK): 1,
        Prediction(PredictedCause.OUTSIDE_WINDOW, ErrorType.PERMISSION): 1,
        Prediction(PredictedCause.WILL_FAIL_AGAIN, ErrorType.INVALID_RECIPIENT): 1,
        Prediction(PredictedCause.ALREADY_SENT): 1,
    }
    assert (started.recipients, started.skipped[SkipReason.CHANGED_SINCE]) == (1, 1)
    assert await harness.taken(message_id, round_=2) == ["bob"]


async def test_a_canary_is_planned_decided_and_listed(harness: CommandHarness) -> None:
    message_id = await harness.sent({"ann": FAILED, "bob": FAILED, "cid": FAILED})
    await harness.resend(message_id, canary=Canary(recipients=1), messages_per_second=5.0)
    under_way = await harness.log.read(message_rows.with_canary)
    claimable = await harness.log.read(lambda sql: batches.claimable_of_page(sql, PAGE, 9))
    passed_over = await harness.log.read(
        lambda sql: batches.claimable_of_page(sql, PAGE, 9, but_for={(message_id, 1), ("m-0", 7)})
    )
    await harness.deliver(message_id, {})

    await OpenRoundService(harness.log, lambda: NOW).finish(message_id)

    wanted = RetryFilter(owner=OWNER, message_id=message_id)
    (only,) = await list_retries(harness.log, wanted, before=2**62, limit=10)
    assert (under_way, await harness.log.read(message_rows.with_canary)) == ([message_id], [])
    assert ([row.number for row in claimable], passed_over) == ([2], [])
    assert (only.canary, only.recipients) == (CanaryState.PASSED, 3)
    assert {status.value: count for status, count in only.attempts.items() if count} == {"SENT": 1, "PENDING": 2}
