"""Mapping of Resend and ListRetries."""

from collections.abc import Mapping, Sequence

from domain.batch import BATCH_SIZE
from domain.canary import Canary
from domain.commands import ResendMessage
from domain.delivery import DeliveryStatus
from domain.message_events import RetryRequested
from domain.retry import SkipReason
from domain.retry_prediction import Prediction
from redrive.v1 import resend_pb2
from redrive.v1.message_pb2 import Counts
from redrive.v1.resend_pb2 import (
    ListRetriesRequest,
    ListRetriesResponse,
    ResendBatches,
    ResendPrediction,
    ResendRequest,
    ResendResponse,
    RetryRound,
    RetrySelection,
    SkippedRecipients,
)
from server.api.mapping.content import content
from server.api.mapping.enums import CANARY_STATES, ERROR_TYPES, RESEND_CAUSES, RETRY_TRIGGERS, SKIP_REASONS
from server.api.mapping.message_requests import error_types_of
from server.api.mapping.times import timestamp
from server.api.validation import resends as rules
from server.commands.rounds import RoundSummary
from server.crypto.labels import Labels
from server.queries import rounds
from server.queries.rounds import RetryFilter


def resend_command(request: ResendRequest, owner: str, sees: str) -> ResendMessage:
    """Return the command of a request; raises InvalidRequest."""
    rules.ResendRules.check(request)
    return ResendMessage(
        owner=owner,
        sees=sees,
        request_id=request.request_id,
        message_id=request.message_id,
        recipient_ids=tuple(request.recipient_ids),
        error_types=error_types_of(request.error_types),
        include_unconfirmed=request.include_unconfirmed,
        as_of_sequence=request.as_of_sequence,
        canary=_canary(request.canary) if request.HasField("canary") else None,
        messages_per_second=request.messages_per_second,
        reason=request.reason,
        content=content(request.content) if request.HasField("content") else None,
        validate_only=request.validate_only,
    )


def _canary(canary: resend_pb2.Canary) -> Canary:
    return Canary(recipients=canary.recipients, max_failure_share=canary.max_failure_share)


def resend_response(started: RoundSummary) -> ResendResponse:
    """Return the response for a started round, or for a dry run."""
    return ResendResponse(
        recipients_to_retry=started.recipients,
        batches=ResendBatches(total=started.batches, size=BATCH_SIZE, start_number=started.start_number),
        skipped=_skipped(started.skipped),
        predictions=_predictions(started.predictions),
        recipients_after_canary=started.after_canary,
    )


def _skipped(skipped: Mapping[SkipReason, int]) -> Sequence[SkippedRecipients]:
    numbered = sorted((SKIP_REASONS.number(reason), count) for reason, count in skipped.items())
    return [SkippedRecipients(reason=number, count=count) for number, count in numbered]


def _predictions(predictions: Mapping[Prediction, int]) -> Sequence[ResendPrediction]:
    numbered = sorted(
        (RESEND_CAUSES.number(one.cause), ERROR_TYPES.number(one.error_type or "UNSPECIFIED"), count)
        for one, count in predictions.items()
    )
    return [ResendPrediction(cause=cause, error_type=kind, count=count) for cause, kind, count in numbered]


def retry_filter(request: ListRetriesRequest, owner: str) -> RetryFilter:
    """Return the filter of a request; raises InvalidRequest."""
    rules.ListRetriesRules.check(request)
    return RetryFilter(owner=owner, message_id=request.message_id)


def list_retries_response(
    rounds: Sequence[rounds.RetryRound], next_page_token: str, labels: Labels
) -> ListRetriesResponse:
    """Return one page of rounds."""
    return ListRetriesResponse(rounds=(_round(one, labels) for one in rounds), next_page_token=next_page_token)


def _round(found: rounds.RetryRound, labels: Labels) -> RetryRound:
    asked = found.first_slice
    return RetryRound(
        round=asked.round,
        trigger=RETRY_TRIGGERS.number(asked.trigger),
        requested_by=asked.requested_by,
        reason=labels.resend_reasons.open(asked.reason, asked.message_id),
        selection=_selection(asked),
        request_time=timestamp(asked.time),
        recipients=found.recipients,
        batches=ResendBatches(total=found.batches, size=BATCH_SIZE, start_number=asked.first_batch),
        skipped=_skipped(asked.skipped),
        counts=_counts(found.attempts),
        canary_state=CANARY_STATES.number(found.canary or "UNSPECIFIED"),
        recipients_after_canary=asked.trial.rest if asked.trial else 0,
    )


def _selection(asked: RetryRequested) -> RetrySelection:
    selection = asked.selection
    return RetrySelection(
        recipients_named=selection.recipients_named,
        error_types=map(ERROR_TYPES.number, selection.error_types),
        include_unconfirmed=selection.include_unconfirmed,
        as_of_sequence=selection.as_of_sequence,
        canary=_canary_message(asked.trial.canary) if asked.trial else None,
        messages_per_second=asked.messages_per_second,
        content_changed=selection.content_changed,
    )


def _canary_message(canary: Canary) -> resend_pb2.Canary:
    return resend_pb2.Canary(recipients=canary.recipients, max_failure_share=canary.max_failure_share)


def _counts(attempts: Mapping[DeliveryStatus, int]) -> Counts:
    by_name = {status.value.lower(): count for status, count in attempts.items()}
    return Counts(total=sum(by_name.values()), **by_name)
