"""What happened before the process was started, or behind its back."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from domain import batch_decisions
from domain.batch import Batch, apply, fold
from domain.batch_events import BatchEvent
from domain.message_events import MessageCompleted
from domain.outcome import Outcome
from domain.streams import batch_stream, message_stream
from server.commands.lookup import load_message
from tests.builders import NOW, SENT, UNCONFIRMED, delivered, known, people, start
from tests.server.sending.works import Works


async def batch_of(works: Works, message_id: str, number: int = 1) -> Batch:
    return fold(await works.log.load(batch_stream(message_id, 0, number)))


async def write(works: Works, batch: Batch, *events: BatchEvent) -> Batch:
    """The batch after what happened to it."""
    await works.append(batch_stream(batch.message_id, batch.stage, batch.number), batch.version, *events)
    return apply(batch, events)


async def unconfirmed(works: Works, *ids: str, **fields: Any) -> str:
    """The id of a message that may have reached these people."""
    message_id = await works.send(people(*ids), **fields)
    batch = await batch_of(works, message_id)
    await write(works, batch, *delivered(batch, dict.fromkeys(ids, UNCONFIRMED)))
    return message_id


async def hear_late(works: Works, message_id: str, recipient: str, outcome: Outcome = SENT) -> None:
    """What became of somebody's first attempt, it turns out."""
    batch = await batch_of(works, message_id)
    position = [who.id for who in batch.recipients].index(recipient)
    await write(works, batch, *batch_decisions.record_late(batch, [known(position, outcome)], now=NOW))


async def completed(works: Works, message_id: str) -> None:
    """The message was ended, a second ago."""
    message = await load_message(works.log, message_id)
    end = MessageCompleted(message_id=message_id, time=NOW - timedelta(seconds=1))
    await works.append(message_stream(message_id), message.version, end)


async def begun_by(works: Works, worker: str, message_id: str, dispatched: Sequence[int]) -> Batch:
    """Another worker claimed the first batch and dispatched some of it; nothing more was heard of it."""
    batch = await batch_of(works, message_id)
    batch = await write(works, batch, *start(batch, worker))
    leaving = batch_decisions.dispatch(batch, dispatched, token_generation=1, now=NOW)
    return await write(works, batch, *leaving)
