"""One atomic change of the log, and what can become of it."""

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

OLDER_RELEASE_LIVES = "a server of the release before is still at work"


class StreamEvents(NamedTuple):
    """Events to append to a stream whose last version is the expected one (0 = the stream is new)."""

    stream: str
    expected_version: int
    events: Sequence[Event]


class Refused(msgspec.Struct, frozen=True):
    """A guard said no; nothing was written."""

    cause: Any


class Conflict(msgspec.Struct, frozen=True):
    """A stream has moved on; nothing was written."""

    stream: str


class Committed(msgspec.Struct, frozen=True):
    """All of it is durable, read models included."""

    position: int


CommitResult = Committed | Conflict | Refused


@dataclass(frozen=True, slots=True)
class Commit:
    """What is written together or not at all; written once, however often it is handed in (protocol rule 17).

    `guard` runs first, under the log's lock (protocol rule 3), and refuses by answering a cause. `also` writes what
    stands beside the log (secrets, leases). What it overwrites when it `destroys` is to be gone from the files too.
    """

    appends: Sequence[StreamEvents]
    guard: Callable[[Sql], Any] | None = None
    also: Callable[[Sql], None] | None = None
    destroys: bool = False
    append_id: str = field(default_factory=lambda: token_hex(8))

    @property
    def needs_new_release(self) -> bool:
        """Servers of the release before would not understand all that it writes."""
        return rolling_upgrade.needs_new_release(event for append in self.appends for event in append.events)

    def refusal(self, sql: Sql) -> Conflict | Refused | None:
        """Why it may not be written, apart from its versions.

        A request that was carried out before; a server of the release before, which would not understand; its guard.
        """
        for append in self.appends:
            for event in append.events:
                stamp = request_of(event)
                if stamp is not None and is_known(sql, stamp):
                    return Conflict(append.stream)
        if self.needs_new_release and rolling_upgrade.older_release_is_running(sql):
            return Refused(OLDER_RELEASE_LIVES)
        cause = self.guard(sql) if self.guard is not None else None
        return None if cause is None else Refused(cause)


def both(*writes: Callable[[Sql], None]) -> Callable[[Sql], None]:
    """Several writes as one."""

    def write(sql: Sql) -> None:
        for one in writes:
            one(sql)

    return write


Listener = Callable[[Sequence[RecordedEvent]], None]


class EventLog(Protocol):
    """The log as the service uses it; every method raises Unavailable while the database cannot be used."""

    async def commit(self, commit: Commit) -> CommitResult:
        """Writes it, together with whatever else waits to be written."""
        ...

    async def load(self, stream: str, *, limit: int | None = None) -> Sequence[Event]:
        """The events of a stream in order, all or the first few."""
        ...

    async def recorded_in(
        self, streams: Sequence[str], *, after: int = 0, limit: int | None = None
    ) -> Sequence[RecordedEvent]:
        """The events of some streams in the log's order, after a position; all or the first few."""
        ...

    async def read(self, query: Callable[[Sql], T]) -> T:
        """Run a query in a snapshot of its own, off the event loop; it is stopped when its caller is cancelled."""
        ...

    async def compute(self, work: Callable[[], T]) -> T:
        """Run off the event loop what is made of what was read, where it takes more than a millisecond."""
        ...

    def listen(self, listener: Listener) -> None:
        """Calls the listener in the event loop with what each commit recorded, after it is durable."""
        ...
