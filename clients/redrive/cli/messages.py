"""`redrive messages` and `redrive message`: what was sent, and how it went."""

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated

import typer
from rich.console import RenderableType

from redrive.cli.command import Session
from redrive.cli.lists import Limit, show_list
from redrive.cli.output import facts, local_time, table
from redrive.cli.page_pause import until_and_why
from redrive.cli.retry_options import policy_in_words
from redrive.cli.time_options import time_option
from redrive.cli.words import enum_option, word
from redrive.halt_text import cause_of, remedy_for, remedy_for_hold
from redrive.v1.delivery_service_pb2 import ListMessagesResponse
from redrive.v1.message_pb2 import Message, MessageStatus, OnUnconfirmed

MessageId = Annotated[str, typer.Argument(metavar="MESSAGE_ID", show_default=False, help="The message's id.")]

AsOf = Annotated[datetime | None, time_option("--as-of", text="As it was at this time; large messages take a while.")]

_COLUMNS = ("id", "title", "page", "status", "total", "open", "sent", "failed", "unconfirmed", "cancelled", "created")


async def list_messages(
    session: Session,
    page: Annotated[str, typer.Option(help="Only this page's.", show_default=False)] = "",
    status: Annotated[list[str] | None, enum_option(MessageStatus, text="Only this status; repeatable.")] = None,
    with_failures: Annotated[bool, typer.Option("--with-failures", help="Only with failed or unconfirmed.")] = False,
    owner: Annotated[str, typer.Option(help="Only this owner's; others than oneself are an admin's to name.")] = "",
    limit: Limit = None,
) -> None:
    """Messages, newest first."""
    listing = session.client.list_messages(
        page_id=page, statuses=map(MessageStatus.Value, status or ()), with_failures=with_failures, owner=owner
    )
    await show_list(session.output, listing, _render_list, limit)


async def show_message(session: Session, message_id: MessageId, as_of: AsOf = None) -> None:
    """One message with its counts."""
    session.output.show(await session.client.get_message(message_id, as_of_time=as_of), render_message)


def render_message(message: Message) -> Iterator[RenderableType]:
    """A message, line by line."""
    counts = message.counts
    yield facts(
        [
            ("message", message.id or "(none: a dry run)"),
            ("title", message.title),
            ("page", message.page_id),
            ("owner", message.owner),
            ("status", word(MessageStatus, message.status)),
            *_stop_facts(message),
            *_hold_facts(message),
            ("page paused", until_and_why(message.page_pause) if message.HasField("page_pause") else ""),
            ("recipients", counts.total),
            ("open", counts.pending + counts.sending),
            ("sent", counts.sent),
            ("failed", counts.failed),
            ("unconfirmed", counts.unconfirmed),
            ("cancelled", counts.cancelled),
            ("batches", f"{message.batches_completed:,} of {message.batches_total:,} completed"),
            ("retries", policy_in_words(message.retry_policy)),
            ("next retry", local_time(message.next_retry_time)),
            ("suspended", suspension(message.id) if message.automatic_rounds_suspended else ""),
            ("if unconfirmed", word(OnUnconfirmed, message.on_unconfirmed)),
            ("created", local_time(message.create_time)),
            ("scheduled for", local_time(message.schedule_time)),
            ("ended", local_time(message.end_time)),
            ("sequence", str(message.sequence or "")),
        ]
    )


def _hold_facts(message: Message) -> list[tuple[str, object]]:
    if not message.HasField("page_hold"):
        return []
    return [("page on hold", message.page_hold.reason or "yes"), ("what to do", remedy_for_hold(message.page_hold))]


def _stop_facts(message: Message) -> list[tuple[str, object]]:
    if not message.HasField("stop"):
        return []
    return [("stopped", cause_of(message.stop)), ("what to do", remedy_for(message.stop))]


def suspension(message_id: str) -> str:
    """Say why no automatic round starts, and what to do about it."""
    return (
        f"automatic rounds, by a canary that failed: redrive resume {message_id} lets them go on for all that can be"
        f" retried, redrive resend {message_id} resends by hand"
    )


def _render_list(answer: ListMessagesResponse) -> Iterator[RenderableType]:
    yield table(_COLUMNS, map(_row, answer.messages))


def _row(message: Message) -> tuple[object, ...]:
    counts = message.counts
    return (
        message.id,
        message.title,
        message.page_id,
        word(MessageStatus, message.status) + (", suspended" if message.automatic_rounds_suspended else ""),
        counts.total,
        counts.pending + counts.sending,
        counts.sent,
        counts.failed,
        counts.unconfirmed,
        counts.cancelled,
        local_time(message.create_time),
    )
