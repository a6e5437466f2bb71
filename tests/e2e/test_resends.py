"""Manual resends: repeated, concurrent, and by error type."""

import asyncio

import pytest

from redrive import Client
from redrive.errors import AlreadyExists
from redrive.v1.delivery_service_pb2 import ResendRequest, SkipReason
from redrive.v1.error_pb2 import ErrorType
from redrive.v1.message_pb2 import Message
from tests.e2e.campaign import (
    TOKEN,
    assert_no_duplicates,
    put_page,
    recipients,
    send_and_wait,
    send_request,
    watch_until_done,
)
from tests.e2e.processes import SandboxProcess


async def _message_with_failures(client: Client, sandbox: SandboxProcess) -> Message:
    """Send to 300 recipients: 10 fail with a temporary error, 10 with an expired token."""
    await put_page(client)
    await sandbox.control.order(
        {"preset": "temporary", "recipients": ["u3?"], "times": 1},
        {"effect": {"kind": "error", "code": 190, "subcode": 463}, "recipients": ["u4?"], "token": TOKEN},
    )
    return await send_and_wait(client, send_request(recipients(300)))


async def test_resend_by_error_type_after_the_token_was_replaced(client: Client, sandbox: SandboxProcess) -> None:
    message = await _message_with_failures(client, sandbox)
    assert (message.counts.sent, message.counts.failed) == (280, 20)
    await put_page(client, token="EAAG-second-token")
    request = ResendRequest(message_id=message.id, error_types=[ErrorType.ERROR_TYPE_ACCESS_TOKEN])

    answer = await client.resend(request)

    assert answer.recipients_to_retry == 10
    assert (answer.batches.total, answer.batches.size, answer.batches.start_number) == (1, 100, 4)
    assert {skipped.reason: skipped.count for skipped in answer.skipped} == {
        SkipReason.SKIP_REASON_ALREADY_SENT: 280,
        SkipReason.SKIP_REASON_OTHER_ERROR_TYPE: 10,
    }
    await watch_until_done(client, message.id)
    assert (await client.get_message(message.id)).counts.sent == 290
    await assert_no_duplicates(sandbox)


async def test_concurrent_resends_create_one_plan(client: Client, sandbox: SandboxProcess) -> None:
    message = await _message_with_failures(client, sandbox)

    answers = await asyncio.gather(*(client.resend(ResendRequest(message_id=message.id)) for _ in range(5)))

    assert sorted(answer.recipients_to_retry for answer in answers) == [0, 0, 0, 0, 10]
    await watch_until_done(client, message.id)
    assert (await client.get_message(message.id)).counts.sent == 290
    await assert_no_duplicates(sandbox)


async def test_a_dry_run_gives_the_same_answer_and_changes_nothing(client: Client, sandbox: SandboxProcess) -> None:
    message = await _message_with_failures(client, sandbox)

    dry = await client.resend(ResendRequest(message_id=message.id, validate_only=True))
    after = await client.get_message(message.id)
    real = await client.resend(ResendRequest(message_id=message.id))

    assert after.batches_total == message.batches_total
    assert (dry.recipients_to_retry, dry.batches, list(dry.skipped)) == (
        real.recipients_to_retry,
        real.batches,
        list(real.skipped),
    )


async def test_the_same_request_id_sends_once(client: Client, sandbox: SandboxProcess) -> None:
    await put_page(client)
    request = send_request(recipients(50), request_id="once")

    answers = await asyncio.gather(*(client.send(request) for _ in range(4)))

    assert len({answer.message.id for answer in answers}) == 1
    await watch_until_done(client, answers[0].message.id)
    assert (await sandbox.control.summary()).received == 50
    with pytest.raises(AlreadyExists) as refused:
        await client.send(send_request(recipients(51), request_id="once"))
    assert refused.value.reason == "REQUEST_ID_REUSED"
