"""What keeps the log: the same for every database."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from domain.event import Event
from projections.recorded import Recorded
from projections.sql import Sql
from server.log.commit import Commit
from server.log.group_commit import Written
from server.log.interruption import Interruption
from server.log.shadow import Shadow

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

    def recorded_in(self, streams: Sequence[str], after: int, limit: int | None) -> Sequence[Recorded]:
        """Events of some streams in the log's order, after a position."""
        ...

    def recorded_after(self, position: int, limit: int) -> Sequence[Recorded]:
        """Events of the whole log in order, after a position."""
        ...

    def last_position(self) -> int:
        """The position of the log's last event; 0 when it is empty."""
        ...

    def shadow(self, name: str) -> Shadow:
        """Read models of their own, beside the live ones; raises ShadowInUseError."""
        ...

    def write_together(self, group: Sequence[Commit]) -> Sequence[Written]:
        """Writes all of them in one transaction; raises what any of them raises, and then none is written."""
        ...
