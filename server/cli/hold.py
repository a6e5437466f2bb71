"""The command `redrive-server hold`, for use after a restore and before any server starts."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated

import typer

from domain.commands import HoldPage
from domain.errors import Unavailable
from domain.owner import ANY_OWNER
from projections.pages import not_held
from server.bootstrap import StartRefusedError, event_store_over, open_store, open_vault
from server.cli.errors import exit_on_error
from server.commands.pages import PageHoldService
from server.settings import Settings, read_settings

HELD_BY = "redrive-server hold"


def hold(
    reason: Annotated[str, typer.Option(help="Shown wherever the pages are shown.")] = "restored from a back-up",
) -> None:
    """Put every page on hold, so that servers send nothing until the pages are released.

    Use it on a restored database: its event store does not know what was sent since the backup. The settings are the
    server's; with an embedded database, stop the server first.

    Exit codes: 0, every page is on hold; 1, it was refused or failed, and some pages may be on hold.
    """
    with exit_on_error("redrive-server hold"):
        held = _held(reason)
    typer.echo(f"{len(held):,} pages were put on hold; release each with `redrive page release` when it may send again")


def _held(reason: str) -> Sequence[str]:
    try:
        return asyncio.run(_hold_all(read_settings(), reason))
    except Unavailable as error:
        raise StartRefusedError(str(error)) from error


async def _hold_all(settings: Settings, reason: str) -> Sequence[str]:
    store = open_store(settings)
    async with event_store_over(store, settings) as log:
        pages = PageHoldService(log, open_vault(store, settings), lambda: datetime.now(UTC))
        free = await log.read(not_held)
        for page_id in free:
            await pages.hold(HoldPage(owner=HELD_BY, sees=ANY_OWNER, page_id=page_id, reason=reason))
    return free
