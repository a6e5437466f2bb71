"""Corrected contents on both databases: each recipient receives the content that is meant for it."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from domain.canary import Canary
from domain.commands import Recipient
from domain.content import Content
from domain.delivery import DeliveryStatus
from domain.fault import ErrorType
from domain.message_events import RetryRequested
from domain.page_events import SendMode
from server.eventstore.event_store import EventStore
from server.messenger.channel import Channel, OutgoingMessage, PageCredentials, SendResult
from server.messenger.http import open_client
from server.messenger.messenger_channel import MessengerChannel
from server.sandbox.control import SandboxControl
from server.sandbox.runner import Sandbox
from server.sending.batch_sender import BatchSender
from server.sending.dispatcher import Dispatcher
from tests.builders import FAILED, auto, crowd, delivered, pause_message, people, resume_message
from tests.databases import opened
from tests.server.sending.earlier_events import append_events, batch_of
from tests.server.sending.service_process import ServiceProcess
from tests.waiting import eventually

CORRECTED = Content(text="Dear {{name}}")


class RecordingChannel:
    """The platform's channel; records the text sent to each recipient."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self.check_token, self.is_page_token = channel.check_token, channel.is_page_token
        self.left: list[tuple[str, str]] = []

    async def send(self, credentials: PageCredentials, message: OutgoingMessage) -> SendResult:
        self._record([message])
        return await self._channel.send(credentials, message)

    async def send_batch(
        self, credentials: PageCredentials, messages: Sequence[OutgoingMessage]
    ) -> Sequence[SendResult]:
        self._record(messages)
        return await self._channel.send_batch(credentials, messages)

    def _record(self, messages: Sequence[OutgoingMessage]) -> None:
        self.left += [(message.recipient_id, message.content.text) for message in messages]

    def texts(self, recipient_id: str) -> list[str]:
        """Return the first word of each text sent to a recipient, in order."""
        return [text.split()[0] for recipient, text in self.left if recipient == recipient_id]


class Scene:
    """A process on a database, with its recording channel."""

    def __init__(self, service: ServiceProcess, channel: RecordingChannel) -> None:
        self.service, self.channel = service, channel


@asynccontextmanager
async def open_scene(url: str, sandbox: Sandbox, worker: str = "worker-1") -> AsyncIterator[Scene]:
    store = opened(url)
    async with EventStore(store) as log, open_client() as client:
        channel = RecordingChannel(MessengerChannel(client, sandbox.url))
        service = ServiceProcess(store, log, sandbox, channel, worker, "900")
        try:
            yield Scene(service, channel)
        finally:
            await service.drain()


@pytest.fixture
async def scene(database_url: str, sandbox: Sandbox) -> AsyncIterator[Scene]:
    async with open_scene(database_url, sandbox) as scene:
        await scene.service.put_page()
        await scene.service.start()
        yield scene


async def test_recipients_of_the_round_and_its_later_rounds_get_the_correction_and_no_others(
    scene: Scene, control: SandboxControl
) -> None:
    service, channel = scene.service, scene.channel
    await control.order(
        {"preset": "bad_content", "recipients": ["ann"], "times": 1},
        {"preset": "unknown_recipient", "recipients": ["bob"], "times": 1},
    )
    message_id = await service.send(people("ann", "bob", "cid"), retry_policy=auto())
    await service.done(message_id)
    await control.order({"preset": "temporary", "recipients": ["ann"], "times": 1})

    await service.resend(message_id, content=CORRECTED)
    await eventually(lambda: service.row(message_id), lambda row: row.completed and row.round == 2)
    await service.resend(message_id, recipient_ids=("bob",))

    await eventually(lambda: service.row(message_id), lambda row: row.status == "SENT")
    assert channel.texts("ann") == ["Hello", "Dear", "Dear"]
    assert channel.texts("bob") == ["Hello", "Hello"]
    assert channel.texts("cid") == ["Hello"]
    assert [one.trigger.value for one in await service.events(message_id, RetryRequested)] == [
        "MANUAL",
        "AUTO",
        "MANUAL",
    ]


