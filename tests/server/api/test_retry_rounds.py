"""Predictions of Resend, canaries, and ListRetries."""

from typing import Any

import grpc
import pytest

from domain.fault import ErrorType, RetryRule
from domain.outcome import Failed, Outcome
from domain.streams import page_stream
from redrive.v1 import error_pb2
from redrive.v1.delivery_service_pb2 import (
    GetMessageRequest,
    ListDeliveriesRequest,
    ListEventsRequest,
    ListFailedRequest,
)
from redrive.v1.message_pb2 import Counts, RetryType
from redrive.v1.resend_pb2 import (
    Canary,
    CanaryState,
    ListRetriesRequest,
    ResendBatches,
    ResendCause,
    ResendPrediction,
    RetryRound,
    RetrySelection,
    RetryTrigger,
    SkippedRecipients,
    SkipReason,
)
from server.commands.open_rounds import OpenRoundService
from tests.builders import FAILED, FAILED_FOR_GOOD, NOW, SENT, UNCONFIRMED, fault, page_held
from tests.server.api.edge import Edge
from tests.server.api.refusals import refusal_of
from tests.server.api.requests import resend, send_request
from tests.server.api.rule_checks import violations

WINDOW = Failed(fault(ErrorType.PERMISSION, RetryRule.NEVER, code=10, subcode=2018278))
CAP = "must be from 0.001 to 100,000, or 0 if it is not given"
OUTCOMES: dict[str, Outcome] = {"ann": FAILED, "bob": FAILED, "cid": FAILED_FOR_GOOD, "dan": WINDOW, "eve": UNCONFIRMED}


async def failed(edge: Edge, **outcomes: Outcome) -> str:
    """Create a message with these outcomes, and Fay sent to; return its id."""
    found = outcomes or OUTCOMES
    message_id = (await edge.delivery.Send(send_request(*found, "fay"))).message.id
    await edge.deliver(message_id, found)
    return message_id


async def rounds(edge: Edge, message_id: str, **fields: Any) -> list[RetryRound]:
    return list((await edge.delivery.ListRetries(ListRetriesRequest(message_id=message_id, **fields))).rounds)


def prediction(
    cause: ResendCause.ValueType,
    type_: error_pb2.ErrorType.ValueType = error_pb2.ERROR_TYPE_UNSPECIFIED,
    count: int = 1,
) -> ResendPrediction:
    return ResendPrediction(cause=cause, error_type=type_, count=count)


# Predictions


async def test_a_dry_run_predicts_by_cause_and_a_resend_does_not(edge: Edge) -> None:
    message_id = await failed(edge)

    dry = await edge.delivery.Resend(resend(message_id, validate_only=True))
    wet = await edge.delivery.Resend(resend(message_id))

    assert list(dry.predictions) == [
        prediction(ResendCause.RESEND_CAUSE_RETRYABLE_NOW, error_pb2.ERROR_TYPE_NETWORK, 2),
        prediction(ResendCause.RESEND_CAUSE_OUTSIDE_WINDOW, error_pb2.ERROR_TYPE_PERMISSION),
        prediction(ResendCause.RESEND_CAUSE_WILL_FAIL_AGAIN, error_pb2.ERROR_TYPE_INVALID_RECIPIENT),
        prediction(ResendCause.RESEND_CAUSE_ALREADY_SENT),
        prediction(ResendCause.RESEND_CAUSE_UNCONFIRMED, error_pb2.ERROR_TYPE_NETWORK),
    ]
    assert list(wet.predictions) == []


async def test_a_page_on_hold_is_predicted(edge: Edge) -> None:
    message_id = await failed(edge)
    await edge.commit(page_stream("1001"), 1, page_held())

    dry = await edge.delivery.Resend(resend(message_id, recipient_ids=["ann", "cid", "zoe"], validate_only=True))

    assert [(one.cause, one.count) for one in dry.predictions] == [
        (ResendCause.RESEND_CAUSE_WILL_FAIL_AGAIN, 1),
        (ResendCause.RESEND_CAUSE_UNKNOWN_RECIPIENT, 1),
        (ResendCause.RESEND_CAUSE_PAGE_ON_HOLD, 1),
    ]


# Resends as of a sequence


async def test_the_sequence_of_a_message_or_of_its_failures_freezes_the_selection(edge: Edge) -> None:
    message_id = await failed(edge)
    listed = await edge.delivery.ListFailed(ListFailedRequest(message_id=message_id))
    shown = (await edge.delivery.GetMessage(GetMessageRequest(message_id=message_id))).message
    await edge.delivery.Resend(resend(message_id, recipient_ids=["ann"]))
    await edge.deliver(message_id, {"ann": FAILED}, batch_number=2)

    answer = await edge.delivery.Resend(resend(message_id, as_of_sequence=listed.sequence))

    assert listed.sequence == shown.sequence > 0
    assert answer.recipients_to_retry == 1
    assert SkippedRecipients(reason=SkipReason.SKIP_REASON_CHANGED_SINCE, count=1) in answer.skipped


