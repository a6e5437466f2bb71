"""Canaries: how many failures one allows, and its effect on the message."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.canary import Canary, Trial
from domain.errors import CanaryUnderWay
from domain.event import Event
from domain.message import (
    Message,
    awaits_automatic_round,
    check_resendable,
    complete,
    fold,
    stop_after_canary,
)
from domain.message_events import MessageCancelled, MessageCompleted, RetryStopped
from tests.builders import MESSAGE, NOW, OWNER, auto, message_submitted, retry_requested

TEN = Canary(recipients=10, max_failure_share=0.3)
CANARY = retry_requested(recipients=10, batches=1, last_recipient="j", trial=Trial(canary=TEN, rest=90, as_of=7))
GOES_ON = retry_requested(recipients=10, batches=1, last_recipient="j", goes_on=True)
STOPPED = RetryStopped(
    message_id=MESSAGE, round=1, recipients=10, failed=4, unconfirmed=0, suspends_automatic_rounds=True, time=NOW
)


def message(*events: Event) -> Message:
    return fold(MESSAGE, [message_submitted(retry_policy=auto()), *events])


def rest(last_recipient: str = "", *, first_batch: int = 3, round_: int = 1) -> Event:
    return retry_requested(first_batch=first_batch, round=round_, last_recipient=last_recipient)


@pytest.mark.parametrize(
    ("canary", "most"),
    [
        (Canary(recipients=10), 0),
        (Canary(recipients=10, max_failure_share=0.3), 3),
        (Canary(recipients=3, max_failure_share=0.5), 1),
        (Canary(recipients=7, max_failure_share=0.99), 6),
    ],
)
def test_a_canary_allows_failures_up_to_its_share(canary: Canary, most: int) -> None:
    assert [canary.allows(failures) for failures in (most, most + 1)] == [True, False]


@given(st.integers(1, 10_000), st.data())
def test_a_failure_share_equal_to_the_limit_is_allowed(recipients: int, data: st.DataObject) -> None:
    """The division may be rounded up or down."""
    failures = data.draw(st.integers(0, recipients))

    canary = Canary(recipients=recipients, max_failure_share=failures / recipients)

    assert canary.allows(failures)
    assert not canary.allows(failures + 1)


def test_an_open_round_has_the_batches_of_its_canary() -> None:
    opened = message(CANARY).open_round

    assert opened is not None
    assert (opened.round, opened.first_batch, opened.batches, opened.has_passed) == (1, 2, 1, False)


def test_too_many_failures_stop_the_round() -> None:
    assert stop_after_canary(message(CANARY), failed=3, unconfirmed=1, now=NOW) == RetryStopped(
        message_id=MESSAGE, round=1, recipients=10, failed=3, unconfirmed=1, suspends_automatic_rounds=True, time=NOW
    )


def test_few_failures_do_not_stop_the_round() -> None:
    assert stop_after_canary(message(CANARY), failed=2, unconfirmed=1, now=NOW) is None


def test_late_failures_do_not_stop_a_round_whose_canary_passed() -> None:
    assert stop_after_canary(message(CANARY, rest("z")), failed=10, unconfirmed=0, now=NOW) is None


@pytest.mark.parametrize(
    "end",
    [
        [rest()],
        [rest("m"), rest(first_batch=4)],
        [STOPPED],
        [MessageCancelled(message_id=MESSAGE, requested_by=OWNER, time=NOW)],
    ],
)
def test_the_last_slice_a_stop_or_a_cancel_ends_an_open_round(end: list[Event]) -> None:
    assert message(CANARY, *end).open_round is None


@pytest.mark.parametrize(
    "end",
    [
        [rest()],
        [rest("m"), rest(first_batch=4)],
        [MessageCancelled(message_id=MESSAGE, requested_by=OWNER, time=NOW)],
    ],
)
def test_a_round_with_more_slices_is_open_until_its_last_slice_or_a_cancel(end: list[Event]) -> None:
    opened = message(GOES_ON).open_round

    assert opened is not None
    assert (opened.round, opened.trial, opened.awaits_canary) == (1, None, False)
    assert message(GOES_ON, *end).open_round is None


def test_an_open_round_without_a_canary_neither_stops_nor_blocks_a_canary() -> None:
    assert stop_after_canary(message(GOES_ON), failed=10, unconfirmed=0, now=NOW) is None
    check_resendable(message(GOES_ON), with_canary=True)


def test_slices_of_other_rounds_do_not_change_the_open_round() -> None:
    between = message(CANARY, rest(round_=2))

    assert between.open_round is not None
    assert not between.open_round.has_passed
    assert message(CANARY, rest(round_=2), rest(first_batch=4)).round == 2


@pytest.mark.parametrize("events", [[CANARY], [CANARY, rest("m")], [GOES_ON], [GOES_ON, rest("m")]])
def test_a_message_with_an_open_round_is_not_completed_and_starts_no_automatic_round(events: list[Event]) -> None:
    open_message = message(*events)

    assert complete(open_message, open_deliveries=0, now=NOW) is None
    assert not awaits_automatic_round(open_message)


def test_a_message_can_complete_after_a_stopped_round() -> None:
    stopped = message(CANARY, STOPPED)

    assert isinstance(complete(stopped, open_deliveries=0, now=NOW + timedelta(seconds=1)), MessageCompleted)


def test_a_second_canary_is_refused_while_the_first_is_undecided() -> None:
    with pytest.raises(CanaryUnderWay):
        check_resendable(message(CANARY), with_canary=True)
    check_resendable(message(CANARY))
    check_resendable(message(CANARY, STOPPED), with_canary=True)
