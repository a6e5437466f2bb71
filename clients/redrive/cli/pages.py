"""`redrive page`: the pages that send, and their tokens."""

import sys
from collections.abc import Iterator
from typing import Annotated

import typer
from rich.console import RenderableType
from rich.text import Text

from redrive.cli.command import Session
from redrive.cli.lists import Limit, show_list
from redrive.cli.output import facts, local_time, table
from redrive.cli.page_pause import until_and_why
from redrive.cli.words import enum_option, word
from redrive.client import Client
from redrive.errors import InvalidRequest
from redrive.halt_text import remedy_for_hold
from redrive.v1.page_pb2 import Page, SendMode
from redrive.v1.page_service_pb2 import ListPagesResponse, PutPageRequest, PutPageResponse
from redrive.visible_text import shown

_COLUMNS = (
    *("page", "name", "messages/s", "send mode", "token", "token verified", "updated", "on hold", "paused"),
    *("owner", "shared with"),
)


async def put_page(
    session: Session,
    page_id: Annotated[str, typer.Argument(metavar="ID", show_default=False, help="The platform's page id.")],
    name: Annotated[str, typer.Option(help="For people.", show_default=False)] = "",
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
            help="The app's secret: every call then carries appsecret_proof. Better in the environment.",
        ),
    ] = "",
    rate: Annotated[
        float,
        typer.Option(
            min=0,
            show_default=False,
            help="Messages per second. Not given: as it is; for a new page the server's default.",
        ),
    ] = 0,
    send_mode: Annotated[
        str | None,
        enum_option(
            SendMode, text="One request per message, or batches of 50. Not given: as it is; for a new page single."
        ),
    ] = None,
) -> None:
    """Registers a page, or replaces its token and settings.

    What is not given stays as it is. The token may come from REDRIVE_PAGE_TOKEN, from standard input
    (echo TOKEN | redrive page put ID), or be typed when asked; an empty one keeps the token that the page has. Spaces
    and line ends around the token and the secret are left out; another character that no token has is refused by name.
    """
    request = PutPageRequest(
        page_id=page_id,
        name=name,
        access_token=token.strip() or _read_token(page_id).strip(),
        app_secret=app_secret.strip(),
        messages_per_second=rate,
        send_mode=SendMode.Value(send_mode) if send_mode else SendMode.SEND_MODE_UNSPECIFIED,
    )
    session.output.show(await _put(session.client, request), _render_put)


PageIdArgument = Annotated[str, typer.Argument(metavar="ID", show_default=False, help="The platform's page id.")]


async def hold_page(
    session: Session,
    page_id: PageIdArgument,
    reason: Annotated[str, typer.Option(show_default=False, help="Shown wherever the hold is.")] = "",
) -> None:
    """Lets nothing more of a page leave; what is pending stays pending, and retries wait."""
    session.output.show(await session.client.hold_page(page_id, reason), _render_page)


async def release_page(session: Session, page_id: PageIdArgument) -> None:
    """Lets a page on hold go on, and ends a pause that the platform asked for.

    What failed for a fault of the whole page can then be retried.
    """
    session.output.show(await session.client.release_page(page_id), _render_page)


async def share_page(
    session: Session,
    page_id: PageIdArgument,
    callers: Annotated[
        list[str] | None, typer.Argument(metavar="CALLER...", show_default=False, help="By their names, all of them.")
    ] = None,
    only_owner: Annotated[bool, typer.Option("--only-owner", help="Share it with no caller any more.")] = False,
) -> None:
    """Shares a page with the named callers, and with no others.

    They may do all with it that its owner may, within their scopes, but not decide who uses it. The name "*" is every
    caller: all may see the page and send through it, as with a page that was never shared. For the page's owner, or an
    admin.
    """
    if bool(callers) == only_owner:
        raise typer.BadParameter("name the callers, or give --only-owner", param_hint="CALLER...")
    session.output.show(await session.client.share_page(page_id, callers or ()), _render_access)


async def transfer_page(
    session: Session,
    page_id: PageIdArgument,
    owner: Annotated[str, typer.Argument(metavar="CALLER", show_default=False, help="Who owns it from now on.")],
) -> None:
    """Gives a page to another owner; for admins.

    The owner of before may not use it any more, unless it is shared again. Who it is shared with may.
    """
    session.output.show(await session.client.transfer_page(page_id, owner), _render_access)


async def list_pages(session: Session, limit: Limit = None) -> None:
    """Pages that you may use, by id."""
    await show_list(session.output, session.client.list_pages(), _render_list, limit)


def is_terminal() -> bool:
    """Whether there is somebody to ask."""
    return sys.stdin.isatty()


def _read_token(page_id: str) -> str:
    """One line, from whoever is there."""
    if not is_terminal():
        return sys.stdin.readline()
    question = f"Access token of page {page_id} (may stay empty if it has one)"
    answer: str = typer.prompt(question, default="", show_default=False, hide_input=True, err=True)
    return answer


async def _put(client: Client, request: PutPageRequest) -> PutPageResponse:
    try:
        return await client.put_page(request)
    except InvalidRequest as error:
        if any(violation.field == "access_token" for violation in error.violations):
            error.add_note("Give the token in REDRIVE_PAGE_TOKEN, or on standard input.")
        raise


def _render_put(answer: PutPageResponse) -> Iterator[RenderableType]:
    page = answer.page
    yield facts(
        [
            ("page", page.id),
            ("name", page.name),
            ("messages/s", page.messages_per_second),
            ("send mode", word(SendMode, page.send_mode)),
            ("token", f"number {page.token_generation}, {'verified' if page.token_verified else 'not verified'}"),
            ("owner", _owner(page)),
        ]
    )
    for warning in answer.warnings:
        yield Text(f"Warning: {shown(warning)}", style="yellow")


def _render_page(page: Page) -> Iterator[RenderableType]:
    yield facts([("page", page.id), ("name", page.name), ("on hold", _hold(page)), ("paused", _pause(page))])


def _render_access(page: Page) -> Iterator[RenderableType]:
    yield facts([("page", page.id), ("name", page.name), ("owner", _owner(page)), ("shared with", _shared(page))])


def _owner(page: Page) -> str:
    return page.owner or "none: every caller may use it"


def _shared(page: Page) -> str:
    named = ["every caller, for sending" if caller == "*" else caller for caller in page.shared_with]
    return ", ".join(named) or "no other caller"


def _hold(page: Page) -> str:
    """Why it is, in words."""
    if not page.HasField("hold"):
        return "no"
    by = f", by {page.hold.held_by}" if page.hold.held_by else ""
    reason = page.hold.reason or "no reason given"
    return f"since {local_time(page.hold.hold_time)}{by}: {reason}. {remedy_for_hold(page.hold)}"


def _pause(page: Page) -> str:
    return until_and_why(page.pause) if page.HasField("pause") else "no"


def _render_list(answer: ListPagesResponse) -> Iterator[RenderableType]:
    yield table(_COLUMNS, map(_row, answer.pages))


def _row(page: Page) -> tuple[object, ...]:
    return (
        page.id,
        page.name,
        page.messages_per_second,
        word(SendMode, page.send_mode),
        f"number {page.token_generation}",
        page.token_verified,
        local_time(page.update_time),
        _hold(page),
        _pause(page),
        _owner(page),
        _shared(page),
    )
