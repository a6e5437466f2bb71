"""Resends with predictions, and their rounds, on the command line."""

from typing import TYPE_CHECKING

import pytest

from redrive import Client
from redrive.v1.error_pb2 import ErrorType
from redrive.v1.message_pb2 import Counts
from redrive.v1.resend_pb2 import (
    Canary,
    CanaryState,
    ListRetriesResponse,
    ResendBatches,
    ResendCause,
    ResendPrediction,
    ResendRequest,
    ResendResponse,
    RetryRound,
    RetrySelection,
    RetryTrigger,
    SkippedRecipients,
    SkipReason,
)

if TYPE_CHECKING:
    from tests.clients.conftest import Redrive, ScriptedServer

FORESEEN = ResendResponse(
    recipients_to_retry=50,
    recipients_after_canary=1_950,
    batches=ResendBatches(total=1, size=100, start_number=11),
    predictions=[
        ResendPrediction(
            cause=ResendCause.RESEND_CAUSE_RETRYABLE_NOW, error_type=ErrorType.ERROR_TYPE_NETWORK, count=2_000
        ),
        ResendPrediction(
            cause=ResendCause.RESEND_CAUSE_OUTSIDE_WINDOW, error_type=ErrorType.ERROR_TYPE_PERMISSION, count=30
        ),
        ResendPrediction(cause=ResendCause.RESEND_CAUSE_ALREADY_SENT, count=7),
    ],
    skipped=[SkippedRecipients(reason=SkipReason.SKIP_REASON_PERMANENT_ERROR, count=30)],
)
ROUND = RetryRound(
    round=2,
    trigger=RetryTrigger.RETRY_TRIGGER_MANUAL,
    requested_by="ann",
    reason="token\x1b renewed",
    selection=RetrySelection(
        error_types=[ErrorType.ERROR_TYPE_NETWORK],
        include_unconfirmed=True,
        as_of_sequence=812,
        canary=Canary(recipients=50, max_failure_share=0.1),
        messages_per_second=2.5,
    ),
    recipients=50,
    counts=Counts(total=50, sent=40, failed=10),
    skipped=[SkippedRecipients(reason=SkipReason.SKIP_REASON_CHANGED_SINCE, count=3)],
    canary_state=CanaryState.CANARY_STATE_STOPPED,
)


async def test_dry_run_shows_the_predictions(server: "ScriptedServer", redrive: "Redrive") -> None:
    server.answer("Resend", FORESEEN)

    result = await redrive(
        *("resend", "m1", "--dry-run", "--canary", "50", "--max-failure-share", "0.1", "--reason", "token renewed"),
        *("--messages-per-second", "2.5", "--as-of-sequence", "812"),
    )

    (request,) = server.asked("Resend")
    assert result.exit_code == 0, result.output
    assert request == ResendRequest(
        message_id="m1",
        as_of_sequence=812,
        canary=Canary(recipients=50, max_failure_share=0.1),
        messages_per_second=2.5,
        reason="token renewed",
        request_id=request.request_id,
        validate_only=True,
    )
    assert "They are the canary: 1,950 follow if it passes." in result.stdout
    for row in (
        ("retryable now", "NETWORK", "2,000"),
        ("outside the 24-hour window", "PERMISSION", "30"),
        ("already sent", "7"),
    ):
        assert any(all(cell in line for cell in row) for line in result.stdout.splitlines()), row


async def test_empty_canary_is_left_to_the_server(server: "ScriptedServer", redrive: "Redrive") -> None:
    server.answer("Resend", ResendResponse())

    await redrive("resend", "m1", "--canary", "0")

    assert server.asked("Resend")[0].HasField("canary")


async def test_failure_share_without_a_canary_is_refused(redrive: "Redrive") -> None:
    result = await redrive("resend", "m1", "--max-failure-share", "0.5")

    assert result.exit_code == 2
    assert "--canary" in result.output


async def test_rounds_are_shown_with_requester_reason_and_result(server: "ScriptedServer", redrive: "Redrive") -> None:
    server.answer("ListRetries", ListRetriesResponse(rounds=[ROUND]))

    result = await redrive("retries", "m1")

    assert result.exit_code == 0, result.output
    assert server.asked("ListRetries")[0].message_id == "m1"
    for words in (
        *(
            "MANUAL",
            "ann",
            "token  renewed",
            "NETWORK, and unconfirmed, as of 812, at most 2.5/s",
            "3 changed since the selection",
        ),
        "STOPPED: 50 recipients, at most 10% may fail",
    ):
        assert words in result.stdout


@pytest.mark.parametrize("page_size", [2, 1_000])
async def test_the_client_lists_rounds(server: "ScriptedServer", client: Client, page_size: int) -> None:
    server.answer("ListRetries", ListRetriesResponse(rounds=[ROUND]))

    assert [one.round async for one in client.list_retries("m1", page_size=page_size)] == [2]
    assert server.asked("ListRetries")[0].page_size == page_size
