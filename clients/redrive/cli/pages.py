"""The commands `redrive page`."""

import sys
from collections.abc import Iterator
from typing import Annotated

import typer
from rich.console import RenderableType
from rich.text import Text

from redrive.cli.command import CommandContext
from redrive.cli.enums import enum_name, enum_option
from redrive.cli.lists import Limit, show_list
from redrive.cli.output import format_time, key_value_table, table
from redrive.client import Client
from redrive.errors import InvalidRequest
from redrive.texts.stops import hold_remedy
from redrive.texts.visible_text import shown
from redrive.v1.page_pb2 import Page, PagePause, SendMode
from redrive.v1.page_service_pb2 import ListPagesResponse, PutPageRequest, PutPageResponse

_COLUMNS = (
    *("page", "name", "messages/s", "send mode", "token", "token verified", "updated", "on hold", "paused"),
    *("owner", "shared with"),
)


async def put_page(
    ctx: CommandContext,
    page_id: Annotated[str, typer.Argument(metavar="ID", show_default=False, help="The page id of the platform.")],
    name: Annotated[str, typer.Option(help="A name for display.", show_default=False)] = "",
    token: Annotated[
        str,
        typer.Option(
            envvar="REDRIVE_PAGE_TOKEN",
            show_envvar=True,
            show_default=False,
            help="The page's access token. Better in the environment or on standard input: ps shows arguments.",
        ),
    ] = "",
    app_secret: Annotated[
        str,
        typer.Option(
            envvar="REDRIVE_PAGE_APP_SECRET",
            show_envvar=True,
            show_default=False,
            help="The app secret; calls then carry appsecret_proof. Better in the environment.",
        ),
    ] = "",
    rate: Annotated[
        float,
        typer.Option(
            min=0,
            show_default=False,
            help="Messages per second. If not given: unchanged, or the server's default for a new page.",
        ),
    ] = 0,
    send_mode: Annotated[
        str | None,
        enum_option(
            SendMode,
            text="One request per message, or batches of up to 50. If not given: unchanged, or single for a new page.",
        ),
    ] = None,
) -> None:
    """Register a page, or replace its token and settings.

    Settings that are not given stay unchanged. The token comes from --token, REDRIVE_PAGE_TOKEN or standard input (echo
    TOKEN | redrive page put ID), or is asked for; an empty one keeps the present token. Spaces and line ends around the
    token and the secret are removed. Other characters that no token holds are refused by name.
    """
    request = PutPageRequest(
        page_id=page_id,
        name=name,
        access_token=token.strip() or _read_token(page_id).strip(),
        app_secret=app_secret.strip(),
        messages_per_second=rate,
        send_mode=SendMode.Value(send_mode) if send_mode else SendMode.SEND_MODE_UNSPECIFIED,
    )
    ctx.output.show(await _put(ctx.client, request), _render_put)


PageIdArgument = Annotated[str, typer.Argument(metavar="ID", show_default=False, help="The page id of the platform.")]


async def hold_page(
    ctx: CommandContext,
    page_id: PageIdArgument,
    reason: Annotated[str, typer.Option(show_default=False, help="Shown with the hold.")] = "",
) -> None:
    """Put a page on hold: nothing more is sent, pending deliveries stay pending, and retries wait."""
    ctx.output.show(await ctx.client.hold_page(page_id, reason), _render_page)


async def release_page(ctx: CommandContext, page_id: PageIdArgument) -> None:
    """Release a page from its hold, and end a pause that the platform asked for.

    Deliveries that failed because of the hold's cause can be retried then.
    """
    ctx.output.show(await ctx.client.release_page(page_id), _render_page)


async def share_page(
    ctx: CommandContext,
    page_id: PageIdArgument,
    callers: Annotated[
        list[str] | None, typer.Argument(metavar="CALLER...", show_default=False, help="All callers, by name.")
    ] = None,
    only_owner: Annotated[bool, typer.Option("--only-owner", help="Share it with no other caller.")] = False,
) -> None:
    """Share a page with exactly the named callers.

    They may do everything that the owner may, within their scopes, except decide who uses the page. "*" means
    every caller: all may see the page and send through it, as with a page that was never shared. Only the page's owner
    and admins may do this.
    """
    if bool(callers) == only_owner:
        raise typer.BadParameter("name the callers, or give --only-owner", param_hint="CALLER...")
    ctx.output.show(await ctx.client.share_page(page_id, callers or ()), _render_access)


