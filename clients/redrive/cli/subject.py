"""What a report or an export is about: a message, or a page."""

from typing import Annotated

import typer

MaybeMessageId = Annotated[
    str | None, typer.Argument(metavar="MESSAGE_ID", show_default=False, help="This message, or else --page.")
]
PageId = Annotated[str | None, typer.Option("--page", show_default=False, help="All messages of this page.")]


def check_subject(message_id: str | None, page: str | None) -> None:
    """Raises BadParameter unless there is one of them."""
    if bool(message_id) == bool(page):
        raise typer.BadParameter("Give a message's id, or a page with --page, and not both.")
