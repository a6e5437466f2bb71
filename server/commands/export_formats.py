"""How an export is written: as CSV, or as a JSON object a line."""

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import msgspec

from server.commands.export_rows import Values

_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet takes a text for that begins so


class Format(NamedTuple):
    """What stands before the rows, by their columns, and how rows are written."""

    beginning: Callable[[Sequence[str]], bytes]
    lines: Callable[[Sequence[str], Iterable[Values]], bytes]


def _csv_lines(_: Sequence[str], rows: Iterable[Values]) -> bytes:
    return _csv(map(_harmless, row) for row in rows)


def _csv(rows: Iterable[Iterable[Any]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def _harmless(value: Any) -> Any:
    """A text that is no formula: the apostrophe is what spreadsheets themselves mark a text with."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def _json_lines(columns: Sequence[str], rows: Iterable[Values]) -> bytes:
    lines = (msgspec.json.encode(dict(zip(columns, row, strict=True))) for row in rows)
    return b"".join(line + b"\n" for line in lines)


CSV = Format(beginning=lambda columns: _csv([columns]), lines=_csv_lines)
JSON_LINES = Format(beginning=lambda _: b"", lines=_json_lines)
