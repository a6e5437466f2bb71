"""How an export is written: as CSV, or as a JSON object a line."""

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import msgspec

from domain.visible_text import escaped_json, shown_lines
from server.commands.export_rows import Values
from server.commands.formula_guard import guarded


class Format(NamedTuple):
    """What stands before the rows, by their columns, and how rows are written."""

    beginning: Callable[[Sequence[str]], bytes]
    lines: Callable[[Sequence[str], Iterable[Values]], bytes]


def _csv_beginning(columns: Sequence[str]) -> bytes:
    return f"{','.join(columns)}\r\n".encode()


def _csv_lines(_: Sequence[str], rows: Iterable[Values]) -> bytes:
    """Every text is quoted: a delimiter inside it ends no cell."""
    text = io.StringIO(newline="")
    csv.writer(text, quoting=csv.QUOTE_NONNUMERIC).writerows(map(_cell, row) for row in rows)
    return text.getvalue().encode()


def _cell(value: Any) -> Any:
    return guarded(shown_lines(value)) if isinstance(value, str) else value


def _json_lines(columns: Sequence[str], rows: Iterable[Values]) -> bytes:
    lines = b"\n".join(msgspec.json.encode(dict(zip(columns, row, strict=True))) for row in rows)
    return escaped_json(lines.decode()).encode() + b"\n" if lines else b""


CSV = Format(beginning=_csv_beginning, lines=_csv_lines)
JSON_LINES = Format(beginning=lambda _: b"", lines=_json_lines)
