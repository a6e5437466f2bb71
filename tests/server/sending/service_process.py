"""One service process without its API, on a real log, sending to a real sandbox."""

from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

from domain.commands import Recipient
from domain.event import Event
from domain.streams import batch_stream, message_stream
from projections import delivery_rows, message_rows
from projections.batches import BatchRow, list_of_message
from projections.delivery_rows import DeliveryFilter, DeliveryRow
from projections.message_rows import MessageRow
from projections.sql import Sql
from server.background.background_tasks import BackgroundTasks
from server.background.due_rounds import DueRounds
from server.background.reconciler import Reconciler
from server.background.retry_timer import RetryTimer
from server.background.round_finalizer import RoundFinalizer
from server.background.stuck_batches import StuckBatches
from server.background.timetable import parse_timetable
from server.cluster.page_leases import PageLeases
from server.commands.erasure import ErasureService
from server.commands.lifecycle import CancelService, PauseService
from server.commands.pages import PutPageService
from server.commands.receipts import ReceiptService
from server.commands.resend import ResendService
from server.commands.rounds import AutomaticRoundService
from server.commands.send import SendService
from server.commands.send_stream import StreamSendService
from server.crypto.key_ring import SealingKey
from server.crypto.vault import Vault
from server.eventstore.commit import Commit, Committed, StreamEvents
from server.eventstore.event_store import EventStore
from server.eventstore.rolling_upgrade import RELEASE
from server.eventstore.sqlite.store import SqliteStore
from server.eventstore.store import Store
from server.messenger.channel import Channel
from server.messenger.http import open_client
from server.messenger.messenger_channel import MessengerChannel
from server.queries.recipient_names import RecipientNames
from server.sandbox.record import Arrival
from server.sandbox.runner import Sandbox
from server.sending.dispatcher import Dispatcher
from tests.builders import PAGE, put_page, resend_message, send_message, wall_clock
from tests.waiting import eventually

E = TypeVar("E", bound=Event)

KEY = SealingKey(bytes(range(32)))  # the same for all processes on one database
ALL = 100_000
MOST_ARRIVALS = 10_000
FAST = 2_000.0  # messages per second; no test waits for the pace
GRACE = timedelta(seconds=5)


