"""What keeps the log: the same for every database."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from threading import Lock
from typing import Protocol

from domain.event import Event, RecordedEvent
from projections.sql import Sql
from server.eventstore.commit import Commit
from server.eventstore.group_commit import Written

# Read models built anew beside the live ones, which stay as they are until the new ones replace them.


class StagingInUseError(Exception):
    """Somebody else builds read models of this database anew."""


class StagingReadModels(Protocol):
    """One set of read models, this process's alone while it is open. Every method blocks."""

    @property
    def own(self) -> str:
        """The schema of its tables, as SQL names it."""
        ...

    @property
    def live(self) -> str:
        """The schema of the live tables, as SQL names it."""
        ...

    def building(self) -> AbstractContextManager[Sql]:
        """A transaction that knows its own tables only."""
        ...

    def comparing(self) -> AbstractContextManager[Sql]:
        """A transaction that knows the live database too, whose log nobody else writes meanwhile."""
        ...

    def replace(self, sql: Sql, table: str) -> None:
        """Puts its own table in the live one's place, inside `comparing`; afterwards it has to be cleared."""
        ...

    def clear(self) -> None:
        """Forgets all that it holds."""
        ...

    def remove(self) -> None:
        """Leaves nothing behind, and closes it."""
        ...

    def close(self) -> None:
        """Lets it go; what it holds is there when it is opened again."""
        ...


# Stop a read whose caller has gone, so that its reader is free for others.


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


READERS = 8  # threads that run queries, each with a connection; callers' reads use half of them (api/fair_reads.py)


class Store(Protocol):
    """One database. Every method blocks; `away` holds what they raise while it cannot be used."""

    @property
    def away(self) -> tuple[type[Exception], ...]:
        """The exceptions that say that the database cannot be used now."""
        ...

    def close(self) -> None:
        """Lets the database go."""
        ...

    def transaction(self, *, commit: bool) -> AbstractContextManager[Sql]:
        """A snapshot to read, or a change that is written whole or not at all."""
        ...

    def interruptible(self, interruption: Interruption) -> AbstractContextManager[Sql]:
        """Open a snapshot to read whose statements another thread can stop; raises ReadInterrupted."""
        ...

    def load(self, stream: str, limit: int | None) -> Sequence[Event]:
        """The events of a stream in order."""
        ...

    def recorded_in(self, streams: Sequence[str], after: int, limit: int | None) -> Sequence[RecordedEvent]:
        """Events of some streams in the log's order, after a position."""
        ...

    def recorded_after(self, position: int, limit: int) -> Sequence[RecordedEvent]:
        """Events of the whole log in order, after a position."""
        ...

    def last_position(self) -> int:
        """The position of the log's last event; 0 when it is empty."""
        ...

    def shadow(self, name: str) -> StagingReadModels:
        """Read models of their own, beside the live ones; raises StagingInUseError."""
        ...

    def write_together(self, group: Sequence[Commit]) -> Sequence[Written]:
        """Writes all of them in one transaction; raises what any of them raises, and then none is written."""
        ...
