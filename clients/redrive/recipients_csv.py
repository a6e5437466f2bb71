"""Lists of people in CSV files: each file is checked whole before anything is sent, in constant memory."""

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Collection, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import BinaryIO, NamedTuple
from weakref import finalize

from redrive.csv_columns import Columns, CsvProblem, is_blank
from redrive.csv_rows import CsvRows, Row, UnreadableFile
from redrive.v1.content_pb2 import Recipient

__all__ = ["PROBLEMS_SHOWN", "BadCsv", "CsvProblem", "RecipientsCsv", "RepeatedId"]

PROBLEMS_SHOWN = 20
_CHUNK = 10_000  # ids that are compared at a time
_SHEET_DIGITS = 15  # what a spreadsheet keeps of a number
_FEW = 5  # ids that end in zeros by chance


class BadCsv(ValueError):
    """The file cannot be sent; `problems` are the first of them, `more` says how many are not listed."""

    def __init__(self, name: str, problems: list[CsvProblem], more: int = 0) -> None:
        lines = [f"{name}: {problem}" for problem in problems]
        super().__init__("\n".join([*lines, f"and {more:,} more"] if more else lines))
        self.problems = problems
        self.more = more


class RepeatedId(NamedTuple):
    """A row whose id is in an earlier row already; the server drops it."""

    line: int
    recipient_id: str
    first_line: int


class RecipientsCsv:
    """The recipients of a file, which is checked at once and then read row by row as often as needed.

    The first row names the columns: `id` or `recipient_id`, perhaps `name`; all others are variables. A blank cell is a
    variable that the recipient lacks. UTF-8, or UTF-16 with a byte order mark; `,`, `;`, tab or `|` between cells.
    `source` is a path, or a binary file such as standard input, which is copied to a temporary file. Memory does not
    grow with the file; checking a million rows takes some seconds. Raises BadCsv.
    """

    def __init__(self, source: str | Path | BinaryIO, *, name: str = "") -> None:
        source = Path(source) if isinstance(source, str) else source
        self.name = name or (str(source) if isinstance(source, Path) else "standard input")
        self._path = self._regular_file(source)
        self._version = _version_of(self._path)
        self._count = 0
        self._columns = Columns(Row(1, []))
        self._zeros = _TrailingZeros()
        found = self._check()
        problems = list(islice(found, PROBLEMS_SHOWN))
        if problems:
            raise BadCsv(self.name, problems, more=sum(1 for _ in found))

    def __len__(self) -> int:
        """The number of rows; an id that is in two rows counts twice."""
        return self._count

    def __iter__(self) -> Iterator[Recipient]:
        for _, recipient in self.numbered():
            yield recipient

    def numbered(self) -> Iterator[tuple[int, Recipient]]:
        """Yield each recipient with the number of the line where the row begins.

        Raises BadCsv if the file is no longer the one that was checked.
        """
        for row in self._data_rows():
            yield row.line, self._columns.recipient(row)
        self._refuse_other_version()

    @property
    def variables(self) -> list[str]:
        """What a text can ask for: all columns but the ids'."""
        return self._columns.variables

    @property
    def id_column(self) -> str:
        """The name of the ids' column."""
        return self._columns.id_column

    @property
    def notes(self) -> list[str]:
        """What is suspicious about the file, in words; it can be sent nevertheless."""
        return list(self._zeros.notes())

    def lines_of(self, indices: Collection[int]) -> dict[int, int]:
        """Return the line of each recipient, counted from 0; the file is read again, up to the last of them."""
        wanted = frozenset(indices)
        rows = enumerate(islice(self._data_rows(), max(wanted, default=-1) + 1))
        return {index: row.line for index, row in rows if index in wanted}

    def repeated_ids(self, limit: int) -> tuple[int, list[RepeatedId]]:
        """Return how many rows repeat an id, and the first of these rows. Ids are compared on disk."""
        return _repeated(((row.line, self._columns.id_of(row)) for row in self._data_rows()), limit)

    def _data_rows(self) -> Iterator[Row]:
        self._refuse_other_version()
        return islice(_rows_with_data(CsvRows(self._path)), 1, None)

    def _check(self) -> Iterator[CsvProblem]:
        """Count the recipients, and yield what is wrong with the file."""
        try:
            file = CsvRows(self._path)
            rows = _rows_with_data(file)
            header = next(rows, Row(1, []))
            self._columns = Columns(header, is_utf8=file.is_utf8)
            wrong_header = list(self._columns.problems())
            yield from wrong_header or self._check_rows(header, rows)
        except UnreadableFile as error:
            yield CsvProblem(error.line, "", error.description)

    def _check_rows(self, header: Row, rows: Iterator[Row]) -> Iterator[CsvProblem]:
        for row in rows:
            self._count += 1
            yield from self._columns.row_problems(row)
            self._zeros.count(self._columns.id_of(row))
        if not self._count:
            yield CsvProblem(header.line + 1, self._columns.id_column, "no recipient follows the header")

    def _regular_file(self, source: Path | BinaryIO) -> Path:
        """Return a file that can be read more than once: the source, or a copy that lives as long as this object."""
        if isinstance(source, Path) and source.is_file():
            return source
        descriptor, copy = tempfile.mkstemp(prefix="redrive-recipients-", suffix=".csv")
        finalize(self, Path(copy).unlink, missing_ok=True)
        with os.fdopen(descriptor, "wb") as file:
            if isinstance(source, Path):
                with source.open("rb") as stream:
                    shutil.copyfileobj(stream, file)
            else:
                shutil.copyfileobj(source, file)
        return Path(copy)

    def _refuse_other_version(self) -> None:
        """A row that was not checked must not be sent."""
        if _version_of(self._path) != self._version:
            raise BadCsv(self.name, [CsvProblem(1, "", "the file has changed since it was checked")])