async def test_a_sequence_in_the_future_is_refused(edge: Edge) -> None:
    message_id = await failed(edge)
    latest = (await edge.delivery.GetMessage(GetMessageRequest(message_id=message_id))).message.sequence

    refusal = await refusal_of(edge.delivery.Resend(resend(message_id, as_of_sequence=latest + 1)))

    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refusal.violations == {"as_of_sequence": f"must be at most {latest:,}, the message's sequence now"}


async def test_past_states_have_no_sequence(edge: Edge) -> None:
    message_id = await failed(edge)
    was = GetMessageRequest(message_id=message_id)
    was.as_of_time.GetCurrentTime()

    assert (await edge.delivery.GetMessage(was)).message.sequence == 0
    listed = await edge.delivery.ListFailed(ListFailedRequest(message_id=message_id, as_of_time=was.as_of_time))
    assert listed.sequence == 0


# Rules


@pytest.mark.parametrize(
    ("fields", "broken"),
    [
        ({"as_of_sequence": -1}, {"as_of_sequence": "must be at least 0"}),
        ({"canary": Canary()}, {"canary.recipients": "must be from 1 to 10,000"}),
        ({"canary": Canary(recipients=-5)}, {"canary.recipients": "must be from 1 to 10,000"}),
        ({"canary": Canary(recipients=10_001)}, {"canary.recipients": "must be from 1 to 10,000"}),
        ({"canary": Canary(recipients=1, max_failure_share=1.01)}, {"canary.max_failure_share": "must be from 0 to 1"}),
        ({"canary": Canary(recipients=1, max_failure_share=-0.1)}, {"canary.max_failure_share": "must be from 0 to 1"}),
        (
            {"canary": Canary(recipients=1, max_failure_share=float("nan"))},
            {"canary.max_failure_share": "must be from 0 to 1"},
        ),
        *(
            ({"messages_per_second": wrong}, {"messages_per_second": CAP})
            for wrong in (-1.0, 1e-300, 5e-324, 0.0009, 100_001.0, float("inf"), float("nan"))
        ),
        ({"reason": "x" * 501}, {"reason": "must have at most 500 characters, has 501"}),
        ({"reason": "a\x00b"}, {"reason": "must not hold control characters except tabs and line feeds"}),
    ],
)
def test_a_violation_is_reported_with_its_limit(fields: dict[str, Any], broken: dict[str, str]) -> None:
    assert violations(resend("m-1", **fields)) == broken


@pytest.mark.parametrize(
    "fields",
    [
        {"canary": Canary(recipients=10_000, max_failure_share=1.0)},
        {"messages_per_second": 100_000.0},
        {"messages_per_second": 0.001},
        {"reason": "x" * 500},
    ],
)
def test_values_within_the_limits_are_accepted(fields: dict[str, Any]) -> None:
    assert violations(resend("m-1", **fields)) == {}


async def test_a_canary_of_zero_recipients_is_refused(edge: Edge) -> None:
    refusal = await refusal_of(edge.delivery.Resend(resend(await failed(edge), canary=Canary(recipients=0))))

    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert list(refusal.violations) == ["canary.recipients"]


# Canaries and rounds


async def test_a_canary_is_shown_from_its_request_to_its_end(edge: Edge) -> None:
    message_id = await failed(edge, ann=FAILED, bob=FAILED, cid=FAILED)
    asked_for: dict[str, Any] = {"canary": Canary(recipients=1), "request_id": "r-1"}
    first = await edge.delivery.Resend(resend(message_id, **asked_for))
    second = await refusal_of(edge.delivery.Resend(resend(message_id, canary=Canary(recipients=1))))
    under_way = (await rounds(edge, message_id))[0]
    await edge.deliver(message_id, {"ann": FAILED}, batch_number=2)
    await OpenRoundService(edge.log, lambda: NOW).finish(message_id)

    assert (first.recipients_to_retry, first.recipients_after_canary) == (1, 2)
    assert await edge.delivery.Resend(resend(message_id, **asked_for)) == first
    assert (second.code, second.info.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "CANARY_UNDER_WAY")
    assert (under_way.canary_state, under_way.counts.pending) == (CanaryState.CANARY_STATE_UNDER_WAY, 1)
    stopped = (await rounds(edge, message_id))[0]
    assert (stopped.canary_state, stopped.counts) == (CanaryState.CANARY_STATE_STOPPED, Counts(total=1, failed=1))
    events = (await edge.delivery.ListEvents(ListEventsRequest(message_id=message_id))).events
    assert [(one.name, one.summary) for one in events if "Retry" in one.name] == [
        (
            "RetryRequested",
            "Round 1 (MANUAL) by local: 1 recipient in 1 batch from number 2, a canary: 2 more follow if it goes well",
        ),
        ("RetryStopped", "Round 1 stopped after its canary of 1: 1 failed, 0 unconfirmed"),
    ]


