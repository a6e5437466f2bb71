"""Events that happened before the process started, or were appended by another process."""

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
from tests.server.sending.service_process import ServiceProcess


async def batch_of(service: ServiceProcess, message_id: str, number: int = 1) -> Batch:
    return fold(await service.log.load(batch_stream(message_id, 0, number)))


async def append_events(service: ServiceProcess, batch: Batch, *events: BatchEvent) -> Batch:
    """Append events to a batch, and return it."""
    await service.append(batch_stream(batch.message_id, batch.stage, batch.number), batch.version, *events)
    return apply(batch, events)


async def unconfirmed(service: ServiceProcess, *ids: str, **fields: Any) -> str:
    """Create a message whose deliveries to these recipients are unconfirmed, and return its id."""
    message_id = await service.send(people(*ids), **fields)
    batch = await batch_of(service, message_id)
    await append_events(service, batch, *delivered(batch, dict.fromkeys(ids, UNCONFIRMED)))
    return message_id


async def record_late_outcome(
    service: ServiceProcess, message_id: str, recipient: str, outcome: Outcome = SENT
) -> None:
    """Record a late outcome of a recipient's first attempt."""
    batch = await batch_of(service, message_id)
    position = [who.id for who in batch.recipients].index(recipient)
    await append_events(service, batch, *batch_decisions.record_late(batch, [known(position, outcome)], now=NOW))


async def complete(service: ServiceProcess, message_id: str) -> None:
    """Complete the message with a time one second ago."""
    message = await load_message(service.log, message_id)
    end = MessageCompleted(message_id=message_id, time=NOW - timedelta(seconds=1))
    await service.append(message_stream(message_id), message.version, end)


async def started_by(service: ServiceProcess, worker: str, message_id: str, dispatched: Sequence[int]) -> Batch:
    """Let another worker claim the first batch, dispatch some deliveries, and then do nothing more."""
    batch = await batch_of(service, message_id)
    batch = await append_events(service, batch, *start(batch, worker))
    leaving = batch_decisions.dispatch(batch, dispatched, token_generation=1, now=NOW)
    return await append_events(service, batch, *leaving)