class ServiceProcess:
    """The wired services, with calls and observations for tests."""

    def __init__(
        self, store: Store, log: EventStore, sandbox: Sandbox, channel: Channel, worker: str, timetable: str
    ) -> None:
        self.store, self.log, self.control, self.worker = store, log, sandbox.control, worker
        vault = Vault(KEY)
        self.ownership = PageLeases(
            log, worker, lease=timedelta(minutes=10), batch_lease=timedelta(minutes=10), alone=True
        )
        self.dispatcher = Dispatcher(log, vault, channel, self.ownership, wall_clock)
        rounds = AutomaticRoundService(log, wall_clock)
        finalizer = RoundFinalizer(log, rounds, worker, wall_clock)
        self.timer = RetryTimer(log, rounds, parse_timetable(timetable), wall_clock)
        self.cancels = CancelService(log, wall_clock)
        self.pauses = PauseService(log, wall_clock)
        self.sends = SendService(log, vault, wall_clock)
        self.streams = StreamSendService(log, vault, self.sends, wall_clock, worker)
        self.resends = ResendService(log, vault, wall_clock)
        self.receipts = ReceiptService(log, vault.ids, wall_clock)
        self.erasures = ErasureService(log, vault, wall_clock)
        self.names = RecipientNames(log, vault)
        self.puts = PutPageService(log, vault, channel, wall_clock, default_pace=FAST)
        self.stuck = StuckBatches(log, self.dispatcher, worker, wall_clock)
        self.reconciler = Reconciler(log, finalizer, self.cancels, self.streams, worker, wall_clock)
        due_rounds = DueRounds(log, rounds, worker)
        self._tasks = BackgroundTasks(
            self.ownership, self.dispatcher, finalizer, self.timer, due_rounds, self.reconciler
        )

    async def start(self) -> None:
        await self._tasks.start()

    async def drain(self) -> None:
        await self._tasks.drain(GRACE)

    # Calls

    async def put_page(self, page_id: str = PAGE, *, pace: float = FAST, **fields: Any) -> None:
        await self.puts.put(put_page(page_id, messages_per_second=pace, **fields))

    async def send(self, recipients: Sequence[Recipient], **fields: Any) -> str:
        """Send, and return the message id."""
        return (await self.sends.send(send_message(**fields), recipients)).message.message_id

    async def resend(self, message_id: str, **fields: Any) -> None:
        await self.resends.resend(resend_message(message_id, **fields))

    async def append(self, stream: str, expected_version: int, *events: Event) -> None:
        """Append events directly, as another process would."""
        assert isinstance(await self.log.commit(Commit([StreamEvents(stream, expected_version, events)])), Committed)

    async def write_tables(self, statement: str, **parameters: Any) -> None:
        """Change tables outside the log: leases and page owners."""

        def write(sql: Sql) -> None:
            sql.execute(statement, parameters)

        await self.log.write(write)

    async def lease(self, worker: str, *, is_good: bool) -> None:
        """Make another worker's lease valid for a long time, or expired."""
        statement = "INSERT OR REPLACE INTO workers VALUES (:worker, :expires, :release)"
        await self.write_tables(statement, worker=worker, expires=2**60 if is_good else 0, release=RELEASE)

    async def hand_page_to(self, worker: str, generation: int) -> None:
        statement = (
            "INSERT OR REPLACE INTO page_owners (page_id, worker, generation) VALUES (:page, :worker, :generation)"
        )
        await self.write_tables(statement, page=PAGE, worker=worker, generation=generation)

    # Observations

    async def row(self, message_id: str) -> MessageRow:
        row = await self.log.read(lambda sql: message_rows.find(sql, message_id))
        assert row is not None
        return row

    async def done(self, message_id: str, within: float = 30.0) -> MessageRow:
        """Return the message when it is done."""
        return await eventually(lambda: self.row(message_id), lambda row: row.completed, within)

    async def counts(self, message_id: str) -> dict[str, int]:
        """Return the number of recipients in each status, without zeros."""
        return {status.value: count for status, count in (await self.row(message_id)).counts.items() if count}

    async def attempts(self, message_id: str) -> Mapping[str, Sequence[DeliveryRow]]:
        """Return every recipient's attempts in order."""
        wanted = DeliveryFilter(message_id=message_id)
        rows = await self.log.read(lambda sql: delivery_rows.list_attempts(sql, wanted, after=(0, -1), limit=ALL))
        found: dict[str, list[DeliveryRow]] = {}
        for row in rows:
            found.setdefault(row.recipient_id, []).append(row)
        return found

    async def batches(self, message_id: str) -> Sequence[BatchRow]:
        return await self.log.read(lambda sql: list_of_message(sql, message_id, limit=ALL))

    async def events(self, message_id: str, of_type: type[E], batch: int | None = None) -> list[E]:
        """Return the events of one type in a message's stream, or in a batch's."""
        stream = message_stream(message_id) if batch is None else batch_stream(message_id, 0, batch)
        return [event for event in await self.log.load(stream) if isinstance(event, of_type)]

    async def arrivals(self) -> Sequence[Arrival]:
        """Return the platform's arrivals in order."""
        return (await self.control.received(limit=MOST_ARRIVALS)).arrivals

    async def arrived(self, at_least: int, within: float = 30.0) -> Sequence[Arrival]:
        """Return the platform's arrivals when there are at least this many."""
        return await eventually(self.arrivals, lambda arrivals: len(arrivals) >= at_least, within)

    async def accepted(self) -> Counter[str]:
        """Count the accepted messages per recipient."""
        return Counter(arrival.recipient for arrival in await self.arrivals() if arrival.accepted)


@asynccontextmanager
async def open_service(
    database: Path, sandbox: Sandbox, *, graph_url: str = "", worker: str = "worker-1", timetable: str = "900"
) -> AsyncIterator[ServiceProcess]:
    """Yield a process that is wired but not started; drain it at the end."""
    store = SqliteStore(database)
    async with EventStore(store) as log, open_client() as client:
        service = ServiceProcess(
            store, log, sandbox, MessengerChannel(client, graph_url or sandbox.url), worker, timetable
        )
        try:
            yield service
        finally:
            await service.drain()
