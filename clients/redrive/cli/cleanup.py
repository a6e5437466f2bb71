"""`redrive cleanup`: removes what is shown of deliveries that are over for long."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from rich.console import RenderableType
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
from rich.text import Text

from redrive.cli.command import Session
from redrive.cli.output import Output, local_time
from redrive.v1.maintenance_service_pb2 import (
    Cleanup,
    CleanupDeliveriesRequest,
    CleanupDeliveriesResponse,
    CleanupState,
)

LOOK_SECONDS = 1.0  # between two looks at one that takes longer
DONE = CleanupState.CLEANUP_STATE_DONE


async def cleanup(
    session: Session,
    older_than_days: Annotated[int, typer.Option(min=1, max=3650, help="What has not changed for so many days.")] = 90,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only says how many would be removed.")] = False,
) -> None:
    """Removes sent and cancelled deliveries of messages that are done from what is shown of them.

    Failed ones stay, and so do all counts and reports; nobody who was reached is sent to again. When this command is
    cut off the server goes on by itself.
    """
    request = CleanupDeliveriesRequest(older_than_days=older_than_days, validate_only=dry_run)
    answer = await session.client.cleanup_deliveries(request)
    if dry_run:
        session.output.show(answer, _render_dry_run)
        return
    session.output.show(await _followed(session, answer.cleanup), _render)


async def _followed(session: Session, cleanup: Cleanup) -> Cleanup:
    with _display(session.output) as show:
        while cleanup.state != DONE:
            show(cleanup)
            await asyncio.sleep(LOOK_SECONDS)
            cleanup = await session.client.get_cleanup(cleanup.id)
    return cleanup


@contextmanager
def _display(output: Output) -> Iterator[Callable[[Cleanup], None]]:
    """A bar on a terminal, else a line for each look; nothing in JSON."""
    if output.as_json or not output.console.is_terminal:
        yield lambda cleanup: output.say(
            f"{cleanup.deliveries_removed:,} of {cleanup.deliveries_total:,} deliveries removed"
        )
        return
    columns = TextColumn("Removing"), BarColumn(), TaskProgressColumn()
    with Progress(*columns, console=output.console) as bar:
        task = bar.add_task("", total=None)
        yield lambda cleanup: bar.update(
            task, completed=cleanup.deliveries_removed, total=cleanup.deliveries_total or None
        )


def _render_dry_run(answer: CleanupDeliveriesResponse) -> Iterator[RenderableType]:
    yield Text(f"{answer.deliveries_removed:,} deliveries would be removed.")


def _render(cleanup: Cleanup) -> Iterator[RenderableType]:
    before = local_time(cleanup.before_time)
    yield Text(f"{cleanup.deliveries_removed:,} deliveries removed that have not changed since {before}.")
