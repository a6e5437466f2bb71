"""A file that is read again when it has changed."""

from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

import structlog

logger = structlog.get_logger()

T = TypeVar("T")
Stamp = tuple[int, int, int] | None  # None: there is no such file


class ReloadedFile(Generic[T]):
    """The parsed content of a file; if a changed file cannot be parsed, the last content stays in use."""

    def __init__(self, path: Path, parse: Callable[[bytes], T]) -> None:
        """Read the file; raises OSError, and ValueError from `parse`."""
        self._path = path
        self._parse = parse
        self._stamp = stamp_of(path)
        self._value = parse(path.read_bytes())

    def latest(self) -> T:
        """Return the current content."""
        stamp = stamp_of(self._path)
        if stamp != self._stamp:
            self._stamp = stamp  # before reading: a change in between is seen the next time
            self._read_again()
        return self._value

    def _read_again(self) -> None:
        try:
            self._value = self._parse(self._path.read_bytes())
        except (OSError, ValueError) as error:
            logger.warning("file_not_read_again", path=str(self._path), problem=type(error).__name__)
        else:
            logger.info("file_read_again", path=str(self._path))


def stamp_of(path: Path) -> Stamp:
    """Return a value that changes with the file; None if it does not exist."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino
