"""A caller's campaign: register a page, send, watch until done, check the counts."""

import asyncio
from collections.abc import Sequence

from redrive import Client
from redrive.v1.content_pb2 import Content, Recipient
from redrive.v1.delivery_service_pb2 import SendRequest
from redrive.v1.message_pb2 import Counts, Message, OnUnconfirmed, RetryPolicy, RetryType
from redrive.v1.page_pb2 import SendMode
from redrive.v1.page_service_pb2 import PutPageRequest
from redrive.v1.progress_pb2 import Progress
from tests.e2e.processes import SandboxProcess

PAGE = "1001"
TOKEN = "EAAG-first-token"
TEXT = "Hello {{name}}, {{city}} is waiting."


async def put_page(
    client: Client,
    *,
    rate: float = 5_000.0,
    token: str = TOKEN,
    mode: SendMode.ValueType = SendMode.SEND_MODE_UNSPECIFIED,
) -> None:
    """Register the page, or replace its token."""
    request = PutPageRequest(page_id=PAGE, access_token=token, messages_per_second=rate, send_mode=mode)
    await client.put_page(request)


def recipients(count: int, prefix: str = "u") -> list[Recipient]:
    """Return this many recipients."""
    return [
        Recipient(id=f"{prefix}{number}", name=f"Name {number}", variables={"city": "Hanoi"}) for number in range(count)
    ]


def send_request(
    people: Sequence[Recipient],
    *,
    retry: RetryType.ValueType = RetryType.RETRY_TYPE_MANUAL,
    max_retries: int = 0,
    on_unconfirmed: OnUnconfirmed.ValueType = OnUnconfirmed.ON_UNCONFIRMED_UNSPECIFIED,
    request_id: str = "",
) -> SendRequest:
    """Return a request that sends the usual text to these recipients."""
    return SendRequest(
        request_id=request_id,
        page_id=PAGE,
        title="Newsletter",
        content=Content(text=TEXT),
        recipients=people,
        retry_policy=RetryPolicy(type=retry, max_retry_attempts=max_retries),
        on_unconfirmed=on_unconfirmed,
    )


async def watch_until_done(client: Client, message_id: str) -> Progress:
    """Watch until the message is done and return the last progress; check that the counts add up in each answer."""
    last: Progress | None = None
    async with asyncio.timeout(90):
        async for answer in client.watch_progress(message_id):
            last = answer.progress
            assert_balanced(last.counts)
    assert last is not None
    return last


async def send_and_wait(client: Client, request: SendRequest) -> Message:
    """Send, and return the message when it is done."""
    sent = await client.send(request)
    await watch_until_done(client, sent.message.id)
    return await client.get_message(sent.message.id)


def assert_balanced(counts: Counts) -> None:
    """Check that total = pending + sending + sent + failed + unconfirmed + cancelled."""
    parts = (counts.pending, counts.sending, counts.sent, counts.failed, counts.unconfirmed, counts.cancelled)
    assert counts.total == sum(parts)


async def assert_no_duplicates(sandbox: SandboxProcess) -> None:
    """Check that the sandbox accepted each message at most once per recipient."""
    summary = await sandbox.control.summary()
    assert summary.repeat_count == 0, summary.repeats
