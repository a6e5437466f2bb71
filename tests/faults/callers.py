"""Callers of one round: they do not know the faults, and repeat every call that got no answer."""

import asyncio
import itertools
from collections import Counter
from collections.abc import Awaitable, Callable
from random import Random
from typing import TypeVar

from redrive import Client
from redrive.errors import DeadlineExceeded, FailedPrecondition, RedriveError, Unavailable
from redrive.v1.content_pb2 import Content, Recipient
from redrive.v1.delivery_service_pb2 import ResendRequest, SendRequest
from redrive.v1.message_pb2 import Message, OnUnconfirmed, RetryPolicy, RetryType
from redrive.v1.page_pb2 import SendMode
from redrive.v1.page_service_pb2 import PutPageRequest
from tests.e2e.campaign import assert_balanced
from tests.faults.fleet import Fleet
from tests.faults.script import FAULT_SECONDS, PAGES

T = TypeVar("T")

SLOW, FAST = 45.0, 1_500.0  # messages per second and page: during the faults, and after them
BURST_RATE = 300.0  # messages per second of a page before a wide fault
BURST = (400, 600)  # recipients
PAUSE = 0.1  # seconds before the call goes to another server

_POLICIES = (
    (RetryType.RETRY_TYPE_MANUAL, OnUnconfirmed.ON_UNCONFIRMED_HOLD),
    (RetryType.RETRY_TYPE_AUTO, OnUnconfirmed.ON_UNCONFIRMED_HOLD),
    (RetryType.RETRY_TYPE_AUTO, OnUnconfirmed.ON_UNCONFIRMED_RESEND),
    (RetryType.RETRY_TYPE_CRON, OnUnconfirmed.ON_UNCONFIRMED_HOLD),
    (RetryType.RETRY_TYPE_CRON, OnUnconfirmed.ON_UNCONFIRMED_RESEND),
)
_MODES = (SendMode.SEND_MODE_SINGLE, SendMode.SEND_MODE_BATCH)