async def transfer_page(
    ctx: CommandContext,
    page_id: PageIdArgument,
    owner: Annotated[str, typer.Argument(metavar="CALLER", show_default=False, help="The new owner.")],
) -> None:
    """Transfer a page to another owner; only for admins.

    The previous owner may not use the page any more, unless it is shared again. Callers that it is shared with still
    may.
    """
    ctx.output.show(await ctx.client.transfer_page(page_id, owner), _render_access)


async def list_pages(ctx: CommandContext, limit: Limit = None) -> None:
    """List the pages that you may use, by id."""
    await show_list(ctx.output, ctx.client.list_pages(), _render_list, limit)


def is_terminal() -> bool:
    """Return whether a person can be asked."""
    return sys.stdin.isatty()


def _read_token(page_id: str) -> str:
    """Return one line: typed on a terminal, else from standard input."""
    if not is_terminal():
        return sys.stdin.readline()
    question = f"Access token of page {page_id} (empty keeps the present one)"
    response: str = typer.prompt(question, default="", show_default=False, hide_input=True, err=True)
    return response


async def _put(client: Client, request: PutPageRequest) -> PutPageResponse:
    try:
        return await client.put_page(request)
    except InvalidRequest as error:
        if any(violation.field == "access_token" for violation in error.violations):
            error.add_note("Give the token in REDRIVE_PAGE_TOKEN, or on standard input.")
        raise


def _render_put(response: PutPageResponse) -> Iterator[RenderableType]:
    page = response.page
    yield key_value_table(
        [
            ("page", page.id),
            ("name", page.name),
            ("messages/s", page.messages_per_second),
            ("send mode", enum_name(SendMode, page.send_mode)),
            ("token", f"number {page.token_generation}, {'verified' if page.token_verified else 'not verified'}"),
            ("owner", _owner_text(page)),
        ]
    )
    for warning in response.warnings:
        yield Text(f"Warning: {shown(warning)}", style="yellow")


def _render_page(page: Page) -> Iterator[RenderableType]:
    yield key_value_table(
        [("page", page.id), ("name", page.name), ("on hold", _hold_text(page)), ("paused", _page_pause_text(page))]
    )


def _render_access(page: Page) -> Iterator[RenderableType]:
    yield key_value_table(
        [("page", page.id), ("name", page.name), ("owner", _owner_text(page)), ("shared with", _shared_with_text(page))]
    )


def _owner_text(page: Page) -> str:
    return page.owner or "none: every caller may use it"


def _shared_with_text(page: Page) -> str:
    named = ["every caller, for sending" if caller == "*" else caller for caller in page.shared_with]
    return ", ".join(named) or "no other caller"


def _hold_text(page: Page) -> str:
    """Return since when, by whom and why the page is on hold, and what to do."""
    if not page.HasField("hold"):
        return "no"
    by = f", by {page.hold.held_by}" if page.hold.held_by else ""
    reason = page.hold.reason or "no reason given"
    return f"since {format_time(page.hold.hold_time)}{by}: {reason}. {hold_remedy(page.hold)}"


def _page_pause_text(page: Page) -> str:
    return pause_text(page.pause) if page.HasField("pause") else "no"


def _render_list(response: ListPagesResponse) -> Iterator[RenderableType]:
    yield table(_COLUMNS, map(_row, response.pages))


def _row(page: Page) -> tuple[object, ...]:
    return (
        page.id,
        page.name,
        page.messages_per_second,
        enum_name(SendMode, page.send_mode),
        f"number {page.token_generation}",
        page.token_verified,
        format_time(page.update_time),
        _hold_text(page),
        _page_pause_text(page),
        _owner_text(page),
        _shared_with_text(page),
    )


def pause_text(pause: PagePause) -> str:
    """Return until when and why a page is paused."""
    return f"until {format_time(pause.until_time)}: {pause.reason or 'no reason given'}"
