"""Each past state of a message, rebuilt from the log, equals the state at that time."""

import asyncio
import random
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, NamedTuple, TypeVar

import msgspec
from hypothesis import Phase, seed, settings
from hypothesis.stateful import invariant, run_state_machine_as_test

from domain.errors import MessageNotFound
from domain.event import RecordedEvent
from projections import message_rows
from projections.message_rows import MessageRow
from projections.sql import Sql
from server.eventstore.message_streams import events_until
from server.eventstore.store import Store
from server.queries.failures import FailureFilter, FailureList, list_failures
from server.queries.history import Replay
from tests.builders import OWNER, after
from tests.projections.caller_rules import STREAMED, CallerRules

T = TypeVar("T")

MOMENTS = 6  # of each run
IDS = ("m0", "m1", "m2", STREAMED)


class Then(NamedTuple):
    """The visible state of a message."""

    message: MessageRow
    failures: FailureList


class Reader:
    """Reads the parts of a log that history needs."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def recorded_in(
        self, streams: Sequence[str], *, after: int = 0, limit: int | None = None
    ) -> Sequence[RecordedEvent]:
        return self._store.recorded_in(streams, after, limit)

    async def read(self, query: Callable[[Sql], T]) -> T:
        with self._store.transaction(commit=False) as sql:
            return query(sql)


def seen(sql: Sql, message_id: str) -> Then | None:
    """Return the message's state without its log position."""
    row = message_rows.find(sql, message_id)
    if row is None:
        return None
    wanted = FailureFilter(owner=OWNER, message_id=message_id)
    found = list_failures(wanted, after="", limit=100)(sql)
    placeless = msgspec.structs.replace(row, sequence=0)
    return Then(placeless, msgspec.structs.replace(found, message=placeless))


async def rebuilt(store: Store, message_id: str, time: datetime) -> Then | None:
    replay = Replay(message_id)
    log: Any = Reader(store)
    try:
        async for part in events_until(log, OWNER, message_id, time):
            replay.apply(part)
        return replay.ask(lambda sql: seen(sql, message_id))
    except MessageNotFound:
        return None
    finally:
        replay.close()


class Moments(CallerRules):
    """Stores the visible state after each step."""

    def __init__(self) -> None:
        super().__init__()
        self.moments: list[tuple[datetime, dict[str, Then | None]]] = []

    @invariant()
    def store_moment(self) -> None:
        then = self.db.ask(lambda sql: {message_id: seen(sql, message_id) for message_id in IDS})
        self.moments.append((after(self.ticks), then))

    def teardown(self) -> None:
        try:
            chance = random.Random(len(self.moments))  # noqa: S311 - the same in each run
            for time, then in chance.sample(self.moments, min(MOMENTS, len(self.moments))):
                for message_id in IDS:
                    assert asyncio.run(rebuilt(self.db.store, message_id, time)) == then[message_id]
                    self.reached("compared" if then[message_id] else "was not there yet")
        finally:
            self.db.close()
            self.folder.cleanup()


def test_each_moment_is_rebuilt_as_it_was() -> None:
    Moments.seen.clear()
    machine = seed(1)(type("Moments", (Moments,), {}))
    run_state_machine_as_test(
        machine,
        settings=settings(
            database=None, deadline=None, phases=[Phase.generate], max_examples=20, stateful_step_count=30
        ),
    )

    assert Moments.seen.keys() >= {"compared", "was not there yet", "attempt 2", "a late outcome", "done: CANCELLED"}
