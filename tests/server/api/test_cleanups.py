"""MaintenanceService.CleanupDeliveries."""

from collections.abc import Mapping
from datetime import timedelta

import grpc
import pytest

from domain.message_events import MessageCompleted
from domain.outcome import Outcome
from domain.streams import batch_stream, message_stream
from redrive.v1.delivery_pb2 import DeliveryStatus
from redrive.v1.delivery_service_pb2 import (
    GetMessageRequest,
    ListDeliveriesRequest,
    ListFailedRequest,
    ResendRequest,
    SkipReason,
)
from redrive.v1.maintenance_service_pb2 import (
    Cleanup,
    CleanupDeliveriesRequest,
    CleanupDeliveriesResponse,
    CleanupState,
    GetCleanupRequest,
)
from redrive.v1.message_pb2 import Counts
from redrive.v1.receipt_service_pb2 import RecordReceiptsRequest
from redrive.v1.report_service_pb2 import GetDeliveryReportRequest
from tests.builders import FAILED, UNCONFIRMED, batch_created, message_submitted, wall_clock
from tests.server.api.edge import Edge
from tests.server.api.receipts import echo
from tests.server.api.refusals import refusal_of
from tests.waiting import eventually

DAYS_AGO = 200


async def sent_days_ago(
    edge: Edge, message_id: str, outcomes: Mapping[str, Outcome], *, days: int = DAYS_AGO, owner: str = "local"
) -> None:
    """Create a message to Ann, Bob and Cid; recipients that are not named are sent to."""
    then = wall_clock() - timedelta(days=days)
    await edge.commit(
        message_stream(message_id), 0, message_submitted(3, message_id=message_id, owner=owner, time=then)
    )
    created = batch_created("ann", "bob", "cid", message_id=message_id, time=then)
    await edge.commit(batch_stream(message_id, 0, 1), 0, created)
    await edge.deliver(message_id, outcomes, now=then)
    await edge.commit(message_stream(message_id), 1, MessageCompleted(message_id=message_id, time=then))


async def clean(edge: Edge, days: int = 0, **fields: str | bool) -> CleanupDeliveriesResponse:
    request = CleanupDeliveriesRequest(older_than_days=days, **fields)  # type: ignore[arg-type]
    return await edge.maintenance.CleanupDeliveries(request)


async def shown(edge: Edge, message_id: str) -> list[str]:
    answer = await edge.delivery.ListDeliveries(ListDeliveriesRequest(message_id=message_id))
    return [delivery.recipient_id for delivery in answer.deliveries]


async def counts(edge: Edge, message_id: str) -> Counts:
    return (await edge.delivery.GetMessage(GetMessageRequest(message_id=message_id))).message.counts


async def test_only_old_finished_deliveries_are_removed(edge: Edge) -> None:
    await sent_days_ago(edge, "old", {"bob": FAILED, "cid": UNCONFIRMED})
    await sent_days_ago(edge, "young", {}, days=80)
    await edge.submit_as("local", "open")
    report = await edge.reports.GetDeliveryReport(GetDeliveryReportRequest(message_id="old"))

    would = await clean(edge, validate_only=True)
    assert (would.deliveries_removed, would.HasField("cleanup")) == (1, False)
    assert len(await shown(edge, "old")) == 3

    answer = await clean(edge)
    cleanup = answer.cleanup
    assert answer.deliveries_removed == cleanup.deliveries_removed == cleanup.deliveries_total == 1
    assert cleanup.state == CleanupState.CLEANUP_STATE_DONE
    assert cleanup.end_time.ToNanoseconds() >= cleanup.create_time.ToNanoseconds() > 0
    assert cleanup.create_time.seconds - cleanup.before_time.seconds == 90 * 86_400
    assert (await edge.maintenance.GetCleanup(GetCleanupRequest(cleanup_id=cleanup.id))).cleanup == cleanup

    assert await shown(edge, "old") == ["bob", "cid"]
    assert await shown(edge, "young") == ["ann", "bob", "cid"]
    assert await shown(edge, "open") == ["ann"]
    assert await counts(edge, "old") == Counts(total=3, sent=1, failed=1, unconfirmed=1)
    failed = await edge.delivery.ListFailed(ListFailedRequest(message_id="old"))
    assert (failed.stats.sent, failed.stats.failed, failed.stats.total) == (1, 1, 3)
    assert await edge.reports.GetDeliveryReport(GetDeliveryReportRequest(message_id="old")) == report
    assert (await clean(edge)).deliveries_removed == 0


