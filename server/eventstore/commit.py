"""The event store's interface: commits, their results, and the Protocol EventLog."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from secrets import token_hex
from typing import Any, NamedTuple, Protocol, TypeVar

import msgspec

from domain.event import Event, RecordedEvent
from projections.requests import is_known, request_of
from projections.sql import Sql
from server.eventstore import rolling_upgrade

T = TypeVar("T")

OLDER_RELEASE_RUNS = "a server of the previous release is still running"


class StreamEvents(NamedTuple):
    """Events to append to a stream whose last version is the expected one (0 = the stream is new)."""

    stream: str
    expected_version: int
    events: Sequence[Event]


class Refused(msgspec.Struct, frozen=True):
    """The commit's guard refused it; nothing was written."""

    cause: Any


class Conflict(msgspec.Struct, frozen=True):
    """The stream does not have the expected version; nothing was written."""

    stream: str


class Committed(msgspec.Struct, frozen=True):
    """All of the commit is durable, read models included; `position` is that of its last event, 0 without events."""

    position: int


CommitResult = Committed | Conflict | Refused


@dataclass(frozen=True, slots=True)
class Commit:
    """Events and a write of operational tables, committed in one transaction.

    A commit that is passed in twice is written once, by its `append_id` (protocol rule 17).

    `guard` runs first, under the log's lock (protocol rule 3); it refuses the commit by returning a cause. `also`
    writes operational tables (secrets, leases). With `destroys`, the data that `also` overwrites is removed from the
    database's files too.
    """

    appends: Sequence[StreamEvents]
    guard: Callable[[Sql], Any] | None = None
    also: Callable[[Sql], None] | None = None
    destroys: bool = False
    append_id: str = field(default_factory=lambda: token_hex(8))

    @property
    def needs_new_release(self) -> bool:
        """Whether servers of the previous release would misunderstand one of the events."""
        return rolling_upgrade.needs_new_release(event for append in self.appends for event in append.events)

    def refusal(self, sql: Sql) -> Conflict | Refused | None:
        """Return why the commit must not be written, apart from stream versions; None if it may.

        The reasons: its request was answered before; a server of the previous release runs, which would misunderstand
        an event; its guard refuses.
        """
        for append in self.appends:
            for event in append.events:
                stamp = request_of(event)
                if stamp is not None and is_known(sql, stamp):
                    return Conflict(append.stream)
        if self.needs_new_release and rolling_upgrade.older_release_is_running(sql):
            return Refused(OLDER_RELEASE_RUNS)
        cause = self.guard(sql) if self.guard is not None else None
        return None if cause is None else Refused(cause)


def combine(*writes: Callable[[Sql], None]) -> Callable[[Sql], None]:
    """Return one write that runs several, in order."""

    def write(sql: Sql) -> None:
        for one in writes:
            one(sql)

    return write


Listener = Callable[[Sequence[RecordedEvent]], None]


class EventLog(Protocol):
    """The event store as the service uses it. Every method raises Unavailable while the database cannot be used."""

    async def commit(self, commit: Commit) -> CommitResult:
        """Write a commit, in one transaction with others that wait. A cancelled caller's commit is still written."""
        ...

    async def write(self, change: Callable[[Sql], T]) -> T:
        """Change operational tables, in one transaction with the commits that wait, and return the change's result.

        If another commit of that transaction fails, the change runs a second time: the first run was rolled back. A
        cancelled caller's change is still written.
        """
        ...

    async def load(self, stream: str, *, limit: int | None = None) -> Sequence[Event]:
        """Return the events of a stream in order: all, or the first `limit`."""
        ...

    async def recorded_in(
        self, streams: Sequence[str], *, after: int = 0, limit: int | None = None
    ) -> Sequence[RecordedEvent]:
        """Return the events of some streams in the log's order, after a position: all, or the first `limit`."""
        ...

    async def read(self, query: Callable[[Sql], T]) -> T:
        """Run a query in its own snapshot, in a reader thread. Cancelling the caller stops the query."""
        ...

    async def compute(self, work: Callable[[], T]) -> T:
        """Run a computation in a reader thread; for one that would block the event loop more than a millisecond."""
        ...

    def listen(self, listener: Listener) -> None:
        """Call the listener in the event loop with the events of each commit, once they are durable."""
        ...
