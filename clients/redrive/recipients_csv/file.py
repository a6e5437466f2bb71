"""Reading of recipients from a CSV file."""

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Collection, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import BinaryIO, NamedTuple
from weakref import finalize

from redrive.recipients_csv.columns import Columns, CsvProblem, is_blank_row
from redrive.recipients_csv.rows import CsvRow, CsvRowReader, UnreadableFile
from redrive.v1.content_pb2 import Recipient

PROBLEMS_SHOWN = 20
_CHUNK = 10_000  # ids that are inserted at a time
_SHEET_DIGITS = 15  # digits of a number that a spreadsheet keeps
_FEW = 5  # fewer ids may end in zeros by chance


class BadCsv(ValueError):
    """The file cannot be sent; `problems` holds the first ones, `more` is the number of others."""

    def __init__(self, name: str, problems: list[CsvProblem], more: int = 0) -> None:
        lines = [f"{name}: {problem}" for problem in problems]
        super().__init__("\n".join([*lines, f"and {more:,} more"] if more else lines))
        self.problems = problems
        self.more = more


class RepeatedId(NamedTuple):
    """A row whose id occurs in an earlier row; the server drops it."""

    line: int
    recipient_id: str
    first_line: int


class RecipientsCsv:
    """The recipients of a CSV file: checked at once, then read row by row as often as needed.

    The first row names the columns: `id` or `recipient_id`, optionally `name`; all others are variables. A blank cell
    means that the recipient lacks the variable. The file is UTF-8, or UTF-16 with a byte order mark; `,`, `;`, tab or
    `|` separates cells. `source` is a path, or a binary file such as standard input, which is copied to a temporary
    file. Memory does not grow with the file; checking a million rows takes some seconds. Raises BadCsv.
    """

    def __init__(self, source: str | Path | BinaryIO, *, name: str = "") -> None:
        source = Path(source) if isinstance(source, str) else source
        self.name = name or (str(source) if isinstance(source, Path) else "standard input")
        self._path = self._regular_file(source)
        self._version = _version_of(self._path)
        self._count = 0
        self._columns = Columns(CsvRow(1, []))
        self._zeros = _TrailingZeros()
        found = self._check()
        problems = list(islice(found, PROBLEMS_SHOWN))
        if problems:
            raise BadCsv(self.name, problems, more=sum(1 for _ in found))

    def __len__(self) -> int:
        """The number of rows; an id in two rows counts twice."""
        return self._count

    def __iter__(self) -> Iterator[Recipient]:
        for _, recipient in self.numbered():
            yield recipient

    def numbered(self) -> Iterator[tuple[int, Recipient]]:
        """Yield each recipient with the line number where its row begins.

        Raises BadCsv if the file has changed since it was checked.
        """
        for row in self._data_rows():
            yield row.line, self._columns.recipient(row)
        self._refuse_other_version()

    @property
    def variables(self) -> list[str]:
        """The variables that a text can use: all columns except the id."""
        return self._columns.variables

    @property
    def id_column(self) -> str:
        """The name of the id column."""
        return self._columns.id_column

    @property
    def notes(self) -> list[str]:
        """Warnings about the file, which can be sent nevertheless."""
        return list(self._zeros.notes())

    def lines_of(self, indices: Collection[int]) -> dict[int, int]:
        """Return the line of each recipient index (from 0); reads the file again, up to the last of them."""
        wanted = frozenset(indices)
        rows = enumerate(islice(self._data_rows(), max(wanted, default=-1) + 1))
        return {index: row.line for index, row in rows if index in wanted}

    def repeated_ids(self, limit: int) -> tuple[int, list[RepeatedId]]:
        """Return how many rows repeat an id, and the first `limit` of them. The comparison uses disk, not memory."""
        return _repeated(((row.line, self._columns.id_of(row)) for row in self._data_rows()), limit)

    def _data_rows(self) -> Iterator[CsvRow]:
        self._refuse_other_version()
        return islice(_rows_with_data(CsvRowReader(self._path)), 1, None)

    def _check(self) -> Iterator[CsvProblem]:
        """Count the recipients, and yield the problems of the file."""
        try:
            file = CsvRowReader(self._path)
            rows = _rows_with_data(file)
            header = next(rows, CsvRow(1, []))
            self._columns = Columns(header, is_utf8=file.is_utf8)
            wrong_header = list(self._columns.problems())
            yield from wrong_header or self._check_rows(header, rows)
        except UnreadableFile as error:
            yield CsvProblem(error.line, "", error.description)

    def _check_rows(self, header: CsvRow, rows: Iterator[CsvRow]) -> Iterator[CsvProblem]:
        for row in rows:
            self._count += 1
            yield from self._columns.row_problems(row)
            self._zeros.count(self._columns.id_of(row))
        if not self._count:
            yield CsvProblem(header.line + 1, self._columns.id_column, "no recipient follows the header")

    def _regular_file(self, source: Path | BinaryIO) -> Path:
        """Return a file that can be read repeatedly: the source, or a copy that is deleted with this object."""
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
        """Raise BadCsv if the file has changed: unchecked rows must not be sent."""
        if _version_of(self._path) != self._version:
            raise BadCsv(self.name, [CsvProblem(1, "", "the file has changed since it was checked")])


class _TrailingZeros:
    """Counts long numeric ids, and those that a spreadsheet may have cut to 15 digits."""

    def __init__(self) -> None:
        self._long = self._cut = 0

    def count(self, recipient_id: str) -> None:
        if len(recipient_id) > _SHEET_DIGITS and recipient_id.isdecimal():
            self._long += 1
            self._cut += not recipient_id[_SHEET_DIGITS:].strip("0")

    def notes(self) -> Iterator[str]:
        """Warn if at least half of the long ids end in zeros: by chance one in ten does at 16 digits."""
        if self._cut >= _FEW and self._cut * 2 >= self._long:
            yield (
                f"{self._cut:,} of {self._long:,} ids with more than {_SHEET_DIGITS} digits end in zeros. "
                f"A spreadsheet keeps {_SHEET_DIGITS} digits of a number: compare them with their source."
            )


def _rows_with_data(rows: Iterable[CsvRow]) -> Iterator[CsvRow]:
    return (row for row in rows if not is_blank_row(row))


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
    """Return a value that changes when the file is written or replaced."""
    found = path.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns
