"""The commands `redrive cleanup` and `redrive erase`."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from rich.console import RenderableType
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
from rich.text import Text

from redrive.cli.command import CommandContext
from redrive.cli.output import Output, format_time
from redrive.v1.maintenance_service_pb2 import (
    Cleanup,
    CleanupDeliveriesRequest,
    CleanupDeliveriesResponse,
    CleanupState,
    ErasePersonResponse,
)

POLL_SECONDS = 1.0  # between two polls of a running cleanup
DONE = CleanupState.CLEANUP_STATE_DONE


async def cleanup(
    ctx: CommandContext,
    older_than_days: Annotated[
        int, typer.Option(min=1, max=3650, help="Only deliveries without a change for this many days.")
    ] = 90,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show how many would be removed.")] = False,
) -> None:
    """Remove old sent and cancelled deliveries of finished messages from the read models.

    Failed deliveries stay, and so do all counts and reports. Recipients that were sent a message are still never sent
    it again. If this command is interrupted, the server continues the cleanup.
    """
    request = CleanupDeliveriesRequest(older_than_days=older_than_days, validate_only=dry_run)
    response = await ctx.client.cleanup_deliveries(request)
    if dry_run:
        ctx.output.show(response, _render_dry_run)
        return
    ctx.output.show(await _wait_until_done(ctx, response.cleanup), _render_cleanup)


async def _wait_until_done(ctx: CommandContext, cleanup: Cleanup) -> Cleanup:
    with _display(ctx.output) as show:
        while cleanup.state != DONE:
            show(cleanup)
            await asyncio.sleep(POLL_SECONDS)
            cleanup = await ctx.client.get_cleanup(cleanup.id)
    return cleanup


@contextmanager
def _display(output: Output) -> Iterator[Callable[[Cleanup], None]]:
    """Yield a function that shows progress: a bar on a terminal, a line for each poll otherwise, nothing in JSON."""
    if output.as_json or not output.console.is_terminal:
        yield lambda cleanup: output.print_text(
            f"{cleanup.deliveries_removed:,} of {cleanup.deliveries_total:,} deliveries removed"
        )
        return
    columns = TextColumn("Removing"), BarColumn(), TaskProgressColumn()
    with Progress(*columns, console=output.console) as bar:
        task = bar.add_task("", total=None)
        yield lambda cleanup: bar.update(
            task, completed=cleanup.deliveries_removed, total=cleanup.deliveries_total or None
        )


def _render_dry_run(response: CleanupDeliveriesResponse) -> Iterator[RenderableType]:
    yield Text(f"{response.deliveries_removed:,} deliveries would be removed.")


def _render_cleanup(cleanup: Cleanup) -> Iterator[RenderableType]:
    before = format_time(cleanup.before_time)
    yield Text(f"{cleanup.deliveries_removed:,} deliveries removed, without a change since {before}.")


async def erase_person(
    ctx: CommandContext,
    recipient_id: Annotated[
        str, typer.Argument(metavar="RECIPIENT", show_default=False, help="The recipient id of the person.")
    ],
    yes: Annotated[
        bool, typer.Option("--yes", help="Do not ask for confirmation; required without a terminal.")
    ] = False,
) -> None:
    """Erase a person: names and variables become unreadable, and pending deliveries are not sent.

    This covers all messages of all owners and cannot be undone: the encryption keys are destroyed. Counts, reports and
    the id stay. The exit code is 0 also if the person was erased before.
    """
    if not yes:
        typer.confirm(f"Erase {recipient_id}? This cannot be undone.", abort=True, err=True)
    ctx.output.show(await ctx.client.erase_person(recipient_id), _render_erasure)


def _render_erasure(response: ErasePersonResponse) -> Iterator[RenderableType]:
    messages = response.messages_affected
    if messages:
        yield Text(f"Erased from {messages:,} {'message' if messages == 1 else 'messages'}.")
    else:
        yield Text("Nothing to erase.")
