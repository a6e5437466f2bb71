"""Rows of a delimited text file as spreadsheets write it, read line by line in constant memory.

The csv module of the standard library does not read a quotation mark after a space other than U+0020, refuses a space
after the closing one, and limits neither a line nor the number of its cells.
"""

import codecs
import re
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple, TextIO

MAX_ROW = (
    200_000  # characters; a recipient with all variables at their limits, each character a doubled quotation mark, fits
)
MAX_COLUMNS = 16_384  # the columns of a sheet
DELIMITERS = (",", ";", "\t", "|")
HEAD = 4_096  # bytes that identify the type of the file

_BYTE_ORDER_MARKS = (  # UTF-32 first: its mark begins with the mark of UTF-16
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_OTHER_FILES = (
    (b"PK\x03\x04", "is an Excel workbook or another zip archive, despite its name: save the sheet as CSV UTF-8"),
    (b"\xd0\xcf\x11\xe0", "is an Excel workbook, despite its name: save the sheet as CSV UTF-8"),
    (b"%PDF", "is a PDF, not a CSV file"),
    (b"\x1f\x8b", "is a compressed file: unpack it first"),
)
_BINARY = re.compile(rb"[\x00-\x08\x0e-\x1f]")
_SEPARATOR_LINE = re.compile(r"sep=(.)\s*", re.IGNORECASE)  # a first line that Excel writes
_ID_IN_HEADER = re.compile(r'[\s"]*(recipient_)?id[\s"]*')
_NO_VALUE = "".join([*DELIMITERS, " \r\n"])
_TOO_LONG = f"has more than {MAX_ROW:,} characters"


class UnreadableFile(Exception):
    """The file cannot be read as rows, from this line on."""

    def __init__(self, line: int, description: str) -> None:
        super().__init__(description)
        self.line = line
        self.description = description


class CsvRow(NamedTuple):
    """The cells of a row as written in the file; `line` is where the row begins, from 1.

    A row with a problem has no cells.
    """

    line: int
    cells: list[str]
    problem: str = ""


class CsvRowReader:
    """The rows of a file, header first, without blank lines. Raises UnreadableFile.

    Each iteration opens the file again.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with path.open("rb") as file:
            head = file.read(HEAD)
        self.encoding = _encoding(head)
        self._newline = _newline(head.decode(self.encoding, errors="ignore"))
        self._first_line, self._delimiter = self._find_header()

    @property
    def is_utf8(self) -> bool:
        """Whether the file is read as UTF-8: invalid bytes then become surrogates, else U+FFFD."""
        return self.encoding == "utf-8-sig"

    def __iter__(self) -> Iterator[CsvRow]:
        with self._open() as text:
            lines = islice(self._lines(text), self._first_line - 1, None)
            yield from _RowParser(lines, self._delimiter)

    def _find_header(self) -> tuple[int, str]:
        """Return the line number of the header, and the delimiter."""
        with self._open() as text:
            for number, line in self._lines(text):
                if given := _SEPARATOR_LINE.fullmatch(line):
                    return number + 1, given[1]
                if line.strip(_NO_VALUE):
                    return number, _delimiter(line)
        return 1, ","

    def _open(self) -> TextIO:
        errors = "surrogateescape" if self.is_utf8 else "replace"
        return self._path.open(encoding=self.encoding, errors=errors, newline=self._newline)

    def _lines(self, text: TextIO) -> Iterator[tuple[int, str]]:
        """Yield each physical line with its number and its line end; of a line that is too long, only the beginning."""
        number = 0
        while line := text.readline(MAX_ROW + 1):
            number += 1
            yield number, line
            while len(line) > MAX_ROW and not line.endswith(self._newline):
                line = text.readline(MAX_ROW + 1)


class _RowParser:
    """Joins lines into rows: a quoted cell may hold delimiters and line ends."""

    def __init__(self, lines: Iterable[tuple[int, str]], delimiter: str) -> None:
        self._lines = lines
        self._delimiter = delimiter
        blanks = r"[^\S\t]*+" if delimiter == "\t" else r"\s*+"
        after = rf"{blanks}(?:({re.escape(delimiter)})|\Z)"
        self._opening = re.compile(rf'{blanks}"')
        self._inside = re.compile(r'[^"]*+(?:""[^"]*+)*+')
        self._closing = re.compile(rf'"{after}')
        self._plain = re.compile(rf"([^{re.escape(delimiter)}]*+)({re.escape(delimiter)})?")
        self._cells: list[str] = []
        self._quoted: list[str] | None = None  # the content of a quoted cell that is still open

    def __iter__(self) -> Iterator[CsvRow]:
        first = size = 0
        for number, line in self._lines:
            if self._quoted is None:
                first, size = number, 0
            size += len(line)
            if size > MAX_ROW:
                if self._quoted is not None:
                    raise UnreadableFile(first, f"{_TOO_LONG}: is a quotation mark missing?")
                yield CsvRow(number, [], _TOO_LONG)
            elif (row := self._row(first, line)) is not None:
                yield row
        if self._quoted is not None:
            raise UnreadableFile(first, "has a quotation mark that is never closed")

    def _row(self, first: int, line: str) -> CsvRow | None:
        """Return the row that this line completes; None for a blank line, and while a quoted cell is open."""
        body = line.rstrip("\r\n")
        if self._quoted is None and '"' not in body:
            return CsvRow(first, body.split(self._delimiter)) if body else None
        problem = self._split(body, line[len(body) :])
        if self._quoted is not None:
            return None
        cells, self._cells = self._cells, []
        return CsvRow(first, [] if problem else cells, problem)

    def _split(self, body: str, end: str) -> str:
        """Take the cells of a line; return the problem, empty for none."""
        position: int | None = 0
        while position is not None:
            if self._quoted is None and (opening := self._opening.match(body, position)):
                self._quoted = []
                position = opening.end()
            if self._quoted is None:
                position = self._take_plain(body, position)
                continue
            inside = self._inside.match(body, position)
            self._quoted.append(inside[0] if inside else "")
            if inside is None or inside.end() == len(body):
                self._quoted.append(end)
                return ""
            closing = self._closing.match(body, inside.end())
            if closing is None:
                self._quoted = None
                return "has characters after a closing quotation mark"
            self._cells.append("".join(self._quoted).replace('""', '"'))
            self._quoted = None
            position = closing.end() if closing[1] else None
        return ""

    def _take_plain(self, body: str, position: int) -> int | None:
        """Take a cell without quotation marks; return where the next one begins."""
        plain = self._plain.match(body, position)
        self._cells.append(plain[1] if plain else "")
        return plain.end() if plain and plain[2] else None


def _encoding(head: bytes) -> str:
    """Return the encoding of the byte order mark, else UTF-8. Raises UnreadableFile."""
    for mark, encoding in _BYTE_ORDER_MARKS:
        if head.startswith(mark):
            return encoding
    for magic, description in _OTHER_FILES:
        if head.startswith(magic):
            raise UnreadableFile(1, description)
    first_line = re.split(rb"[\r\n]", head.lstrip(), maxsplit=1)[0]
    if b"\0" in head[:1] + head[2:3] or b"\0" in head[1:2] + head[3:4]:
        raise UnreadableFile(1, "is UTF-16 without a byte order mark, or not a text file: save it as CSV UTF-8")
    if _BINARY.search(first_line):
        raise UnreadableFile(1, "is not a text file: save it as CSV UTF-8")
    return "utf-8-sig"


def _newline(head: str) -> str:
    """Return the line end: a carriage return alone only if the first line ends so, as on classic Mac OS.

    Python's csv module ends lines with CR CR LF on Windows if the file was opened without `newline=""`.
    """
    end = re.search(r"\r+\n|\n|\r", head)
    return "\r" if end and end[0] == "\r" else "\n"


def _delimiter(header: str) -> str:
    """Return the delimiter that gives the most columns; one that separates an id column has priority."""
    plain = re.sub(r'"(?:[^"]|"")*"', lambda quoted: "".join(c for c in quoted[0] if c not in DELIMITERS), header)

    def score(delimiter: str) -> tuple[bool, int]:
        columns = plain.split(delimiter, MAX_COLUMNS)
        return any(map(_ID_IN_HEADER.fullmatch, columns)), len(columns)

    return max(DELIMITERS, key=score)
