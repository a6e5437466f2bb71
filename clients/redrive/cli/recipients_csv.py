"""Recipients out of a CSV file, which is checked whole before anything is sent."""

import csv
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TextIO

from redrive.cli.csv_columns import Columns, CsvProblem
from redrive.v1.content_pb2 import Recipient

PROBLEMS_SHOWN = 10


class BadCsv(Exception):
    """The file cannot be sent as it is; `problems` holds the first few."""

    def __init__(self, path: Path, problems: list[CsvProblem]) -> None:
        super().__init__("\n".join(f"{path}: {problem}" for problem in problems))
        self.problems = problems


class RecipientsCsv:
    """The recipients of a file: checked and counted at once, then read row by row as often as one likes.

    The first row names the columns: `id` or `recipient_id`, perhaps `name`; all others are variables. UTF-8, with or
    without a byte order mark; `,` or `;` between cells. An empty cell is an empty value. Raises BadCsv.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._count = 0
        self.variables: list[str] = []  # what a text can say: all columns but the one of the ids
        problems = list(islice(self._check(), PROBLEMS_SHOWN))
        if problems:
            raise BadCsv(path, problems)

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Recipient]:
        for _, recipient in self.numbered():
            yield recipient

    def numbered(self) -> Iterator[tuple[int, Recipient]]:
        """Each recipient with the number of its first line in the file."""
        rows = self._rows()
        _, names = next(rows)
        columns = Columns(names)
        for line, cells in rows:
            yield line, columns.recipient(cells)

    def _check(self) -> Iterator[CsvProblem]:
        """Counts the recipients, and says what is wrong with them."""
        rows = self._rows()
        line, names = next(rows, (1, []))
        columns = Columns(names)
        wrong_header = list(columns.problems(line))
        if wrong_header:
            yield from wrong_header
            return
        self.variables = columns.variables
        for line, cells in rows:
            self._count += 1
            yield from columns.row_problems(line, cells)
        if not self._count:
            yield CsvProblem(line + 1, columns.names[columns.id_places[0]], "no recipient follows the header")

    def _rows(self) -> Iterator[tuple[int, list[str]]]:
        """Each row with the number of its first line; blank lines are left out."""
        # Bytes that are not UTF-8 come through as surrogates, so that the cell they stand in can be named.
        with self._path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            reader = csv.reader(file, delimiter=_delimiter(file), strict=True)
            line = 1
            try:
                for cells in reader:
                    if cells:
                        yield line, cells
                    line = reader.line_num + 1
            except csv.Error as error:
                raise BadCsv(self._path, [CsvProblem(line, "", f"cannot be read: {error}")]) from error


def _delimiter(file: TextIO) -> str:
    header = file.readline()
    file.seek(0)
    return ";" if header.count(";") > header.count(",") else ","
