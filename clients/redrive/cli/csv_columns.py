"""What the columns of a recipients' CSV mean, and what may stand in them (the limits of `redrive.v1.Recipient`)."""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

from redrive.v1.content_pb2 import Recipient

ID_COLUMNS = ("id", "recipient_id")
NAME_COLUMN = "name"
MAX_ID = 128
MAX_NAME = 200
MAX_VARIABLE = 1_000
MAX_VARIABLES = 50
_VARIABLE_NAME = re.compile(r"[A-Za-z0-9_]{1,64}")


@dataclass(frozen=True)
class CsvProblem:
    """Where the file is wrong, and how; the column is empty when the row as a whole cannot be read."""

    line: int
    column: str
    description: str

    def __str__(self) -> str:
        where = f"line {self.line}, column {self.column}" if self.column else f"line {self.line}"
        return f"{where}: {self.description}"


class Columns:
    """The columns by the header's names."""

    def __init__(self, names: list[str]) -> None:
        self.names = [name.strip() for name in names]
        self.id_places = [place for place, name in enumerate(self.names) if name in ID_COLUMNS]

    @property
    def variables(self) -> list[str]:
        """All names but the ids'."""
        return [name for place, name in enumerate(self.names) if place not in self.id_places]

    def problems(self, line: int) -> Iterator[CsvProblem]:
        """What is wrong with the header."""
        if not self.id_places:
            yield CsvProblem(line, "id", "is missing: the first row names the columns, one of them id or recipient_id")
        for place, name in enumerate(self.names):
            if description := self._wrong_name(place, name):
                yield CsvProblem(line, name if name and _is_utf8(name) else f"number {place + 1}", description)
        variables = len(self.names) - 1 - (NAME_COLUMN in self.names)
        if variables > MAX_VARIABLES:
            yield CsvProblem(line, self.names[-1], f"{variables} variables, and at most {MAX_VARIABLES} are allowed")

    def row_problems(self, line: int, cells: list[str]) -> Iterator[CsvProblem]:
        """What is wrong with a row."""
        if len(cells) != len(self.names):
            counted = f"the row has {len(cells)} cells, and the header {len(self.names)}"
            yield CsvProblem(line, self._first_odd(cells), counted)
            return
        for name, cell in zip(self.names, cells, strict=True):
            if description := _wrong_cell(name, cell):
                yield CsvProblem(line, name, description)

    def recipient(self, cells: list[str]) -> Recipient:
        """The recipient of a row that has no problems."""
        values = dict(zip(self.names, cells, strict=True))
        recipient_id = values.pop(self.names[self.id_places[0]])
        return Recipient(id=recipient_id, name=values.pop(NAME_COLUMN, ""), variables=values)

    def _wrong_name(self, place: int, name: str) -> str:
        if not _is_utf8(name):
            return "is not UTF-8"
        if name in self.names[:place]:
            return "stands in the header twice"
        if name in ID_COLUMNS and place != self.id_places[0]:
            return f"is one too many: {self.names[self.id_places[0]]} is there already"
        if not _VARIABLE_NAME.fullmatch(name):
            return f"is no name of a variable: 1 to 64 letters, digits and underscores{_proposal(name)}"
        return ""

    def _first_odd(self, cells: list[str]) -> str:
        """The first column without a cell, or the first cell without a column."""
        if len(cells) < len(self.names):
            return self.names[len(cells)]
        return f"number {len(self.names) + 1}"


def _proposal(name: str) -> str:
    """The nearest name that is allowed, without accents; nothing where no letter is left."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    proposed = re.sub(r"\W+", "_", plain).strip("_")[:64]
    return f", such as {proposed}" if proposed else ""


def _wrong_cell(column: str, cell: str) -> str:
    if not _is_utf8(cell):
        return "is not UTF-8"
    if column in ID_COLUMNS:
        return _wrong_id(cell)
    most = MAX_NAME if column == NAME_COLUMN else MAX_VARIABLE
    return f"has {len(cell):,} characters, and at most {most:,} are allowed" if len(cell) > most else ""


def _wrong_id(cell: str) -> str:
    if not cell:
        return "is empty"
    if any(character.isspace() for character in cell):
        return "holds a space"
    return f"has {len(cell):,} characters, and at most {MAX_ID} are allowed" if len(cell) > MAX_ID else ""


def _is_utf8(text: str) -> bool:
    """False where bytes that are not UTF-8 were read as surrogates."""
    return text.isascii() or not any("\udc80" <= character <= "\udcff" for character in text)
