"""`redrive resend`: once more, to those who failed."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated

import typer
from rich.console import RenderableType
from rich.text import Text

from redrive.cli.command import Session
from redrive.cli.content_options import ContentFileOption, TextOption, content_of
from redrive.cli.failed import ErrorTypes
from redrive.cli.messages import MessageId
from redrive.cli.output import table
from redrive.cli.skip_reasons import REASONS, way_on
from redrive.cli.watch import NoWait, follow
from redrive.cli.words import word
from redrive.v1.error_pb2 import ErrorType
from redrive.v1.resend_pb2 import (
    Canary,
    ResendCause,
    ResendPrediction,
    ResendRequest,
    ResendResponse,
    SkippedRecipients,
    SkipReason,
)

CAUSES: Mapping[ResendCause.ValueType, str] = {
    ResendCause.RESEND_CAUSE_RETRYABLE_NOW: "retryable now",
    ResendCause.RESEND_CAUSE_OUTSIDE_WINDOW: "will fail again: outside the window",
    ResendCause.RESEND_CAUSE_WILL_FAIL_AGAIN: "will fail again",
    ResendCause.RESEND_CAUSE_TOKEN_NOT_REPLACED: "will fail again: token not replaced",
    ResendCause.RESEND_CAUSE_ALREADY_SENT: "sent already",
    ResendCause.RESEND_CAUSE_ATTEMPTS_USED_UP: "attempts used up",
    ResendCause.RESEND_CAUSE_UNCONFIRMED: "unconfirmed",
    ResendCause.RESEND_CAUSE_IN_PROGRESS: "pending or on the way",
    ResendCause.RESEND_CAUSE_CANCELLED: "cancelled",
    ResendCause.RESEND_CAUSE_OTHER_ERROR_TYPE: "another error type",
    ResendCause.RESEND_CAUSE_UNKNOWN_RECIPIENT: "not a recipient of this message",
    ResendCause.RESEND_CAUSE_PAGE_ON_HOLD: "waits: page on hold",
    ResendCause.RESEND_CAUSE_CHANGED_SINCE: "changed since",
}


async def resend(
    session: Session,
    message_id: MessageId,
    recipient: Annotated[list[str] | None, typer.Option(help="Only this recipient; repeatable.")] = None,
    error_type: ErrorTypes = None,
    include_unconfirmed: Annotated[
        bool, typer.Option("--include-unconfirmed", help="Also those who may have got it: they may get it twice.")
    ] = False,
    as_of_sequence: Annotated[
        int, typer.Option(help="Only who is as at this sequence of the message.", show_default=False)
    ] = 0,
    canary: Annotated[
        int | None, typer.Option(help="Send to so many first, and to the rest only if that goes well.")
    ] = None,
    max_failure_share: Annotated[
        float, typer.Option(help="0 to 1: the share of the canary that may fail.", show_default=False)
    ] = 0.0,
    messages_per_second: Annotated[
        float, typer.Option(help="No faster than this, whatever the page's own pace.", show_default=False)
    ] = 0.0,
    reason: Annotated[str, typer.Option(help="Why; redrive retries shows it.", show_default=False)] = "",
    text: TextOption = "",
    content_file: ContentFileOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only says what would be.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Then follows the message, as redrive watch does.")] = False,
    no_wait_for_retries: NoWait = False,
) -> None:
    """Resends to those who failed, never to those who were sent to.

    With nothing named it takes whom another attempt can help; naming a recipient or an error type insists.
    With a corrected text or content, the recipients that it takes get that one, now and in later rounds. While the
    message is paused, everything else that waits gets it too.
    """
    request = ResendRequest(
        message_id=message_id,
        recipient_ids=recipient,
        error_types=map(ErrorType.Value, error_type or ()),
        include_unconfirmed=include_unconfirmed,
        as_of_sequence=as_of_sequence,
        canary=_canary(canary, max_failure_share),
        messages_per_second=messages_per_second,
        reason=reason,
        content=content_of(text, content_file),
        validate_only=dry_run,
    )
    answer = await session.client.resend(request)
    session.output.show(answer, _render, one_line=watch)
    if watch and not dry_run:
        await follow(session, message_id, wait_for_retries=not no_wait_for_retries)


def _canary(recipients: int | None, max_failure_share: float) -> Canary | None:
    if recipients is None and max_failure_share:
        raise typer.BadParameter("--max-failure-share goes with --canary.")
    return None if recipients is None else Canary(recipients=recipients, max_failure_share=max_failure_share)


def _render(answer: ResendResponse) -> Iterator[RenderableType]:
    batches = answer.batches
    first = f", from number {batches.start_number}" if batches.total else ""
    yield Text(f"{answer.recipients_to_retry:,} recipients to retry, in {batches.total:,} batches{first}.")
    if answer.recipients_after_canary:
        yield Text(f"They are a canary: {answer.recipients_after_canary:,} follow if it goes well.")
    if answer.predictions:
        yield table(("to expect", "error type", "recipients"), map(_prediction, answer.predictions))
    elif answer.skipped:
        yield table(("not taken because", "recipients"), skipped_rows(answer.skipped))
    yield from (Text(way) for way in (way_on(group.reason) for group in answer.skipped) if way)


def _prediction(one: ResendPrediction) -> tuple[object, ...]:
    cause = CAUSES.get(one.cause, word(ResendCause, one.cause))
    return cause, word(ErrorType, one.error_type) if one.error_type else "", one.count


def skipped_rows(skipped: Sequence[SkippedRecipients]) -> list[tuple[str, int]]:
    """Reasons in words, and how many were skipped for each."""
    return [(REASONS.get(group.reason, word(SkipReason, group.reason)), group.count) for group in skipped]