class _TrailingZeros:
    """Counts long numbers, and those that a spreadsheet may have cut to its 15 digits."""

    def __init__(self) -> None:
        self._long = self._cut = 0

    def count(self, recipient_id: str) -> None:
        if len(recipient_id) > _SHEET_DIGITS and recipient_id.isdecimal():
            self._long += 1
            self._cut += not recipient_id[_SHEET_DIGITS:].strip("0")

    def notes(self) -> Iterator[str]:
        """One in ten numbers of 16 digits ends in a zero; half of them do only if something has cut them."""
        if self._cut >= _FEW and self._cut * 2 >= self._long:
            yield (
                f"{self._cut:,} of {self._long:,} ids with more than {_SHEET_DIGITS} digits end in zeros. "
                f"A spreadsheet keeps {_SHEET_DIGITS} digits of a number: compare them with their source."
            )


def _rows_with_data(rows: Iterable[Row]) -> Iterator[Row]:
    return (row for row in rows if not is_blank(row))


def _repeated(ids: Iterable[tuple[int, str]], limit: int) -> tuple[int, list[RepeatedId]]:
    database = sqlite3.connect("")  # a temporary file, which SQLite deletes
    try:
        database.execute("CREATE TABLE ids (line INTEGER, id TEXT)")
        while chunk := list(islice(ids := iter(ids), _CHUNK)):
            database.executemany("INSERT INTO ids VALUES (?, ?)", chunk)
        database.execute("CREATE INDEX ids_by_id ON ids (id, line)")
        (count,) = database.execute("SELECT count(*) - count(DISTINCT id) FROM ids").fetchone()
        if not count:
            return 0, []
        query = """
            SELECT ids.line, ids.id, firsts.line
            FROM (SELECT id, min(line) AS line FROM ids GROUP BY id HAVING count(*) > 1) AS firsts
            JOIN ids ON ids.id = firsts.id AND ids.line > firsts.line
            ORDER BY ids.line LIMIT ?
        """
        return count, [RepeatedId(*found) for found in database.execute(query, (limit,))]
    finally:
        database.close()


def _version_of(path: Path) -> tuple[int, int, int]:
    """Return what changes whenever the file is written to or replaced."""
    found = path.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns
