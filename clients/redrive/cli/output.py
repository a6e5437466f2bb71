"""Output on stdout: tables for people, protobuf's JSON for programs."""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC
from typing import TypeVar

import typer
from google.protobuf.json_format import MessageToJson
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from redrive.texts.visible_text import escaped_json

Response = TypeVar("Response", bound=Message)

_PIPED_WIDTH = 1_000  # columns: lines in a file are not wrapped


class Output:
    """The output of a command."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self.console = Console(highlight=False)
        if not self.console.is_terminal:
            self.console = Console(highlight=False, width=_PIPED_WIDTH)

    def show(
        self, response: Response, render: Callable[[Response], Iterable[RenderableType]], *, one_line: bool = False
    ) -> None:
        """Show a response: as a JSON document (on one line if `one_line`), or as `render` renders it."""
        if self.as_json:
            typer.echo(_json(response, indent=None if one_line else 2))
            return
        for part in render(response):
            self.console.print(part)

    def print_json_line(self, response: Message) -> None:
        """Print a response of a stream as one line of JSON."""
        typer.echo(_json(response, indent=None))

    def print_text(self, text: str) -> None:
        """Print text for people; nothing in JSON mode."""
        if not self.as_json:
            self.console.print(Text("\n".join(map(_printable, text.splitlines()))))


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Table:
    """Return a table with a header."""
    shown = Table(*columns)
    shown.columns[0].no_wrap = True  # a wrapped id could not be copied
    for row in rows:
        shown.add_row(*map(cell, row))
    return shown


def key_value_table(pairs: Iterable[tuple[str, object]]) -> Table:
    """Return a table of names and values, one pair per line."""
    shown = Table.grid(padding=(0, 2))
    for name, value in pairs:
        shown.add_row(Text(name, style="dim"), Text(_printable(value)))
    return shown


def cell(value: object) -> Text:
    """Return a cell of a table; numbers are aligned to the right."""
    return Text(_printable(value), justify="right" if isinstance(value, int | float) else None)


def format_time(time: Timestamp) -> str:
    """Return the time in the machine's time zone; empty if it is not set."""
    if not time.seconds:
        return ""
    return time.ToDatetime(tzinfo=UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _printable(value: object) -> str:
    """Return the value as text without control characters, which outside texts may hold."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = f"{value:,}" if isinstance(value, int | float) else str(value)
    return "".join(character if character.isprintable() else " " for character in text)


def _json(response: Message, indent: int | None) -> str:
    document = MessageToJson(
        response,
        preserving_proto_field_name=True,
        always_print_fields_with_no_presence=True,
        ensure_ascii=False,
        indent=indent,
    )
    return escaped_json(document)
