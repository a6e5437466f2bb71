"""Functions for resends with corrected contents: planned content rounds, and rendered texts."""

from collections.abc import Sequence

from domain.content import Content
from domain.fault import ErrorType, RetryRule
from domain.outcome import Failed
from server.commands.open_rounds import OpenRoundService
from server.eventstore.commit import EventLog
from server.messenger.channel import OutgoingMessage
from server.sending.rendered_messages import MessageRenderer, RenderedMessage, load_recipients
from tests.builders import (
    NOW,
    fault,
)
from tests.server.commands.command_harness import CommandHarness

CORRECTED = Content(text="Dear {{name}}")
BAD_CONTENT = Failed(fault(ErrorType.OTHER, RetryRule.NEVER, code=100, subcode=2018008))


async def rendered(
    harness: CommandHarness, renderer: MessageRenderer, number: int, message_id: str
) -> Sequence[RenderedMessage]:
    """Render a batch's messages as a worker that claims it now."""
    batch = await harness.batch((await harness.batches(message_id))[number - 1])
    found = await harness.log.read(lambda sql: load_recipients(sql, batch, erased_until=1))
    of_batch = await renderer.prepare(batch, found, (await harness.message(message_id)).replaced_round)
    return list((await of_batch.render(range(len(batch.recipients)))).values())


async def texts(
    harness: CommandHarness, renderer: MessageRenderer, message_id: str, number: int = -1
) -> dict[str, str]:
    """Return the text for each recipient of a batch; the last batch by default."""
    number = len(await harness.batches(message_id)) if number < 0 else number
    found = await rendered(harness, renderer, number, message_id)
    return {one.recipient_id: one.content.text for one in found if isinstance(one, OutgoingMessage)}


async def content_rounds(harness: CommandHarness, message_id: str, round_: int) -> dict[str, int]:
    """Return the content round of each attempt in a round."""
    created = await harness.created(message_id, round_=round_)
    return {who.id: who.content_round for one in created for who in one.recipients}


async def finish(harness: CommandHarness, message_id: str, log: EventLog | None = None) -> None:
    await OpenRoundService(log or harness.log, lambda: NOW).finish(message_id)


async def content_columns(harness: CommandHarness) -> tuple[dict[str, int], int]:
    """Return the content columns of the read models: per recipient, and of the message."""
    rows = await harness.log.read(lambda sql: sql.rows("SELECT recipient_id, content_round FROM recipients"))
    found = await harness.log.read(lambda sql: sql.row("SELECT replaced_round FROM messages"))
    assert found is not None
    return {row["recipient_id"]: row["content_round"] for row in rows}, found["replaced_round"]
