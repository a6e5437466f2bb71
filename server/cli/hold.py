"""The command `redrive-server hold`: puts every page on hold before any server starts, as after a restore."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated

import typer

from domain.commands import HoldPage
from domain.errors import Unavailable
from domain.owner import ANYBODY
from projections.sql import Sql
from server.bootstrap import StartRefusedError, log_of, open_store, open_vault
from server.cli.maintenance import in_words
from server.commands.pages import PageHoldService
from server.settings import Settings, read_settings

HELD_BY = "redrive-server hold"


def hold(
    reason: Annotated[str, typer.Option(help="Is shown wherever the pages are.")] = "restored from a back-up",
) -> None:
    """Puts every page on hold, so that servers that start now send nothing until pages are released.

    For a database that was restored: what was sent since the back-up, its log does not know. The settings are the
    server's; an embedded database's server has to be stopped.

    Exit codes: 0, every page is on hold; 1, it was refused or failed, and some may be.
    """
    with in_words("hold"):
        held = _held(reason)
    typer.echo(f"{len(held):,} pages were put on hold: release each with `redrive page release`, once it may go on")


def _held(reason: str) -> Sequence[str]:
    try:
        return asyncio.run(_hold_all(read_settings(), reason))
    except Unavailable as error:
        raise StartRefusedError(str(error)) from error


async def _hold_all(settings: Settings, reason: str) -> Sequence[str]:
    store = open_store(settings)
    async with log_of(store, settings) as log:
        pages = PageHoldService(log, open_vault(store, settings), lambda: datetime.now(UTC))
        free = await log.read(_not_held)
        for page_id in free:
            await pages.hold(HoldPage(owner=HELD_BY, sees=ANYBODY, page_id=page_id, reason=reason))
    return free


def _not_held(sql: Sql) -> Sequence[str]:
    return [row["page_id"] for row in sql.rows("SELECT page_id FROM pages WHERE is_held = 0 ORDER BY page_id")]
