"""All command services on a real log; the test sets the outcomes of deliveries."""

import itertools
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from domain import batch as batches
from domain.batch import Batch
from domain.batch_events import BatchCreated
from domain.commands import Recipient
from domain.event import Event
from domain.message import Message, complete
from domain.outcome import Outcome
from domain.streams import batch_stream, message_stream, page_stream
from projections import message_rows, pages
from projections.batches import BatchRow, list_of_message, open_of_message
from projections.delivery_rows import DeliveryFilter
from projections.message_rows import MessageFilter, MessageRow
from projections.recipient_rows import list_recipients
from projections.sql import Sql
from server.commands.lifecycle import CancelService, PauseService
from server.commands.lookup import load_message
from server.commands.resend import ResendService
from server.commands.rounds import AutomaticRoundService, RoundSummary
from server.commands.send import SendService
from server.commands.send_stream import StreamSendService
from server.crypto import person_keys
from server.crypto.vault import Vault
from server.eventstore.commit import Commit, Committed, EventLog, StreamEvents
from server.queries.recipient_names import RecipientNames
from tests.builders import (
    OWNER,
    PAGE,
    WORKER,
    after,
    batch_created,
    batch_recipients,
    delivered,
    page_registered,
    page_shared,
    page_token_replaced,
    people,
    resend_message,
    retry_requested,
    send_message,
)
from tests.keyed_ids import KEY

ALL = 100_000


