"""A table whose rows are drawn once and filled again and again: what is focused stays where it is."""

from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar

from redrive.dashboard.elements import Tag

Item = TypeVar("Item")
Shown_contra = TypeVar("Shown_contra", contravariant=True)


class Row(Protocol[Shown_contra]):
    """A row that was drawn: `box` is the tr."""

    box: Tag

    def show(self, item: Shown_contra) -> None:
        """Fills it."""


class Table(Generic[Item]):
    """`columns` are the headings; one that ends in # is of numbers. `draw` makes an empty row."""

    def __init__(self, caption: str, columns: Sequence[str], draw: Callable[[], Row[Item]], empty: str) -> None:
        self._draw = draw
        self._rows: list[Row[Item]] = []
        with Tag("div", "", "table-box"):
            with Tag("table") as self._table:
                Tag("caption", caption, "only-heard")
                with Tag("thead"), Tag("tr"):
                    for column in columns:
                        Tag("th", column.removesuffix("#"), "number" if column.endswith("#") else "", scope="col")
                self._body = Tag("tbody")
            self._empty = Tag("p", empty, "empty")
            self._empty.show(when=False)

    def show(self, items: Sequence[Item]) -> None:
        """One row an item."""
        self._table.show(when=bool(items))
        self._empty.show(when=not items)
        while len(self._rows) < len(items):
            with self._body:
                self._rows.append(self._draw())
        for row, item in zip(self._rows, items, strict=False):
            row.show(item)
        for place, row in enumerate(self._rows):
            row.box.show(when=place < len(items))


def cell(column: str, text: str = "", classes: str = "") -> Tag:
    """A cell; on a phone it says its column's name."""
    return Tag("td", text, classes, data_name=column)