class Callers:
    """Calls of one round, with their answers."""

    def __init__(self, fleet: Fleet, chance: Random) -> None:
        self._fleet = fleet
        self._chance = chance
        self._numbers = itertools.count(1)
        self._tokens = dict.fromkeys(PAGES, "EAAG")
        self._modes = {page: self._chance.choice(_MODES) for page in PAGES}
        self._modes[PAGES[0]] = SendMode.SEND_MODE_SINGLE  # small messages do not fill Graph batches
        self.sent: dict[str, Message] = {}  # by request_id
        self.asked_unconfirmed: set[str] = set()  # ids of messages with a resend that includes unconfirmed deliveries
        self.violations: list[str] = []
        self.released: Counter[str] = Counter()
        self.repeats = 0  # calls that were repeated

    async def until_answered(self, call: Callable[[Client], Awaitable[T]]) -> T:
        """Call one random server after another until one answers; with a request_id this is safe."""
        while True:
            try:
                return await call(self._fleet.any_client())
            except (Unavailable, DeadlineExceeded):
                self.repeats += 1
                await asyncio.sleep(PAUSE)
            except RedriveError as error:
                if error.code.name not in ("ABORTED", "CANCELLED"):
                    raise
                self.repeats += 1

    async def put_pages(self, rate: float) -> None:
        """Register the pages, or set their pace."""
        for page in PAGES:
            await self._put_page(page, rate)

    async def burst(self, page: str, name: str) -> Message:
        """Send a large message at a pace at which many attempts are in flight."""
        await self._put_page(page, BURST_RATE)
        policy = self._chance.choice(_POLICIES)
        return await self._send(self._request(page, policy, name, self._chance.randint(*BURST)))

    async def _put_page(self, page: str, rate: float) -> None:
        token = self._tokens[page]
        request = PutPageRequest(
            page_id=page,
            access_token=token,
            messages_per_second=rate,
            send_mode=self._modes[page],
            request_id=f"put-{page}-{rate}-{token}",
        )
        await self.until_answered(lambda client: client.put_page(request))

    async def give_another_token(self, page: str) -> None:
        """Replace a page's token during the faults."""
        self._tokens[page] += "-another"
        await self._put_page(page, BURST_RATE)

    async def release_all(self) -> None:
        """Release all held pages and resume all stopped messages; the faults have ended."""
        await self.until_answered(self._release_all)

    async def _release_all(self, client: Client) -> None:
        for page in [page async for page in client.list_pages() if page.HasField("hold")]:
            self.released["pages released after the faults"] += 1
            await client.release_page(page.id)
        for message in [one async for one in client.list_messages() if one.HasField("stop")]:
            self.released["messages resumed after the faults"] += 1
            await self.resume(message.id)

    async def is_held_back(self, message: Message) -> bool:
        """Return whether the service stopped the message or holds its page."""
        found = await self.until_answered(lambda client: client.get_message(message.id))
        return found.HasField("stop") or found.HasField("page_hold")

    async def release(self, page: str) -> None:
        """Release a page that may be on hold."""
        await self.until_answered(lambda client: client.release_page(page))

    async def resume(self, message_id: str) -> None:
        """Resume a message that may be stopped."""
        try:
            await self.until_answered(lambda client: client.resume_message(message_id))
        except FailedPrecondition as refused:
            if refused.reason != "MESSAGE_CANCELLED":
                raise

    async def campaigns(self) -> None:
        """Make all calls of the fault phase."""
        requests = [
            self._request(page, policy, f"p{next(self._numbers)}", self._chance.randint(80, 320))
            for page in PAGES
            for policy in self._policies()
        ]
        cancelled = self._chance.choice(requests).request_id
        async with asyncio.TaskGroup() as tasks:
            for request in requests:
                tasks.create_task(self._campaign(request, cancels=request.request_id == cancelled))

    def _policies(self) -> list[tuple[RetryType.ValueType, OnUnconfirmed.ValueType]]:
        return self._chance.sample(_POLICIES, k=3)

    def _request(
        self, page: str, policy: tuple[RetryType.ValueType, OnUnconfirmed.ValueType], name: str, people: int
    ) -> SendRequest:
        return SendRequest(
            request_id=f"send-{name}",
            page_id=page,
            title=f"send-{name}",
            content=Content(text="Hello {{name}}"),
            recipients=[Recipient(id=f"{name}-{person}", name=f"Name {person}") for person in range(people)],
            retry_policy=RetryPolicy(type=policy[0], max_retry_attempts=self._chance.randint(1, 4)),
            on_unconfirmed=policy[1],
        )

    async def _campaign(self, request: SendRequest, *, cancels: bool) -> None:
        """Send, repeat the same call on another server, and request resends during the send."""
        await self._pause(FAULT_SECONDS * 0.7)
        message = await self._send(request)
        await self._pause(1.5)
        if cancels:
            await self._cancel(message)
        for number in range(self._chance.randint(0, 2)):
            await self._pause(2.0)
            await self._resend(message, f"resend-{request.request_id}-{number}")

    async def _pause(self, longest: float) -> None:
        await asyncio.sleep(self._chance.uniform(0, longest))

    async def _send(self, request: SendRequest) -> Message:
        answers = [
            await self.until_answered(lambda client: client.send(request)) for _ in range(self._chance.randint(1, 2))
        ]
        if len({answer.message.id for answer in answers}) > 1:
            self.violations.append(f"{request.request_id} was sent twice under one request_id")
        self.sent[request.request_id] = answers[0].message
        return answers[0].message

    async def _cancel(self, message: Message) -> None:
        try:
            await self.until_answered(
                lambda client: client.cancel_message(message.id, request_id=f"cancel-{message.id}")
            )
        except FailedPrecondition as refused:
            if refused.reason != "MESSAGE_DONE":
                raise

    async def _resend(self, message: Message, request_id: str) -> None:
        request = ResendRequest(
            message_id=message.id, include_unconfirmed=self._chance.random() < 0.4, request_id=request_id
        )
        if request.include_unconfirmed:
            self.asked_unconfirmed.add(message.id)
        try:
            first = await self.until_answered(lambda client: client.resend(request))
            again = await self.until_answered(lambda client: client.resend(request))
        except FailedPrecondition as refused:
            if refused.reason != "MESSAGE_CANCELLED":
                raise
            return
        if first.recipients_to_retry and first != again:
            self.violations.append(f"{request_id} got two answers: {first} and {again}")

    async def watch(self, message_id: str) -> None:
        """Watch a message until it is done, on changing servers; check that the counts add up in each answer."""
        while True:
            try:
                async for answer in self._fleet.any_client().watch_progress(message_id):
                    assert_balanced(answer.progress.counts)
            except RedriveError:
                await asyncio.sleep(PAUSE)
            else:
                return

    async def timers(self) -> None:
        """Call RunScheduledRetries twice at the same time, and ProcessBatches for three messages."""
        await asyncio.gather(
            *(self._try(lambda client: client.run_scheduled_retries()) for _ in range(2)),
            *(self._try(self._process_batches(message.id)) for message in list(self.sent.values())[:3]),
        )

    def _process_batches(self, message_id: str) -> Callable[[Client], Awaitable[object]]:
        return lambda client: client.process_batches(message_id)

    async def _try(self, call: Callable[[Client], Awaitable[object]]) -> None:
        try:
            await call(self._fleet.any_client())
        except (Unavailable, DeadlineExceeded):
            self.repeats += 1