async def test_a_large_resend_is_answered_before_all_batches_are_planned(
    edge: Edge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.commands.resend_planning.PLAN_SLICE", 2)
    monkeypatch.setattr("server.commands.resend.PLAN_SECONDS", 0.0)
    message_id = await failed(edge, ann=FAILED, bob=FAILED, cid=FAILED)

    answer = await edge.delivery.Resend(resend(message_id))
    so_far = (await rounds(edge, message_id))[0]
    await OpenRoundService(edge.log, lambda: NOW).finish(message_id)
    in_all = (await rounds(edge, message_id))[0]

    assert (answer.recipients_to_retry, answer.batches.total, answer.batches.start_number) == (3, 1, 2)
    assert (so_far.recipients, so_far.counts) == (2, Counts(total=2, pending=2))
    assert (in_all.recipients, in_all.counts) == (3, Counts(total=3, pending=3))
    events = (await edge.delivery.ListEvents(ListEventsRequest(message_id=message_id))).events
    assert [one.summary for one in events if one.name == "RetryRequested"] == [
        "Round 1 (MANUAL) by local: 2 recipients in 1 batch from number 2, and more to come",
        "Round 1 (MANUAL) by local: 1 recipient in 1 batch from number 3",
    ]


async def test_every_round_is_listed_newest_first(edge: Edge) -> None:
    message_id = await failed(edge)
    named = resend(message_id, recipient_ids=["ann", "cid"], reason="they called", messages_per_second=2.5)
    await edge.delivery.Resend(named)
    await edge.deliver(message_id, {"ann": SENT, "cid": FAILED_FOR_GOOD}, batch_number=2)
    network = [error_pb2.ERROR_TYPE_NETWORK]
    await edge.delivery.Resend(resend(message_id, error_types=network, include_unconfirmed=True))

    second, first = await rounds(edge, message_id)

    assert first.request_time.seconds > 0
    first.ClearField("request_time")
    assert first == RetryRound(
        round=1,
        trigger=RetryTrigger.RETRY_TRIGGER_MANUAL,
        requested_by="local",
        reason="they called",
        selection=RetrySelection(recipients_named=True, messages_per_second=2.5),
        recipients=2,
        batches=ResendBatches(total=1, size=100, start_number=2),
        counts=Counts(total=2, sent=1, failed=1),
    )
    assert (second.round, second.recipients, second.counts) == (2, 2, Counts(total=2, pending=2))
    assert second.selection == RetrySelection(error_types=network, include_unconfirmed=True)
    assert SkippedRecipients(reason=SkipReason.SKIP_REASON_OTHER_ERROR_TYPE, count=2) in second.skipped


async def test_rounds_are_listed_in_pages(edge: Edge) -> None:
    message_id = await failed(edge)
    for who in ("ann", "bob", "cid"):
        await edge.delivery.Resend(resend(message_id, recipient_ids=[who]))

    first = await edge.delivery.ListRetries(ListRetriesRequest(message_id=message_id, page_size=2))
    rest = await rounds(edge, message_id, page_size=2, page_token=first.next_page_token)

    assert [one.round for one in [*first.rounds, *rest]] == [3, 2, 1]
    other = ListRetriesRequest(message_id=await failed(edge), page_token=first.next_page_token)
    assert list((await refusal_of(edge.delivery.ListRetries(other))).violations) == ["page_token"]


async def test_rounds_of_unknown_and_other_owners_messages_are_not_found(edge: Edge) -> None:
    await edge.submit_as("another owner", "m-2")

    for message_id in ("m-1", "m-2"):
        refusal = await refusal_of(edge.delivery.ListRetries(ListRetriesRequest(message_id=message_id)))
        assert (refusal.code, refusal.info.reason) == (grpc.StatusCode.NOT_FOUND, "MESSAGE_NOT_FOUND")


# Automatic rounds


async def test_the_last_attempt_of_an_automatically_retried_recipient_has_a_next_retry_time(edge: Edge) -> None:
    request = send_request("ann", "cid", "fay")
    request.retry_policy.type = RetryType.RETRY_TYPE_CRON
    message_id = (await edge.delivery.Send(request)).message.id
    await edge.deliver(message_id, {"ann": FAILED, "cid": FAILED_FOR_GOOD})
    await edge.delivery.Resend(resend(message_id, recipient_ids=["ann"]))
    await edge.deliver(message_id, {"ann": FAILED}, batch_number=2)

    listed = await edge.delivery.ListDeliveries(ListDeliveriesRequest(message_id=message_id))

    due = {(one.recipient_id, one.attempt_number) for one in listed.deliveries if one.HasField("next_retry_time")}
    assert due == {("ann", 2)}
