"""`redrive retries`: every round of a message's resends."""

from collections.abc import Iterator
from contextlib import suppress

from rich.console import RenderableType

from redrive.cli.command import Session
from redrive.cli.lists import Limit, show_list
from redrive.cli.messages import MessageId, suspension
from redrive.cli.output import local_time, table
from redrive.cli.resend import skipped_rows
from redrive.cli.words import word
from redrive.errors import RedriveError
from redrive.v1.error_pb2 import ErrorType
from redrive.v1.resend_pb2 import CanaryState, ListRetriesResponse, RetryRound, RetryTrigger

_COLUMNS = (
    *("round", "requested", "trigger", "by", "reason", "whom", "not taken", "canary"),
    *("taken", "open", "sent", "failed", "unconfirmed", "cancelled"),  # the first is the sum of the others
)


async def list_retries(session: Session, message_id: MessageId, limit: Limit = None) -> None:
    """Every round of a message's resends, newest first: who, why, for whom, and what came of it."""
    await show_list(session.output, session.client.list_retries(message_id), _render, limit)
    if not session.output.as_json:
        with suppress(RedriveError):  # the rounds were shown: a note that fails is no failure
            if (await session.client.get_message(message_id)).automatic_rounds_suspended:
                session.output.say(f"Suspended: {suspension(message_id)}.")


def _render(answer: ListRetriesResponse) -> Iterator[RenderableType]:
    yield table(_COLUMNS, map(_row, answer.rounds))


def _row(found: RetryRound) -> tuple[object, ...]:
    counts = found.counts
    return (
        found.round,
        local_time(found.request_time),
        word(RetryTrigger, found.trigger),
        found.requested_by,
        found.reason,
        ", ".join(_whom(found)),
        ", ".join(f"{count:,} {reason}" for reason, count in skipped_rows(found.skipped)),
        _canary(found),
        found.recipients,
        counts.pending + counts.sending,
        counts.sent,
        counts.failed,
        counts.unconfirmed,
        counts.cancelled,
    )


def _whom(found: RetryRound) -> Iterator[str]:
    """The selection in words."""
    selection = found.selection
    if selection.recipients_named:
        yield "named"
    yield from (word(ErrorType, kind) for kind in selection.error_types)
    if not selection.recipients_named and not selection.error_types:
        yield "retryable"
    if selection.include_unconfirmed:
        yield "unconfirmed too"
    if selection.as_of_sequence:
        yield f"as of {selection.as_of_sequence}"
    if selection.content_changed:
        yield "corrected content"
    if selection.messages_per_second:
        yield f"at most {selection.messages_per_second:g}/s"


def _canary(found: RetryRound) -> str:
    if not found.canary_state:
        return ""
    canary = found.selection.canary
    state = word(CanaryState, found.canary_state)
    return f"{state}: {canary.recipients:,} first, up to {canary.max_failure_share:.0%} may fail"
