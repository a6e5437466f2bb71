"""`redrive resend`: once more, to those who failed."""

from collections.abc import Iterator
from typing import Annotated

import typer
from rich.console import RenderableType
from rich.text import Text

from redrive.cli.command import Session
from redrive.cli.failed import ErrorTypes
from redrive.cli.messages import MessageId
from redrive.cli.output import table
from redrive.cli.skip_reasons import REASONS, way_on
from redrive.cli.watch import follow
from redrive.cli.words import word
from redrive.v1.delivery_service_pb2 import ResendRequest, ResendResponse, SkipReason
from redrive.v1.error_pb2 import ErrorType


async def resend(
    session: Session,
    message_id: MessageId,
    recipient: Annotated[list[str] | None, typer.Option(help="Only this recipient; repeatable.")] = None,
    error_type: ErrorTypes = None,
    include_unconfirmed: Annotated[
        bool, typer.Option("--include-unconfirmed", help="Also those who may have got it: they may get it twice.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only says what would be.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Then follows the message, as redrive watch does.")] = False,
) -> None:
    """Resends to those who failed, never to those who were sent to.

    With nothing named it takes whom another attempt can help; naming a recipient or an error type insists.
    """
    request = ResendRequest(
        message_id=message_id,
        recipient_ids=recipient,
        error_types=map(ErrorType.Value, error_type or ()),
        include_unconfirmed=include_unconfirmed,
        validate_only=dry_run,
    )
    answer = await session.client.resend(request)
    session.output.show(answer, _render, one_line=watch)
    if watch and not dry_run:
        await follow(session, message_id)


def _render(answer: ResendResponse) -> Iterator[RenderableType]:
    batches = answer.batches
    first = f", from number {batches.start_number}" if batches.total else ""
    yield Text(f"{answer.recipients_to_retry:,} recipients to retry, in {batches.total:,} batches{first}.")
    if answer.skipped:
        skipped = [(REASONS.get(group.reason, word(SkipReason, group.reason)), group.count) for group in answer.skipped]
        yield table(("not taken because", "recipients"), skipped)
        yield from (Text(way) for way in (way_on(group.reason) for group in answer.skipped) if way)
