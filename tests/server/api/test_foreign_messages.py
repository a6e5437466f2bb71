"""Messages of other owners: only an admin sees or changes them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest

from domain.message_events import MessageSubmitted
from domain.streams import message_stream, page_stream
from redrive.v1.delivery_service_pb2 import (
    CancelMessageRequest,
    ListMessagesRequest,
    PauseMessageRequest,
    ResendRequest,
    ResumeMessageRequest,
)
from redrive.v1.receipt_service_pb2 import RecordReceiptsRequest
from redrive.v1.report_service_pb2 import (
    ExportDeliveriesRequest,
    GetDeliveryReportRequest,
    SummarizeFailuresRequest,
)
from redrive.v1.retry_service_pb2 import GetRetryScheduleRequest, RunScheduledRetriesRequest
from server.auth.caller import Scope
from server.background.timer_report import TimerResult, TimerRun, TimerStatus
from tests.builders import FAILED, NOW, PAGE, page_shared
from tests.server.api.edge import Edge, running_edge
from tests.server.api.known_callers import Callers, guarded_edge, token_metadata
from tests.server.api.receipts import echo
from tests.server.api.refusals import refusal_of
from tests.server.api.requests import send_request
from tests.server.api.rpcs import RPCS, Metadata, call, is_about_messages, request_about

THEIRS, MINE = "m-theirs", "m-mine"
OK, GONE_BY = grpc.StatusCode.OK, grpc.StatusCode.FAILED_PRECONDITION  # a done message cannot be paused


@pytest.fixture
def callers(tmp_path: Path) -> Callers:
    return Callers(tmp_path)


@pytest.fixture
def mine(callers: Callers) -> Metadata:
    """Return credentials with every scope except admin."""
    return token_metadata(callers.token("crm", *(scope for scope in Scope if scope is not Scope.ADMIN)))


@pytest.fixture
def admin(callers: Callers) -> Metadata:
    return token_metadata(callers.token("root", Scope.ADMIN))


@pytest.fixture
async def guarded(callers: Callers) -> AsyncIterator[Edge]:
    """Run an API with one failed message of crm and one of shop."""
    async with guarded_edge(callers) as edge:
        await edge.commit(page_stream(PAGE), 1, page_shared("crm", "shop"))
        for owner, message_id in (("crm", MINE), ("shop", THEIRS)):
            await edge.submit_as(owner, message_id)
            await edge.deliver(message_id, {"ann": FAILED})
        yield edge


async def test_every_rpc_with_a_message_id_finds_the_callers_own_messages_only(guarded: Edge, mine: Metadata) -> None:
    named = []
    for rpc in filter(is_about_messages, RPCS):
        request = request_about(rpc, THEIRS)

        refusal = await refusal_of(call(guarded.wire, rpc, request, mine))

        assert (refusal.code, refusal.info.reason) == (grpc.StatusCode.NOT_FOUND, "MESSAGE_NOT_FOUND"), rpc.name
        named.append(rpc.name)
    assert {"GetMessage", "WatchProgress", "ExportDeliveries", "ProcessBatches", "SummarizeFailures"} <= set(named)


async def test_an_admin_finds_every_message_by_every_rpc(guarded: Edge, admin: Metadata) -> None:
    for rpc in filter(is_about_messages, RPCS):
        request = request_about(rpc, THEIRS)

        assert await code_of(call(guarded.wire, rpc, request, admin)) in (OK, GONE_BY), rpc.name


async def code_of(calling: Awaitable[object]) -> grpc.StatusCode:
    try:
        await calling
    except grpc.aio.AioRpcError as error:
        return error.code()
    return OK


async def ids_listed(edge: Edge, metadata: Metadata) -> dict[str, set[str]]:
    """Return the message ids that each list, report and export shows."""
    listed = await edge.delivery.ListMessages(ListMessagesRequest(), metadata=metadata)
    summed = await edge.reports.SummarizeFailures(SummarizeFailuresRequest(), metadata=metadata)
    report = await edge.reports.GetDeliveryReport(GetDeliveryReportRequest(page_id=PAGE), metadata=metadata)
    export = edge.reports.ExportDeliveries(ExportDeliveriesRequest(page_id=PAGE), metadata=metadata)
    lines = b"".join([part.data async for part in export]).decode().splitlines()[1:]
    schedule = await edge.retries.GetRetrySchedule(GetRetryScheduleRequest(), metadata=metadata)
    run = await edge.retries.RunScheduledRetries(RunScheduledRetriesRequest(), metadata=metadata)
    return {
        "ListMessages": {message.id for message in listed.messages},
        "SummarizeFailures": {message.message_id for message in summed.messages},
        "GetDeliveryReport": {message.message_id for message in report.messages},
        "its first attempts": {str(report.first_attempts.attempted)},
        "its errors": {str(sum(error.count for error in report.errors))},
        "ExportDeliveries": {name for name in (MINE, THEIRS) if any(name in line for line in lines)},
        "GetRetrySchedule": {result.message_id for one in schedule.runs for result in one.results},
        "its last results": {result.message_id for result in schedule.last_results},
        "RunScheduledRetries": {result.message_id for result in run.results},
        "of whom it started": {str(run.processed)},
    }


def run_of_the_timer(edge: Edge) -> None:
    results = [
        TimerResult(message_id=message_id, title=message_id, status=TimerStatus.STARTED, recipients=1)
        for message_id in (MINE, THEIRS)
    ]
    edge.timer.results = results
    edge.timer.runs = [TimerRun(time=NOW, eligible=2, started=2, recipients=2, results=results)]
    known: Any = edge.timer.known
    edge.timer.known = type(known)(
        interval=known.interval, next_run_time=known.next_run_time, last_run_time=NOW, last_results=results
    )


async def test_lists_reports_and_exports_show_the_callers_own_messages_only(guarded: Edge, mine: Metadata) -> None:
    run_of_the_timer(guarded)

    listed = await ids_listed(guarded, mine)

    counts = {"its first attempts": {"1"}, "its errors": {"1"}, "of whom it started": {"2"}}
    assert listed == {name: counts.get(name, {MINE}) for name in listed}


async def test_lists_reports_and_exports_show_all_messages_to_an_admin(guarded: Edge, admin: Metadata) -> None:
    run_of_the_timer(guarded)

    listed = await ids_listed(guarded, admin)

    counts = {"its first attempts": {"2"}, "its errors": {"2"}, "of whom it started": {"2"}}
    assert listed == {name: counts.get(name, {MINE, THEIRS}) for name in listed}


async def test_without_authentication_messages_of_known_owners_are_not_shown(tmp_path: Path) -> None:
    async with running_edge(tmp_path) as edge:
        for owner, message_id in (("local", MINE), ("shop", THEIRS)):
            await edge.submit_as(owner, message_id)
        run_of_the_timer(edge)

        schedule = await edge.retries.GetRetrySchedule(GetRetryScheduleRequest())
        run = await edge.retries.RunScheduledRetries(RunScheduledRetriesRequest())

    results = [*schedule.last_results, *schedule.runs[0].results, *run.results]
    assert {result.message_id for result in results} == {MINE}


async def test_an_admin_may_list_one_owners_messages_and_others_only_their_own(
    guarded: Edge, mine: Metadata, admin: Metadata
) -> None:
    shops, crms = ListMessagesRequest(owner="shop"), ListMessagesRequest(owner="crm")

    by_admin = await guarded.delivery.ListMessages(shops, metadata=admin)
    own = await guarded.delivery.ListMessages(crms, metadata=mine)
    refusal = await refusal_of(guarded.delivery.ListMessages(shops, metadata=mine))

    assert [message.id for message in by_admin.messages] == [THEIRS]
    assert [message.id for message in own.messages] == [MINE]
    assert (refusal.code, refusal.info.reason) == (grpc.StatusCode.PERMISSION_DENIED, "SCOPE_MISSING")
    assert refusal.message == "this needs the scope 'admin'"


async def test_concurrent_calls_of_several_owners_are_not_confused(
    guarded: Edge, callers: Callers, mine: Metadata
) -> None:
    shop = token_metadata(callers.token("shop", Scope.READ))
    metadatas = [mine, shop] * 20

    answers = await asyncio.gather(
        *(guarded.delivery.ListMessages(ListMessagesRequest(), metadata=metadata) for metadata in metadatas)
    )

    assert [[message.id for message in answer.messages] for answer in answers] == [[MINE], [THEIRS]] * 20


async def test_a_sent_message_belongs_to_the_caller(guarded: Edge, mine: Metadata) -> None:
    sent = await guarded.delivery.Send(send_request(), metadata=mine)

    assert sent.message.owner == "crm"


async def test_two_callers_may_use_the_same_request_id(guarded: Edge, callers: Callers, mine: Metadata) -> None:
    shop = token_metadata(callers.token("shop", Scope.SEND))
    request = send_request(request_id="r-1")

    ids = {(await guarded.delivery.Send(request, metadata=metadata)).message.id for metadata in (mine, shop, mine)}

    assert len(ids) == 2


async def test_an_admins_changes_of_other_owners_messages_are_recorded_in_its_name(
    guarded: Edge, admin: Metadata
) -> None:
    about: Any = {"message_id": THEIRS, "request_id": "r-1"}
    for _ in range(2):  # a repeat is recognised
        resent = await guarded.delivery.Resend(ResendRequest(**about), metadata=admin)
    await guarded.delivery.PauseMessage(PauseMessageRequest(**about), metadata=admin)
    await guarded.delivery.ResumeMessage(ResumeMessageRequest(**about), metadata=admin)
    cancelled = await guarded.delivery.CancelMessage(CancelMessageRequest(**about), metadata=admin)

    submitted, *changes = await guarded.log.load(message_stream(THEIRS))
    assert (resent.recipients_to_retry, cancelled.message.owner) == (1, "shop")
    assert isinstance(submitted, MessageSubmitted)
    assert [getattr(change, "requested_by", None) for change in changes] == ["root"] * 4


async def test_receipts_are_recorded_for_messages_of_every_owner(guarded: Edge, callers: Callers) -> None:
    webhooks = token_metadata(callers.token("webhooks", Scope.RECEIPTS))
    request = RecordReceiptsRequest(receipts=[echo(message_id, "ann") for message_id in (MINE, THEIRS)])

    recorded = await guarded.receipts.RecordReceipts(request, metadata=webhooks)

    assert (recorded.recorded, recorded.unmatched) == (2, 0)
