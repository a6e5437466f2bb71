"""`redrive report`: how attempts went."""

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated

from rich.console import RenderableType
from rich.text import Text

from redrive.cli.command import Session
from redrive.cli.failed import error_code
from redrive.cli.lists import Limit, show_list
from redrive.cli.output import facts, local_time, table
from redrive.cli.subject import MaybeMessageId, PageId, check_subject
from redrive.cli.time_options import time_option
from redrive.cli.words import word
from redrive.v1.error_pb2 import ErrorType
from redrive.v1.report_service_pb2 import CommonError, FirstAttempts, GetDeliveryReportResponse, MessageReport

_HOURS = 48  # that a table shows


async def report(
    session: Session,
    message_id: MaybeMessageId = None,
    page: PageId = None,
    since: Annotated[
        datetime | None, time_option("--from", text="Only outcomes since then, by the whole hour.")
    ] = None,
    until: Annotated[datetime | None, time_option("--until", text="Only outcomes before, by the whole hour.")] = None,
    limit: Limit = None,
) -> None:
    """How attempts went: how many reached at the first, the commonest errors, what retries achieved, hour by hour."""
    check_subject(message_id, page)
    listing = session.client.get_delivery_report(
        message_id=message_id or "", page_id=page or "", start_time=since, end_time=until
    )
    await show_list(session.output, listing, _render, limit)


def _render(answer: GetDeliveryReportResponse) -> Iterator[RenderableType]:
    yield facts([("reached at the first attempt", _share(answer.first_attempts))])
    yield table(
        ("attempt", "made", "sent", "failed", "unconfirmed"),
        ((one.attempt_number, one.made, one.sent, one.failed, one.unconfirmed) for one in answer.attempts),
    )
    yield table(("error type", "code", "error", "attempts", "of all failures"), map(_error, answer.errors))
    yield table(
        ("hour", "sent", "failed", "unconfirmed"),
        ((local_time(hour.start_time), hour.sent, hour.failed, hour.unconfirmed) for hour in answer.hours[-_HOURS:]),
    )
    if len(answer.hours) > _HOURS:
        yield Text(f"These are the last {_HOURS} hours of {len(answer.hours):,}: -o json has all.")
    yield table(("message", "title", "created", "reached at the first attempt"), map(_message, answer.messages))
    if answer.HasField("counted_from_time"):
        yield Text(
            f"What was recorded before {local_time(answer.counted_from_time)}, by an older release, may be missing: "
            "`redrive-server rebuild` counts it."
        )


def _error(error: CommonError) -> tuple[object, ...]:
    return (
        word(ErrorType, error.error.type),
        error_code(error.error.code, error.error.subcode),
        error.error.message,
        error.count,
        f"{error.percentage:.1f} %",
    )


def _message(report: MessageReport) -> tuple[object, ...]:
    return report.message_id, report.title, local_time(report.create_time), _share(report.first_attempts)


def _share(first: FirstAttempts) -> str:
    if not first.attempted:
        return "nobody was attempted"
    return f"{first.sent:,} of {first.attempted:,} ({100 * first.success_rate:.1f} %)"
