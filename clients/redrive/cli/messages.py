"""The commands about messages: `messages`, `message`, `pause`, `resume`, `cancel` and `events`."""

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated

import typer
from rich.console import RenderableType

from redrive.cli.command import CommandContext
from redrive.cli.enums import enum_name, enum_option
from redrive.cli.lists import Limit, show_list
from redrive.cli.output import format_time, key_value_table, table
from redrive.cli.pages import pause_text
from redrive.cli.retry_options import policy_text
from redrive.cli.time_options import time_option
from redrive.texts.stops import hold_remedy, stop_cause_text, stop_remedy
from redrive.v1.delivery_service_pb2 import ListEventsResponse, ListMessagesResponse, LogEvent
from redrive.v1.message_pb2 import Message, MessageStatus, OnUnconfirmed

MessageId = Annotated[str, typer.Argument(metavar="MESSAGE_ID", show_default=False, help="The message id.")]

AsOf = Annotated[datetime | None, time_option("--as-of", text="The state at this time; slow for large messages.")]

_COLUMNS = ("id", "title", "page", "status", "total", "open", "sent", "failed", "unconfirmed", "cancelled", "created")


async def list_messages(
    ctx: CommandContext,
    page: Annotated[str, typer.Option(help="Only this page.", show_default=False)] = "",
    status: Annotated[list[str] | None, enum_option(MessageStatus, text="Only this status; repeatable.")] = None,
    with_failures: Annotated[
        bool, typer.Option("--with-failures", help="Only with failed or unconfirmed recipients.")
    ] = False,
    owner: Annotated[str, typer.Option(help="Only this owner; only an admin may name another.")] = "",
    limit: Limit = None,
) -> None:
    """List messages, newest first."""
    listing = ctx.client.list_messages(
        page_id=page, statuses=map(MessageStatus.Value, status or ()), with_failures=with_failures, owner=owner
    )
    await show_list(ctx.output, listing, _render_list, limit)


async def show_message(ctx: CommandContext, message_id: MessageId, as_of: AsOf = None) -> None:
    """Show one message with its counts."""
    ctx.output.show(await ctx.client.get_message(message_id, as_of_time=as_of), render_message)


def render_message(message: Message) -> Iterator[RenderableType]:
    """Render a message line by line."""
    counts = message.counts
    yield key_value_table(
        [
            ("message", message.id or "(none: a dry run)"),
            ("title", message.title),
            ("page", message.page_id),
            ("owner", message.owner),
            ("status", enum_name(MessageStatus, message.status)),
            *_stop_facts(message),
            *_hold_facts(message),
            ("page paused", pause_text(message.page_pause) if message.HasField("page_pause") else ""),
            ("recipients", counts.total),
            ("open", counts.pending + counts.sending),
            ("sent", counts.sent),
            ("failed", counts.failed),
            ("unconfirmed", counts.unconfirmed),
            ("cancelled", counts.cancelled),
            ("batches", f"{message.batches_completed:,} of {message.batches_total:,} completed"),
            ("retries", policy_text(message.retry_policy)),
            ("next retry", format_time(message.next_retry_time)),
            ("suspended", suspension_text(message.id) if message.automatic_rounds_suspended else ""),
            ("if unconfirmed", enum_name(OnUnconfirmed, message.on_unconfirmed)),
            ("created", format_time(message.create_time)),
            ("scheduled for", format_time(message.schedule_time)),
            ("ended", format_time(message.end_time)),
            ("sequence", str(message.sequence or "")),
        ]
    )


def _hold_facts(message: Message) -> list[tuple[str, object]]:
    if not message.HasField("page_hold"):
        return []
    return [("page on hold", message.page_hold.reason or "yes"), ("what to do", hold_remedy(message.page_hold))]


def _stop_facts(message: Message) -> list[tuple[str, object]]:
    if not message.HasField("stop"):
        return []
    return [("stopped", stop_cause_text(message.stop)), ("what to do", stop_remedy(message.stop))]


def suspension_text(message_id: str) -> str:
    """Return why no automatic round starts, and what to do."""
    return (
        f"automatic rounds, after a failed canary. redrive resume {message_id} continues them for all retryable "
        f"recipients; redrive resend {message_id} starts a manual resend"
    )


def _render_list(response: ListMessagesResponse) -> Iterator[RenderableType]:
    yield table(_COLUMNS, map(_row, response.messages))


def _row(message: Message) -> tuple[object, ...]:
    counts = message.counts
    return (
        message.id,
        message.title,
        message.page_id,
        enum_name(MessageStatus, message.status) + (", suspended" if message.automatic_rounds_suspended else ""),
        counts.total,
        counts.pending + counts.sending,
        counts.sent,
        counts.failed,
        counts.unconfirmed,
        counts.cancelled,
        format_time(message.create_time),
    )


async def pause_message(ctx: CommandContext, message_id: MessageId) -> None:
    """Pause a message: nothing more is sent, and no automatic retry starts, until it is resumed."""
    ctx.output.show(await ctx.client.pause_message(message_id), render_message)


async def resume_message(ctx: CommandContext, message_id: MessageId) -> None:
    """Resume a paused message; also ends the suspension of automatic rounds after a failed canary."""
    ctx.output.show(await ctx.client.resume_message(message_id), render_message)


async def cancel_message(ctx: CommandContext, message_id: MessageId) -> None:
    """Cancel a message finally: pending deliveries are cancelled, sent ones are not recalled."""
    ctx.output.show(await ctx.client.cancel_message(message_id), render_message)


_EVENT_COLUMNS = ("position", "time", "batch", "version", "event", "summary")


async def list_events(
    ctx: CommandContext,
    message_id: MessageId,
    batch: Annotated[int, typer.Option(min=0, show_default=False, help="Only this batch.")] = 0,
    without_batches: Annotated[
        bool, typer.Option("--without-batches", help="Only events of the message and its page.")
    ] = False,
    limit: Limit = None,
) -> None:
    """List the events of a message and of its page; -o json shows all details."""
    events = ctx.client.list_events(message_id, batch_number=batch, without_batches=without_batches)
    await show_list(ctx.output, events, _render_events, limit)


def _render_events(response: ListEventsResponse) -> Iterator[RenderableType]:
    yield table(_EVENT_COLUMNS, map(_event_row, response.events))


def _event_row(event: LogEvent) -> tuple[object, ...]:
    return (
        event.position,
        format_time(event.time),
        event.batch_number or "",
        event.version,
        event.name,
        event.summary,
    )
