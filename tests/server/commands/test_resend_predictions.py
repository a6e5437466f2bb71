"""Predictions of a dry run, and resends as of a sequence that the caller has seen."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.errors import InvalidRequest
from domain.fault import ErrorType, RetryRule
from domain.outcome import Failed, Outcome
from domain.retry import RetryPolicy, SkipReason
from domain.retry_prediction import PredictedCause
from projections import retry_groups
from projections.sql import Sql
from server.commands import changed_recipients
from server.eventstore.stream import recorded_at
from tests.builders import FAILED, FAILED_FOR_GOOD, FAILED_FOR_TOKEN, SENT, UNCONFIRMED, crowd, fault, page_held
from tests.server.commands.command_harness import CommandHarness

WINDOW = Failed(fault(ErrorType.PERMISSION, RetryRule.NEVER, code=10, subcode=2018278))
FORBIDDEN = Failed(fault(ErrorType.PERMISSION, RetryRule.NEVER, code=10, subcode=2018300))
OUTCOMES: Mapping[str, Outcome] = {
    "again": FAILED,
    "doubtful": UNCONFIRMED,
    "forbidden": FORBIDDEN,
    "gone": FAILED_FOR_GOOD,
    "sent": SENT,
    "tokenless": FAILED_FOR_TOKEN,
    "window": WINDOW,
}


async def causes(harness: CommandHarness, message_id: str, **asked_for: Any) -> dict[PredictedCause, int]:
    """Return the predictions of a dry run by cause."""
    found: Counter[PredictedCause] = Counter()
    dry = await harness.resend(message_id, **asked_for, validate_only=True)
    for prediction, count in dry.predictions.items():
        found[prediction.cause] += count
    return dict(found)


# Predictions


async def test_a_dry_run_predicts_all_recipients_by_cause(harness: CommandHarness) -> None:
    message_id = await harness.sent(OUTCOMES)

    assert await causes(harness, message_id) == {
        PredictedCause.RETRYABLE_NOW: 1,
        PredictedCause.UNCONFIRMED: 1,
        PredictedCause.WILL_FAIL_AGAIN: 2,
        PredictedCause.ALREADY_SENT: 1,
        PredictedCause.TOKEN_NOT_REPLACED: 1,
        PredictedCause.OUTSIDE_WINDOW: 1,
    }


async def test_a_recipient_selected_despite_a_permanent_error_will_fail_again(harness: CommandHarness) -> None:
    message_id = await harness.sent(OUTCOMES)

    named = await causes(harness, message_id, recipient_ids=("again", "gone", "window", "sent", "unknown", "gone"))
    typed = await causes(harness, message_id, error_types=(ErrorType.PERMISSION,))

    assert named == {
        PredictedCause.RETRYABLE_NOW: 1,
        PredictedCause.WILL_FAIL_AGAIN: 1,
        PredictedCause.OUTSIDE_WINDOW: 1,
        PredictedCause.ALREADY_SENT: 1,
        PredictedCause.UNKNOWN_RECIPIENT: 1,
    }
    assert typed == {
        PredictedCause.WILL_FAIL_AGAIN: 1,
        PredictedCause.OUTSIDE_WINDOW: 1,
        PredictedCause.ALREADY_SENT: 1,
        PredictedCause.OTHER_ERROR_TYPE: 4,
    }


async def test_predictions_include_the_error_types(harness: CommandHarness) -> None:
    message_id = await harness.sent({"window": WINDOW, "gone": FAILED_FOR_GOOD, "sent": SENT})

    predictions = (await harness.resend(message_id, validate_only=True)).predictions

    assert {(one.cause, one.error_type): count for one, count in predictions.items()} == {
        (PredictedCause.OUTSIDE_WINDOW, ErrorType.PERMISSION): 1,
        (PredictedCause.WILL_FAIL_AGAIN, ErrorType.INVALID_RECIPIENT): 1,
        (PredictedCause.ALREADY_SENT, None): 1,
    }


async def test_on_a_held_page_all_retryable_recipients_are_predicted_to_wait(harness: CommandHarness) -> None:
    message_id = await harness.sent(OUTCOMES)
    await harness.append("page/1001", 1, page_held())

    found = await causes(harness, message_id)

    assert (found[PredictedCause.PAGE_ON_HOLD], PredictedCause.RETRYABLE_NOW in found) == (1, False)


async def test_recipients_in_progress_or_without_attempts_left_are_predicted(harness: CommandHarness) -> None:
    message_id = await harness.sent({"ann": FAILED, "bob": FAILED}, retry_policy=RetryPolicy(max_retry_attempts=1))
    await harness.resend(message_id, recipient_ids=("ann",))
    await harness.deliver(message_id, {"ann": FAILED})
    await harness.resend(message_id, recipient_ids=("bob",))

    assert await causes(harness, message_id) == {PredictedCause.ATTEMPTS_USED_UP: 1, PredictedCause.IN_PROGRESS: 1}


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
async def test_predictions_add_up_to_the_selected_recipients(harness: CommandHarness, data: st.DataObject) -> None:
    outcomes = data.draw(
        st.dictionaries(st.sampled_from("abcdefgh"), st.sampled_from([*OUTCOMES.values()]), min_size=1)
    )
    message_id = await harness.sent(outcomes)
    seen = (await harness.row(message_id)).sequence
    again = data.draw(st.lists(st.sampled_from(sorted(outcomes)), unique=True))
    await harness.resend(message_id, recipient_ids=tuple(again), include_unconfirmed=True)
    if data.draw(st.booleans()):
        await harness.deliver(message_id, {who: data.draw(st.sampled_from([*OUTCOMES.values()])) for who in again})
    named = tuple(data.draw(st.lists(st.sampled_from("abcdefghxy"))))
    types = tuple(data.draw(st.lists(st.sampled_from(ErrorType), unique=True, max_size=2)))
    as_of = data.draw(st.sampled_from([0, seen]))

    asked_for = {"recipient_ids": named, "error_types": types, "as_of_sequence": as_of}
    dry = await harness.resend(message_id, **asked_for, validate_only=True)
    started = await harness.resend(message_id, **asked_for)

    assert sum(dry.predictions.values()) == (len(set(named)) if named else len(outcomes))
    assert sum(dry.skipped.values()) + dry.recipients == sum(dry.predictions.values())
    assert (started.recipients, started.skipped) == (dry.recipients, dry.skipped)


# Resends as of a sequence


async def seen(harness: CommandHarness, message_id: str) -> int:
    return (await harness.row(message_id)).sequence


@pytest.mark.parametrize("at_once", [1, changed_recipients.EVENTS_AT_ONCE])
async def test_a_recipient_that_has_changed_since_the_sequence_is_not_taken(
    harness: CommandHarness, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(changed_recipients, "EVENTS_AT_ONCE", at_once)
    message_id = await harness.sent({"ann": FAILED, "bob": FAILED, "cid": FAILED, "dan": FAILED, "eve": SENT})
    sequence = await seen(harness, message_id)
    await harness.resend(message_id, recipient_ids=("ann", "bob"))
    await harness.deliver(message_id, {"ann": FAILED, "bob": SENT})
    await harness.resend(message_id, recipient_ids=("dan",))

    started = await harness.resend(message_id, as_of_sequence=sequence)

    assert started.recipients == 1
    assert started.skipped == {SkipReason.CHANGED_SINCE: 1, SkipReason.ALREADY_SENT: 2, SkipReason.IN_PROGRESS: 1}
    assert await harness.taken(message_id, round_=3) == ["cid"]


async def test_a_dry_run_reads_changes_in_slices_and_no_recipients(
    harness: CommandHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each read is bounded, for messages of any size."""
    ids = [f"r{number}" for number in range(250)]
    message_id = await harness.sent(dict.fromkeys(ids, FAILED))
    monkeypatch.setattr(changed_recipients, "EVENTS_AT_ONCE", 2)
    monkeypatch.setattr(changed_recipients, "recorded_at", at_most(2, recorded_at))
    monkeypatch.setattr(retry_groups, "next_attempts", None)
    monkeypatch.setattr(retry_groups, "find_named", None)

    predicted = await causes(harness, message_id, as_of_sequence=1)

    assert predicted == {PredictedCause.CHANGED_SINCE: 250}


