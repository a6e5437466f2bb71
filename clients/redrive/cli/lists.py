"""Output of lists, up to a limit."""

from collections.abc import Callable, Iterable
from typing import Annotated

import typer
from rich.console import RenderableType

from redrive.calls.listing import Item, Listing, ListResponse
from redrive.cli.output import Output

TABLE_ROWS = 100

Limit = Annotated[
    int | None,
    typer.Option(min=0, help=f"At most this many items; 0 for all (the default in JSON; {TABLE_ROWS} in a table)."),
]


async def show_list(
    output: Output,
    listing: Listing[ListResponse, Item],
    render: Callable[[ListResponse], Iterable[RenderableType]],
    limit: int | None,
) -> None:
    """Show all pages as one response, cut at the limit."""
    max_items = limit if limit is not None else 0 if output.as_json else TABLE_ROWS
    response = await listing.page()
    items = listing.items_of(response)
    while response.next_page_token and (not max_items or len(items) < max_items):
        following = await listing.page(response.next_page_token)
        items.extend(listing.items_of(following))
        response.next_page_token = following.next_page_token
    has_more = bool(response.next_page_token) or 0 < max_items < len(items)
    if max_items:
        del items[max_items:]
    response.next_page_token = ""
    output.show(response, render)
    if has_more:
        output.print_text("There are more: --limit 0 shows all.")
