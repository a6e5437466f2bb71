"""Answers on stdout: tables for people, protobuf's JSON for programs."""

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

from redrive.visible_text import escaped_json

Answer = TypeVar("Answer", bound=Message)

_PIPED_WIDTH = 1_000  # a file has no edge to wrap lines at


class Output:
    """What a command writes its answers to."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self.console = Console(highlight=False)
        if not self.console.is_terminal:
            self.console = Console(highlight=False, width=_PIPED_WIDTH)

    def show(
        self, answer: Answer, render: Callable[[Answer], Iterable[RenderableType]], *, one_line: bool = False
    ) -> None:
        """One answer: a JSON document (one line of it where more lines follow), or what `render` makes of it."""
        if self.as_json:
            typer.echo(_json(answer, indent=None if one_line else 2))
            return
        for part in render(answer):
            self.console.print(part)

    def json_line(self, answer: Message) -> None:
        """One answer of a stream, as one line of JSON."""
        typer.echo(_json(answer, indent=None))

    def say(self, text: str) -> None:
        """Lines for people; nothing in JSON."""
        if not self.as_json:
            self.console.print(Text("\n".join(map(_plain, text.splitlines()))))


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Table:
    """A table with a line of column names."""
    shown = Table(*columns)
    shown.columns[0].no_wrap = True  # an id that is broken in two cannot be copied
    for row in rows:
        shown.add_row(*map(cell, row))
    return shown


def facts(pairs: Iterable[tuple[str, object]]) -> Table:
    """Names and values, line by line."""
    shown = Table.grid(padding=(0, 2))
    for name, value in pairs:
        shown.add_row(Text(name, style="dim"), Text(_plain(value)))
    return shown


def cell(value: object) -> Text:
    """A value in a table: numbers to the right."""
    return Text(_plain(value), justify="right" if isinstance(value, int | float) else None)


def local_time(time: Timestamp) -> str:
    """The time where the reader is; empty for one that is absent."""
    if not time.seconds:
        return ""
    return time.ToDatetime(tzinfo=UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _plain(value: object) -> str:
    """The value as text without control characters, which a name or an error from outside may hold."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = f"{value:,}" if isinstance(value, int | float) else str(value)
    return "".join(character if character.isprintable() else " " for character in text)


def _json(answer: Message, indent: int | None) -> str:
    document = MessageToJson(
        answer,
        preserving_proto_field_name=True,
        always_print_fields_with_no_presence=True,
        ensure_ascii=False,
        indent=indent,
    )
    return escaped_json(document)