def at_most(most: int, read: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a read and check that it gets at most this many positions."""

    def checked(sql: Sql, positions: Sequence[int]) -> Any:
        assert len(positions) <= most
        return read(sql, positions)

    return checked


async def test_named_recipients_that_have_changed_are_not_taken(harness: CommandHarness) -> None:
    message_id = await harness.sent({"ann": FAILED, "bob": FAILED})
    sequence = await seen(harness, message_id)
    await harness.resend(message_id, recipient_ids=("ann",))
    await harness.deliver(message_id, {"ann": FAILED})

    asked_for: dict[str, Any] = {"recipient_ids": ("ann", "bob"), "as_of_sequence": sequence}
    predicted = await causes(harness, message_id, **asked_for)
    started = await harness.resend(message_id, **asked_for)

    assert predicted == {PredictedCause.CHANGED_SINCE: 1, PredictedCause.RETRYABLE_NOW: 1}
    assert (started.recipients, started.skipped) == (1, {SkipReason.CHANGED_SINCE: 1})


async def test_unchanged_recipients_are_taken_whatever_others_did(harness: CommandHarness) -> None:
    """A sequence read after the resend of others includes that resend."""
    message_id = await harness.sent({"ann": FAILED, "bob": FAILED})
    await harness.resend(message_id, recipient_ids=("ann",))
    await harness.deliver(message_id, {"ann": FAILED})

    started = await harness.resend(message_id, as_of_sequence=await seen(harness, message_id))

    assert (started.recipients, started.skipped) == (2, {})


async def test_a_sequence_in_the_future_is_refused(harness: CommandHarness) -> None:
    message_id = await harness.sent({"ann": FAILED})
    latest = await seen(harness, message_id)

    for validate_only in (True, False):
        with pytest.raises(InvalidRequest) as refused:
            await harness.resend(message_id, as_of_sequence=latest + 1, validate_only=validate_only)
        assert [one.field for one in refused.value.violations] == ["as_of_sequence"]


async def test_a_large_selection_is_frozen_over_all_slices(
    harness: CommandHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.commands.resend_planning.PLAN_SLICE", 100)
    message_id = await harness.sent({who.id: FAILED for who in crowd(350)})
    sequence = await seen(harness, message_id)
    others = tuple(who.id for who in crowd(350)[::3])
    await harness.resend(message_id, recipient_ids=others)
    await harness.deliver(message_id, dict.fromkeys(others, FAILED))

    started = await harness.resend(message_id, as_of_sequence=sequence)

    assert (started.recipients, started.skipped) == (233, {SkipReason.CHANGED_SINCE: 117})
    assert sorted([*await harness.taken(message_id, round_=2), *others]) == [who.id for who in crowd(350)]
