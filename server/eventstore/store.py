"""The Protocol Store, which the SQLite and PostgreSQL databases implement, and the Protocols that go with it."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from threading import Lock
from typing import Protocol

from domain.event import Event, RecordedEvent
from projections.sql import Sql
from server.eventstore.commit import Commit
from server.eventstore.group_commit import WriteResult

READERS = 8  # threads that run queries, each with a connection; callers' reads use half of them (api/fair_reads.py)


class ReadInterrupted(Exception):
    """The read was stopped because its caller was cancelled."""


class StagingInUseError(Exception):
    """Another process builds staging read models of this database."""


class Interruption:
    """Lets one thread stop a read that another thread runs."""

    def __init__(self) -> None:
        self.is_requested = False
        self._lock = Lock()
        self._interrupt: Callable[[], None] | None = None

    def request(self) -> None:
        """Stop the running statement; a read that has not started will not start. May wait for the database."""
        with self._lock:
            self.is_requested = True
            if self._interrupt is not None:
                self._interrupt()

    @contextmanager
    def by(self, interrupt: Callable[[], None]) -> Iterator[None]:
        """Set how to stop the statement of the connection that the block uses; raises ReadInterrupted."""
        with self._lock:
            if self.is_requested:
                raise ReadInterrupted
            self._interrupt = interrupt
        try:
            yield
        finally:
            with self._lock:
                self._interrupt = None


class StagingReadModels(Protocol):
    """A second set of read models, built from the log next to the live ones, which it may replace at the end.

    One process has it open at a time. Every method blocks.
    """

    @property
    def own(self) -> str:
        """The schema of the staging tables, as SQL names it."""
        ...

    @property
    def live(self) -> str:
        """The schema of the live tables, as SQL names it."""
        ...

    def building(self) -> AbstractContextManager[Sql]:
        """Open a transaction that sees the staging tables only."""
        ...

    def comparing(self) -> AbstractContextManager[Sql]:
        """Open a transaction that sees the live database too, and holds the log's lock: no other process writes."""
        ...

    def replace(self, sql: Sql, table: str) -> None:
        """Put a staging table in the place of the live one, inside `comparing`; clear the staging set afterwards."""
        ...

    def clear(self) -> None:
        """Delete all staging tables."""
        ...

    def remove(self) -> None:
        """Delete all staging tables and close."""
        ...

    def close(self) -> None:
        """Close; the staging tables are there when it is opened again."""
        ...


class Store(Protocol):
    """One database of events, read models and operational tables. Every method blocks.

    While the database cannot be used, its methods raise one of `unavailable_errors`.
    """

    @property
    def unavailable_errors(self) -> tuple[type[Exception], ...]:
        """The exceptions that mean that the database cannot be used now."""
        ...

    def close(self) -> None:
        """Close all connections."""
        ...

    def transaction(self, *, commit: bool) -> AbstractContextManager[Sql]:
        """Open a snapshot to read, or with `commit` a transaction under the log's lock; an exception rolls it back."""
        ...

    def interruptible(self, interruption: Interruption) -> AbstractContextManager[Sql]:
        """Open a snapshot to read whose statements another thread can stop; raises ReadInterrupted."""
        ...

    def load(self, stream: str, limit: int | None) -> Sequence[Event]:
        """Return the events of a stream in order: all, or the first `limit`."""
        ...

    def recorded_in(self, streams: Sequence[str], after: int, limit: int | None) -> Sequence[RecordedEvent]:
        """Return events of some streams in the log's order, after a position."""
        ...

    def recorded_after(self, position: int, limit: int) -> Sequence[RecordedEvent]:
        """Return events of all streams in the log's order, after a position."""
        ...

    def last_position(self) -> int:
        """Return the position of the log's last event; 0 if the log is empty."""
        ...

    def staging(self, name: str) -> StagingReadModels:
        """Open the staging read models of this name; raises StagingInUseError."""
        ...

    def write_together(self, group: Sequence[Commit]) -> Sequence[WriteResult]:
        """Write a group of commits in one transaction; if one raises, none is written."""
        ...