async def test_a_reached_recipient_is_never_sent_to_again(edge: Edge) -> None:
    """Bob is reached by his second attempt, which is removed; his first one may still have failed, and stays."""
    await sent_days_ago(edge, "m", {"bob": UNCONFIRMED, "cid": FAILED})
    resend = ResendRequest(message_id="m", recipient_ids=["ann", "bob"], include_unconfirmed=True)
    assert (await edge.delivery.Resend(resend)).recipients_to_retry == 1
    await edge.deliver("m", {}, batch_number=2, now=wall_clock() - timedelta(days=DAYS_AGO))
    version = len(await edge.log.load(message_stream("m")))
    await edge.commit(message_stream("m"), version, MessageCompleted(message_id="m", time=wall_clock()))

    assert (await clean(edge)).deliveries_removed == 2
    assert await shown(edge, "m") == ["bob", "cid"]
    await edge.receipts.RecordReceipts(
        RecordReceiptsRequest(
            receipts=[echo("m", "ann"), echo("m", "bob")]
        )  # of a removed delivery and of a remaining one
    )

    again = await edge.delivery.Resend(ResendRequest(message_id="m", recipient_ids=["ann", "bob", "cid"]))
    assert again.recipients_to_retry == 1
    assert {one.reason: one.count for one in again.skipped} == {SkipReason.SKIP_REASON_ALREADY_SENT: 2}
    assert await counts(edge, "m") == Counts(total=3, sent=2, pending=1)
    listed = await edge.delivery.ListDeliveries(
        ListDeliveriesRequest(message_id="m", statuses=[DeliveryStatus.DELIVERY_STATUS_SENT])
    )
    assert [one.recipient_id for one in listed.deliveries] == ["bob"]


async def test_a_repeated_request_gets_the_first_cleanup(edge: Edge) -> None:
    await sent_days_ago(edge, "m", {})

    first = await clean(edge, request_id="r-1")
    again = await clean(edge, days=90, request_id="r-1")
    other = await refusal_of(clean(edge, days=91, request_id="r-1"))

    assert first == again
    assert first.deliveries_removed == 3
    assert (other.code, other.info.reason) == (grpc.StatusCode.ALREADY_EXISTS, "REQUEST_ID_REUSED")


async def test_messages_of_all_owners_are_cleaned(edge: Edge) -> None:
    await sent_days_ago(edge, "m", {}, owner="another owner")

    assert (await clean(edge, days=1)).deliveries_removed == 3


@pytest.mark.parametrize(
    ("days", "words"),
    [(-1, "must be at least 1"), (3_651, "must be at most 3,650")],
)
async def test_days_have_limits(edge: Edge, days: int, words: str) -> None:
    refusal = await refusal_of(clean(edge, days=days))

    assert (refusal.code, refusal.violations) == (grpc.StatusCode.INVALID_ARGUMENT, {"older_than_days": words})


async def test_an_unknown_cleanup_is_not_found(edge: Edge) -> None:
    unknown = await refusal_of(edge.maintenance.GetCleanup(GetCleanupRequest(cleanup_id="unknown")))
    unnamed = await refusal_of(edge.maintenance.GetCleanup(GetCleanupRequest()))
    too_long = await refusal_of(clean(edge, request_id="r" * 129))

    assert (unknown.code, unknown.info.reason) == (grpc.StatusCode.NOT_FOUND, "CLEANUP_NOT_FOUND")
    assert unnamed.violations == {"cleanup_id": "is required"}
    assert too_long.violations == {"request_id": "must have at most 128 characters, has 129"}


async def test_a_long_cleanup_continues_after_its_answer(edge: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.commands.cleanup.WAIT_SECONDS", 0.0)
    monkeypatch.setattr("projections.removable_deliveries._BATCHES_AT_ONCE", 1)
    for number in range(5):
        await sent_days_ago(edge, f"m{number}", {"bob": FAILED})

    started = (await clean(edge)).cleanup
    seen = [started]

    async def read() -> Cleanup:
        seen.append((await edge.maintenance.GetCleanup(GetCleanupRequest(cleanup_id=started.id))).cleanup)
        return seen[-1]

    await eventually(read, lambda found: found.state == CleanupState.CLEANUP_STATE_DONE)

    removed = [one.deliveries_removed for one in seen]
    assert started.state == CleanupState.CLEANUP_STATE_RUNNING
    assert removed == sorted(removed)
    assert (removed[0], removed[-1], seen[-1].deliveries_total) == (0, 10, 10)
