"""Stop a read whose caller has gone, so that its reader is free for others."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock


class ReadInterrupted(Exception):
    """The read was stopped: its caller has gone."""


class Interruption:
    """Between the thread that reads and the one that wants it stopped."""

    def __init__(self) -> None:
        self.is_asked = False
        self._lock = Lock()
        self._interrupt: Callable[[], None] | None = None

    def ask(self) -> None:
        """Stop the statement that runs; a read that has not begun will not. May wait for the database."""
        with self._lock:
            self.is_asked = True
            if self._interrupt is not None:
                self._interrupt()

    @contextmanager
    def by(self, interrupt: Callable[[], None]) -> Iterator[None]:
        """Say how a connection's statement is stopped, as long as the block uses it; raises ReadInterrupted."""
        with self._lock:
            if self.is_asked:
                raise ReadInterrupted
            self._interrupt = interrupt
        try:
            yield
        finally:
            with self._lock:
                self._interrupt = None
