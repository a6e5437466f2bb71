"""The main use: send to many recipients, and list every failure."""

from redrive import Client
from redrive.v1.delivery_pb2 import DeliveryStatus
from redrive.v1.error_pb2 import ErrorType
from redrive.v1.message_pb2 import MessageStatus
from tests.e2e.campaign import (
    assert_balanced,
    assert_no_duplicates,
    put_page,
    recipients,
    send_and_wait,
    send_request,
)
from tests.e2e.processes import SandboxProcess

FAULTS = {
    "unknown_recipient": (ErrorType.ERROR_TYPE_INVALID_RECIPIENT, ["u10", "u11", "u12"]),
    "outside_window": (ErrorType.ERROR_TYPE_PERMISSION, ["u200", "u201"]),
    "app_limit": (ErrorType.ERROR_TYPE_RATE_LIMIT, ["u300"]),
    "temporary": (ErrorType.ERROR_TYPE_NETWORK, ["u400", "u401"]),
    "revoked_token": (ErrorType.ERROR_TYPE_ACCESS_TOKEN, ["u500"]),
    "bad_content": (ErrorType.ERROR_TYPE_OTHER, ["u600"]),
}
UNCONFIRMED = {"network": ["u1000"], "server_error": ["u1100"], "garbage": ["u1200"], "empty": ["u1300"]}


async def test_the_counts_add_up_after_two_thousand_deliveries_with_mixed_faults(
    client: Client, sandbox: SandboxProcess
) -> None:
    await put_page(client)
    await sandbox.control.order(
        *({"preset": preset, "recipients": people} for preset, (_, people) in FAULTS.items()),
        *({"preset": preset, "recipients": people} for preset, people in UNCONFIRMED.items()),
    )

    message = await send_and_wait(client, send_request(recipients(2_000)))

    assert message.status == MessageStatus.MESSAGE_STATUS_PARTIALLY_SENT
    assert_balanced(message.counts)
    assert (message.counts.sent, message.counts.failed, message.counts.unconfirmed) == (1_986, 10, 4)
    assert (message.batches_total, message.batches_completed) == (20, 20)
    failed = {one.recipient_id: one async for one in client.list_failed(message.id)}
    for kind, people in FAULTS.values():
        assert {failed[person].last_error_type for person in people} == {kind}
        assert not any(failed[person].unconfirmed for person in people)
    for people in UNCONFIRMED.values():
        assert all(failed[person].unconfirmed for person in people)
    summary = await sandbox.control.summary()
    assert (summary.recipients, summary.received, summary.repeat_count) == (2_000, 2_000, 0)


async def test_every_attempt_is_listed_with_its_outcome(client: Client, sandbox: SandboxProcess) -> None:
    await put_page(client)
    await sandbox.control.order({"preset": "unknown_recipient", "recipients": ["u1"]})

    message = await send_and_wait(client, send_request(recipients(250)))

    attempts = [attempt async for attempt in client.list_deliveries(message.id, page_size=100)]
    assert [attempt.recipient_id for attempt in attempts] == [f"u{number}" for number in range(250)]
    assert {attempt.batch_number for attempt in attempts} == {1, 2, 3}
    sent, failed = attempts[0], attempts[1]
    assert sent.status == DeliveryStatus.DELIVERY_STATUS_SENT
    assert sent.provider_message_id.startswith("m_")
    assert sent.HasField("sent_time")
    assert failed.status == DeliveryStatus.DELIVERY_STATUS_FAILED
    assert (failed.error.code, failed.error.subcode) == (100, 2018001)
    assert failed.HasField("failed_time")
    assert len({attempt.id for attempt in attempts}) == 250


async def test_texts_arrive_filled_in_and_once(client: Client, sandbox: SandboxProcess) -> None:
    await put_page(client)

    message = await send_and_wait(client, send_request(recipients(3)))

    received = (await sandbox.control.received("u1")).arrivals
    listed = {delivery.recipient_id: delivery.id async for delivery in client.list_deliveries(message.id)}
    assert [arrival.metadata for arrival in received] == [listed["u1"]]
    assert listed["u1"].startswith(f"{message.id}.1.1.")
    await assert_no_duplicates(sandbox)