class CommandHarness:
    """The services with direct access to the log; each read of the clock advances it."""

    def __init__(self, log: EventLog) -> None:
        self.log = log
        self.vault = Vault(KEY)
        self._ticks = itertools.count()
        self.sends = SendService(log, self.vault, self.now)
        self.streams = StreamSendService(log, self.vault, self.sends, self.now, WORKER)
        self.resends = ResendService(log, self.vault, self.now)
        self.cancels = CancelService(log, self.now)
        self.pauses = PauseService(log, self.now)
        self.rounds = AutomaticRoundService(log, self.now)

    def now(self) -> Any:
        return after(next(self._ticks))

    async def append(self, stream: str, expected_version: int, *events: Event) -> None:
        assert isinstance(await self.log.commit(Commit([StreamEvents(stream, expected_version, events)])), Committed)

    async def register_page(self) -> None:
        await self.append(page_stream(PAGE), 0, page_registered())

    async def share_page(self, *callers: str) -> None:
        await self.append(page_stream(PAGE), 1, page_shared(*callers))

    async def replace_token(self) -> None:
        await self.append(page_stream(PAGE), 1, page_token_replaced(2))

    async def send(self, recipients: Sequence[Recipient], **fields: Any) -> str:
        """Send, and return the message id."""
        return (await self.sends.send(send_message(**fields), recipients)).message.message_id

    async def sent(self, outcomes: Mapping[str, Outcome], **fields: Any) -> str:
        """Send, deliver with these outcomes, complete the message, and return its id."""
        message_id = await self.send(people(*outcomes), **fields)
        await self.deliver(message_id, outcomes)
        await self.complete(message_id)
        return message_id

    async def deliver(self, message_id: str, outcomes: Mapping[str, Outcome]) -> None:
        """Complete all open batches; recipients that are not named are sent to."""
        for row in await self.open_batches(message_id):
            await self.deliver_batch(row, outcomes)

    async def deliver_batch(self, row: BatchRow, outcomes: Mapping[str, Outcome] = MappingProxyType({})) -> None:
        page = await self.log.read(lambda sql: pages.find(sql, PAGE))
        batch = await self.batch(row)
        events = delivered(batch, outcomes, token_generation=page.token_generation if page else 0)
        await self.append(batch_stream(row.message_id, row.stage, row.number), batch.version, *events)

    async def complete(self, message_id: str) -> None:
        message = await self.message(message_id)
        completed = complete(message, open_deliveries=(await self.row(message_id)).open_deliveries, now=self.now())
        assert completed is not None
        await self.append(message_stream(message_id), message.version, completed)

    async def resend(self, message_id: str, **fields: Any) -> RoundSummary:
        return await self.resends.resend(resend_message(message_id, **fields))

    async def plan_round(self, message_id: str, recipient_ids: Sequence[str]) -> None:
        """Plan a second attempt for these recipients directly in the log."""
        message = await self.message(message_id)
        number = message.batches + 1
        round_, many = message.round + 1, len(recipient_ids)
        requested = retry_requested(message_id=message_id, round=round_, first_batch=number, recipients=many)
        who = batch_recipients(*recipient_ids, attempt=2)
        created = batch_created(*who, message_id=message_id, round=round_, batch_number=number)
        appends = [
            StreamEvents(message_stream(message_id), message.version, [requested]),
            StreamEvents(batch_stream(message_id, message.stage, number), 0, [created]),
        ]
        assert isinstance(await self.log.commit(Commit(appends)), Committed)

    # Observations

    async def row(self, message_id: str) -> MessageRow:
        row = await self.log.read(lambda sql: message_rows.find(sql, message_id))
        assert row is not None
        return row

    async def counts(self, message_id: str) -> dict[str, int]:
        """Return the number of recipients in each status, without zeros."""
        return {status.value: count for status, count in (await self.row(message_id)).counts.items() if count}

    async def message(self, message_id: str) -> Message:
        return await load_message(self.log, message_id)

    async def events(self, message_id: str) -> Sequence[Event]:
        return await self.log.load(message_stream(message_id))

    async def messages(self, owner: str = OWNER) -> Sequence[MessageRow]:
        wanted = MessageFilter(owner=owner)
        return await self.log.read(lambda sql: message_rows.list_newest(sql, wanted, before=None, limit=ALL))

    async def batches(self, message_id: str) -> Sequence[BatchRow]:
        return await self.log.read(lambda sql: list_of_message(sql, message_id, limit=ALL))

    async def open_batches(self, message_id: str) -> Sequence[BatchRow]:
        return await self.log.read(lambda sql: open_of_message(sql, message_id, limit=ALL))

    async def batch(self, row: BatchRow) -> Batch:
        return batches.fold(await self.log.load(batch_stream(row.message_id, row.stage, row.number)))

    async def created(self, message_id: str, *, round_: int) -> list[BatchCreated]:
        """Return the first events of a round's batches."""
        found = []
        for row in await self.batches(message_id):
            first = (await self.log.load(batch_stream(message_id, row.stage, row.number), limit=1))[0]
            if isinstance(first, BatchCreated) and first.round == round_:
                found.append(first)
        return found

    async def names(self, message_id: str) -> dict[str, str]:
        """Return the recipients' names as readers see them."""
        wanted = DeliveryFilter(message_id=message_id)
        rows = await self.log.read(lambda sql: list_recipients(sql, wanted, after="", limit=ALL))
        return {
            row.recipient_id: row.recipient_name for row in await RecipientNames(self.log, self.vault).open_in(rows)
        }

    async def variables(self, created: BatchCreated) -> list[Mapping[str, str]]:
        """Return a batch's variables by position."""
        place = (created.message_id, created.batch_number)
        sealed = (await self.log.read(lambda sql: person_keys.load_sealed_keys(sql, [place])))[place]
        keys = person_keys.open_keys(self.vault, place, sealed)
        return [keys.key_at(n).variables(one) for n, one in enumerate(person_keys.unpack(created.sealed_variables))]

    async def taken(self, message_id: str, *, round_: int = 1) -> list[str]:
        """Return the recipients of a round."""
        return [who.id for created in await self.created(message_id, round_=round_) for who in created.recipients]

    async def contents(self) -> int:
        """Return the number of events in the log, to check that nothing changed."""
        return await self.log.read(_count_events)


def _count_events(sql: Sql) -> int:
    row = sql.row("SELECT COUNT(*) AS events FROM stored_events")
    assert row is not None
    events: int = row["events"]
    return events
