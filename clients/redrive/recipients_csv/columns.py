"""The columns of a CSV file of recipients, and what their cells may hold (the limits of `redrive.v1.Recipient`)."""

import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

from redrive.recipients_csv.formula_guard import unguarded
from redrive.recipients_csv.recipient_ids import character_name, id_problem
from redrive.recipients_csv.rows import MAX_COLUMNS, CsvRow
from redrive.v1.content_pb2 import Recipient

ID_COLUMNS = ("id", "recipient_id")
EXPORT_COLUMNS = (
    "message_id",
    "recipient_id",
    "recipient_name",
    "status",
    "attempt_number",
)  # the first columns of an export
NAME_COLUMN = "name"
MAX_ID = 128
MAX_NAME = 200
MAX_VARIABLE = 1_000
MAX_VARIABLES = 50
_VARIABLE_NAME = re.compile(r"[A-Za-z0-9_]{1,64}")
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")  # control characters except tabs and line ends
_UNDECODED = re.compile("[\udc80-\udcff]")  # bytes that are not UTF-8, as Python's surrogateescape reads them
_SHOWN = 64  # characters of a column's name that a message shows
_NO_NAME = "holds a value, but the header has no name for this column"
_MISSING = "is missing: the first row names the columns, one of them id or recipient_id"
_HINT = "save the file as CSV UTF-8"


@dataclass(frozen=True)
class CsvProblem:
    """A problem and its index in the file; the column is empty if the problem concerns the whole row."""

    line: int
    column: str
    description: str

    def __str__(self) -> str:
        return f"{location_text(self.line, *filter(None, [self.column]))}: {self.description}"


def location_text(line: int, *columns: str) -> str:
    """Return a index in the file as text: `line 3, column city`, or `line 3` for the whole row."""
    if not columns:
        return f"line {line}"
    return f"line {line}, {'column' if len(columns) == 1 else 'columns'} {', '.join(columns)}"


