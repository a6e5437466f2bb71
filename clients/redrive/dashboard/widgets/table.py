"""A table that keeps its row elements when its data changes, so that the focus stays."""

from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar

from redrive.dashboard.widgets.elements import Tag

Item = TypeVar("Item")
Shown_contra = TypeVar("Shown_contra", contravariant=True)


class TableRow(Protocol[Shown_contra]):
    """The interface of a row; `box` is its tr element."""

    box: Tag

    def show(self, item: Shown_contra) -> None:
        """Show an item in the row."""


class Table(Generic[Item]):
    """`columns` are the headings; a heading that ends in # is a column of numbers. `draw` returns an empty row."""

    def __init__(self, caption: str, columns: Sequence[str], draw: Callable[[], TableRow[Item]], empty: str) -> None:
        self._draw = draw
        self._rows: list[TableRow[Item]] = []
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
        """Show one row per item."""
        self._table.show(when=bool(items))
        self._empty.show(when=not items)
        while len(self._rows) < len(items):
            with self._body:
                self._rows.append(self._draw())
        for row, item in zip(self._rows, items, strict=False):
            row.show(item)
        for index, row in enumerate(self._rows):
            row.box.show(when=index < len(items))


def cell(column: str, text: str = "", classes: str = "") -> Tag:
    """Return a cell; on a phone it shows the name of its column."""
    return Tag("td", text, classes, data_name=column)