async def test_a_crash_between_two_slices_leaves_the_content_to_the_next_server(
    database_url: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.commands.resend_planning.PLAN_SLICE", 100)
    monkeypatch.setattr("server.commands.resend.PLAN_SECONDS", 0.0)
    everyone = [who.id for who in crowd(250)]
    async with open_scene(database_url, sandbox) as killed:
        await killed.service.put_page()
        message_id = await killed.service.send(crowd(250))
        for number in range(1, 4):
            batch = await batch_of(killed.service, message_id, number)
            await append_events(killed.service, batch, *delivered(batch, dict.fromkeys(everyone, FAILED)))
        await killed.service.resend(message_id, content=CORRECTED)
        assert (await killed.service.row(message_id)).counts[DeliveryStatus.PENDING] == 100

    async with open_scene(database_url, sandbox, "worker-2") as next_one:
        await next_one.service.start()

        assert (await next_one.service.done(message_id)).status == "SENT"
        assert {who: next_one.channel.texts(who) for who in everyone} == {who: ["Dear"] for who in everyone}


async def test_a_recipient_without_a_variable_of_the_correction_fails_without_a_request(
    scene: Scene, control: SandboxControl
) -> None:
    service, channel = scene.service, scene.channel
    await control.order({"preset": "bad_content", "times": 1})
    message_id = await service.send([Recipient(id="ann"), *people("bob")], text="Hello all")
    await service.done(message_id)

    await service.resend(message_id, content=CORRECTED)

    assert (await service.done(message_id)).status == "PARTIALLY_SENT"
    assert (channel.texts("ann"), channel.texts("bob")) == (["Hello"], ["Hello", "Dear"])
    last = (await service.attempts(message_id))["ann"][-1]
    assert (last.status, last.error_type) == ("FAILED", ErrorType.OTHER)
    assert last.error_message == "nothing was sent: the recipient lacks {{name}}, which the text asks for"


# A message that is paused between its batches


def assert_corrected_after(channel: RecordingChannel, before: int, everyone: Sequence[str]) -> None:
    """Check that each recipient was sent the message once: the original before the pause, the correction after it."""
    assert sorted(who for who, _ in channel.left) == sorted(everyone)
    words = [text.split()[0] for _, text in channel.left]
    assert words == ["Hello"] * before + ["Dear"] * (len(everyone) - before)


@pytest.mark.parametrize("mode", [SendMode.SINGLE, SendMode.BATCH])
async def test_deliveries_of_a_paused_message_leave_with_the_correction(scene: Scene, mode: SendMode) -> None:
    service, channel = scene.service, scene.channel
    await service.put_page(access_token="", pace=100.0, send_mode=mode)
    message_id = await service.send(crowd(250))
    await service.arrived(20)

    await service.pauses.pause(pause_message(message_id))
    await eventually(lambda: service.row(message_id), lambda row: not row.counts[DeliveryStatus.SENDING])
    before = len(channel.left)
    await service.resend(message_id, content=CORRECTED)
    await service.pauses.resume(resume_message(message_id))

    assert (await service.done(message_id)).status == "SENT"
    assert_corrected_after(channel, before, [who.id for who in crowd(250)])


BAD_IMAGE = {"effect": {"kind": "error", "code": 100, "subcode": 2018008, "message": "Failed to fetch the file"}}


async def stopped_for_content(scene: Scene, control: SandboxControl) -> str:
    """Create a message to 600 recipients that the service stopped because the platform refuses its content."""
    await scene.service.put_page(access_token="", pace=100_000.0)
    await control.order(BAD_IMAGE)
    message_id = await scene.service.send(crowd(600))
    await eventually(
        lambda: scene.service.row(message_id),
        lambda row: row.stop is not None and not row.counts[DeliveryStatus.SENDING],
    )
    await control.clear_faults()
    return message_id


@pytest.mark.parametrize("error_types", [(), (ErrorType.OTHER,)])
async def test_a_stopped_message_continues_for_all_recipients_with_the_corrected_content(
    scene: Scene, control: SandboxControl, error_types: tuple[ErrorType, ...]
) -> None:
    service, channel = scene.service, scene.channel
    message_id = await stopped_for_content(scene, control)
    before = len(channel.left)

    await service.resend(message_id, content=CORRECTED, error_types=error_types)

    row = await eventually(lambda: service.row(message_id), lambda row: row.status == "SENT")
    assert row.stop is None
    assert sorted(await service.accepted()) == [who.id for who in crowd(600)]
    assert set((await service.accepted()).values()) == {1}
    assert {text.split()[0] for _, text in channel.left[before:]} == {"Dear"}


async def test_a_correction_for_named_recipients_leaves_a_stopped_message_stopped(
    scene: Scene, control: SandboxControl
) -> None:
    service = scene.service
    message_id = await stopped_for_content(scene, control)
    failed = sorted(who for who, attempts in (await service.attempts(message_id)).items() if attempts[-1].error_type)
    pending = (await service.row(message_id)).counts[DeliveryStatus.PENDING]

    await service.resend(message_id, content=CORRECTED, recipient_ids=tuple(failed[:3]))

    row = await service.row(message_id)
    assert row.stop is not None
    assert row.counts[DeliveryStatus.PENDING] == pending + 3


async def test_a_canary_of_a_corrected_content_waits_for_the_resume(scene: Scene, control: SandboxControl) -> None:
    service = scene.service
    message_id = await stopped_for_content(scene, control)

    await service.resend(message_id, content=CORRECTED, canary=Canary(recipients=2))

    assert (await service.row(message_id)).stop is not None


async def test_a_worker_without_notifications_sends_no_replaced_content(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The batch was rendered before: its next dispatch is refused, and the batch is claimed and rendered again."""
    service, channel = scene.service, scene.channel
    monkeypatch.setattr(Dispatcher, "_halt", lambda *_: None)
    await service.put_page(access_token="", pace=0.1)  # the next dispatch is ten seconds away until the pace changes
    message_id = await service.send(crowd(60))
    await service.arrived(1)
    halts: list[str] = []
    monkeypatch.setattr(BatchSender, "halt", _recorded_halt(BatchSender.halt, halts))

    await service.pauses.pause(pause_message(message_id))
    await service.resend(message_id, content=CORRECTED)
    before = await service.counts(message_id)
    await service.pauses.resume(resume_message(message_id))
    await service.put_page(access_token="", pace=2_000.0)

    assert (await service.done(message_id)).status == "SENT"
    assert "CONTENT_REPLACED" in halts
    assert_corrected_after(channel, 60 - before["PENDING"], [who.id for who in crowd(60)])


def _recorded_halt(halt: object, halts: list[str]) -> object:
    def noted(run: BatchSender, cause: object) -> None:
        halts.append(str(cause))
        halt(run, cause)  # type: ignore[operator]

    return noted
