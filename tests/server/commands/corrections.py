"""Resends with corrected contents: what each attempt was planned with, and what it says."""

from collections.abc import Sequence

from domain.content import Content
from domain.fault import ErrorType, RetryRule
from domain.outcome import Failed
from server.commands.open_rounds import OpenRoundService
from server.eventstore.commit import EventLog
from server.messenger.channel import OutgoingMessage
from server.sending.rendered_messages import Letter, MessageRenderer, people_of
from tests.builders import (
    NOW,
    fault,
)
from tests.server.commands.desk import Desk

CORRECTED = Content(text="Dear {{name}}")
BAD_CONTENT = Failed(fault(ErrorType.OTHER, RetryRule.NEVER, code=100, subcode=2018008))


async def rendered(desk: Desk, letters: MessageRenderer, number: int, message_id: str) -> Sequence[Letter]:
    """A batch's messages, as a worker that claims it now renders them."""
    batch = await desk.batch((await desk.batches(message_id))[number - 1])
    found = await desk.log.read(lambda sql: people_of(sql, batch, erased_until=1))
    of_batch = await letters.of_batch(batch, found, (await desk.message(message_id)).replaced_round)
    return list((await of_batch.rendered(range(len(batch.recipients)))).values())


async def texts(desk: Desk, letters: MessageRenderer, message_id: str, number: int = -1) -> dict[str, str]:
    """What each recipient of a batch is sent; of the last batch if no other is named."""
    number = len(await desk.batches(message_id)) if number < 0 else number
    found = await rendered(desk, letters, number, message_id)
    return {one.recipient_id: one.content.text for one in found if isinstance(one, OutgoingMessage)}


async def content_rounds(desk: Desk, message_id: str, round_: int) -> dict[str, int]:
    """The content that each attempt of a round was planned with."""
    created = await desk.created(message_id, round_=round_)
    return {who.id: who.content_round for one in created for who in one.recipients}


async def finish(desk: Desk, message_id: str, log: EventLog | None = None) -> None:
    await OpenRoundService(log or desk.log, lambda: NOW).finish(message_id)


async def content_columns(desk: Desk) -> tuple[dict[str, int], int]:
    """The read models' columns: of each recipient, and of the message."""
    rows = await desk.log.read(lambda sql: sql.rows("SELECT recipient_id, content_round FROM recipients"))
    found = await desk.log.read(lambda sql: sql.row("SELECT replaced_round FROM messages"))
    assert found is not None
    return {row["recipient_id"]: row["content_round"] for row in rows}, found["replaced_round"]
