"""Shows as much of a list as its reader wants."""

from collections.abc import Callable, Iterable
from typing import Annotated

import typer
from rich.console import RenderableType

from redrive.cli.output import Output
from redrive.listing import Item, ListAnswer, Listing

TABLE_ROWS = 100

Limit = Annotated[
    int | None,
    typer.Option(min=0, help=f"At most so many; 0 for all (the default in JSON; {TABLE_ROWS} in a table)."),
]


async def show_list(
    output: Output,
    listing: Listing[ListAnswer, Item],
    render: Callable[[ListAnswer], Iterable[RenderableType]],
    limit: int | None,
) -> None:
    """The pages as one answer, cut at the limit."""
    most = limit if limit is not None else 0 if output.as_json else TABLE_ROWS
    answer = await listing.page()
    items = listing.items_of(answer)
    while answer.next_page_token and (not most or len(items) < most):
        following = await listing.page(answer.next_page_token)
        items.extend(listing.items_of(following))
        answer.next_page_token = following.next_page_token
    has_more = bool(answer.next_page_token) or 0 < most < len(items)
    if most:
        del items[most:]
    answer.next_page_token = ""
    output.show(answer, render)
    if has_more:
        output.say("There are more: --limit 0 shows all.")