class Columns:
    """The columns that the header names; `is_utf8` says how the file was decoded.

    A column without a name may hold only empty cells.
    """

    def __init__(self, header: CsvRow, *, is_utf8: bool = True) -> None:
        self._header = header
        self._is_utf8 = is_utf8
        self.names = [name.strip() for name in header.cells]
        while self.names and not self.names[-1]:
            self.names.pop()
        self._ids = [index for index, name in enumerate(self.names) if name in ID_COLUMNS]
        self.id_column = self.names[self._ids[0]] if self._ids else ID_COLUMNS[0]
        self._variables = [name for name in self.variables if name != NAME_COLUMN]
        self._is_export = tuple(self.names[: len(EXPORT_COLUMNS)]) == EXPORT_COLUMNS

    @cached_property
    def _checks(self) -> list[Callable[[str], str]]:
        """The check of a cell for each column; each returns a problem or an empty text. Needs a valid header."""
        return [self._check_of(name) for name in self.names]

    @property
    def variables(self) -> list[str]:
        """The variables that a text can use: all columns except the id."""
        return [name for name in self.names if name and name not in ID_COLUMNS]

    def problems(self) -> Iterator[CsvProblem]:
        """Yield the problems of the header."""
        line = self._header.line
        if self._header.problem:
            expected = f"it must name id, optionally name, and at most {MAX_VARIABLES} variables"
            yield CsvProblem(line, "", f"the header {self._header.problem}; {expected}")
            return
        if len(self._header.cells) > MAX_COLUMNS or len(self._variables) > MAX_VARIABLES:
            yield CsvProblem(line, *self._too_many())
            return
        if not self._ids:
            in_small = " (in lower case)" if any(name.lower() in ID_COLUMNS for name in self.names) else ""
            yield CsvProblem(line, "id", f"{_MISSING}{in_small}")
        before: set[str] = set()
        for index, name in enumerate(self.names):
            if description := self._wrong_name(index, name, before):
                yield CsvProblem(line, self._shown(index), description)
            before.add(name)

    def row_problems(self, row: CsvRow) -> Iterator[CsvProblem]:
        """Yield the problems of a row that is not blank."""
        if row.problem:
            yield CsvProblem(row.line, "", row.problem)
            return
        cells = self._cells(row)
        if len(cells) <= self._ids[0]:
            yield CsvProblem(row.line, self.id_column, "is empty")
        for index, (cell, check) in enumerate(zip(cells, self._checks, strict=False)):
            if description := check(cell):
                yield CsvProblem(row.line, self._shown(index), description)
        width = len(self.names)
        for index, cell in enumerate(cells[width:], width):
            if cell.strip():
                yield CsvProblem(row.line, f"number {index + 1}", _NO_NAME)
                return

    def id_of(self, row: CsvRow) -> str:
        """Return the id as written in the file, valid or not."""
        index = self._ids[0]
        return unguarded(row.cells[index].strip()) if index < len(row.cells) else ""

    def recipient(self, row: CsvRow) -> Recipient:
        """Return the recipient of a row without problems; a blank cell means that the recipient lacks the variable."""
        values = dict(zip(self.names, map(str.strip, self._cells(row)), strict=False))
        variables = {name: value for name in self._variables if (value := values.get(name))}
        return Recipient(id=values[self.id_column], name=values.get(NAME_COLUMN, ""), variables=variables)

    def _cells(self, row: CsvRow) -> list[str]:
        """Return the cells without formula guards: of all cells in an export of Redrive, else of the id only.

        An id holds no apostrophe. In other texts of other files, an apostrophe may belong to the text.
        """
        cells = row.cells
        if self._is_export:
            return list(map(unguarded, cells))
        index = self._ids[0]
        if index < len(cells) and (cell := cells[index].strip()).startswith("'"):
            cells = [*cells[:index], unguarded(cell), *cells[index + 1 :]]
        return cells

    def _check_of(self, name: str) -> Callable[[str], str]:
        if not name:
            return lambda cell: _NO_NAME if cell.strip() else ""
        if name in ID_COLUMNS:
            return self._wrong_id
        if name == NAME_COLUMN:
            return self._wrong_person_name
        return lambda cell: self._wrong_value(cell, MAX_VARIABLE)

    def _wrong_id(self, cell: str) -> str:
        cell = cell.strip(" \t")
        if not cell:
            return "is empty"
        if len(cell) > MAX_ID:
            return _too_long(cell, MAX_ID)
        return self._undecoded(cell) or id_problem(cell)

    def _wrong_person_name(self, cell: str) -> str:
        if problem := self._wrong_value(cell, MAX_NAME):
            return problem
        control = _CONTROL.search(cell.strip()) if not cell.isprintable() else None
        return f"holds {character_name(control[0])}" if control else ""

    def _wrong_value(self, cell: str, most: int) -> str:
        if cell.isascii() and len(cell) <= most and "\0" not in cell:
            return ""
        cell = cell.strip()
        if len(cell) > most:
            return _too_long(cell, most)
        return f"holds {character_name(chr(0))}" if "\0" in cell else self._undecoded(cell)

    def _undecoded(self, text: str) -> str:
        """Return the problem if the text holds bytes that are not valid in the file's encoding; else empty."""
        if not self._is_utf8:
            return f"is not valid in the file's encoding: {_HINT}" if "\ufffd" in text else ""
        found = _UNDECODED.search(text)
        return f"is not UTF-8 (byte 0x{ord(found[0]) - 0xDC00:02X}): {_HINT}" if found else ""

    def _wrong_name(self, index: int, name: str, before: set[str]) -> str:
        if not name or (_VARIABLE_NAME.fullmatch(name) and name not in before and name not in ID_COLUMNS):
            return ""
        if undecoded := self._undecoded(name):
            return undecoded
        if name in before:
            return "occurs twice in the header"
        if name in ID_COLUMNS:
            return "" if index == self._ids[0] else f"is a second id column, besides {self.id_column}"
        if hidden := next((character for character in name if not character.isprintable()), ""):
            return f"holds {character_name(hidden)}"
        return f"is not a variable name: use 1 to 64 letters, digits and underscores{_proposal(name)}"

    def _shown(self, index: int) -> str:
        """Return a column's name if it can be displayed, else its number."""
        name = self.names[index]
        if not name or not name.isprintable() or self._undecoded(name):
            return f"number {index + 1}"
        return _shortened(name)

    def _too_many(self) -> tuple[str, str]:
        if len(self._variables) <= MAX_VARIABLES:
            return "", f"the header has {len(self._header.cells):,} columns; at most {MAX_COLUMNS:,} are allowed"
        return _shortened(
            self._variables[-1]
        ), f"{len(self._variables):,} variables; at most {MAX_VARIABLES} are allowed"


def is_blank_row(row: CsvRow) -> bool:
    """Return whether the row holds only delimiters and spaces."""
    return not row.problem and not any(map(str.strip, row.cells))


def _shortened(name: str) -> str:
    return name if len(name) <= _SHOWN else f"{name[:_SHOWN]}…"


def _too_long(cell: str, most: int) -> str:
    return f"has {len(cell):,} characters; at most {most:,} are allowed"


def _proposal(name: str) -> str:
    """Return the nearest valid name, without accents; empty if no letter is left."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    proposed = re.sub(r"\W+", "_", plain).strip("_")[:64]
    return f", such as {proposed}" if proposed else ""
