"""Decisions that are committed at the version of the stream that they were made on, and made again after a conflict."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

from domain.errors import Aborted
from domain.event import Event, RequestStamp
from server.commands.idempotency import load_first_answer
from server.eventstore.commit import Commit, Committed, EventLog, StreamEvents

MAX_DECISIONS = 20

T = TypeVar("T")


class Decision(NamedTuple, Generic[T]):
    """What to commit, None for nothing, and the result once it is committed."""

    result: T
    commit: Commit | None = None


Decide = Callable[[], Awaitable[Decision[T]]]  # reads the stream, and decides


async def commit_decision(log: EventLog, decide: Decide[T], aborted: Aborted) -> T:
    """Commit what is decided, and return its result. After a conflict or a refusal decide again.

    Raises `aborted` after 20 of them, Unavailable, and what `decide` raises.
    """
    for _ in range(MAX_DECISIONS):
        decision = await decide()
        if decision.commit is None or isinstance(await log.commit(decision.commit), Committed):
            return decision.result
    raise aborted


async def commit_once(
    log: EventLog,
    stamp: RequestStamp | None,
    decide: Decide[T],
    repeated: Callable[[Mapping[str, Any]], T],
    aborted: Aborted,
) -> T:
    """Do what `commit_decision` does, unless the request was carried out before: `repeated` makes its result then.

    Raises RequestIdReused, and what `commit_decision` raises.
    """

    async def decide_unless_answered() -> Decision[T]:
        if (answered := await load_first_answer(log, stamp)) is not None:
            return Decision(repeated(answered.answer))
        return await decide()

    return await commit_decision(log, decide_unless_answered, aborted)


def append(stream: str, version: int, events: Sequence[Event]) -> Commit | None:
    """Return the commit that appends events to one stream, or None if there are no events."""
    return Commit([StreamEvents(stream, version, events)]) if events else None
