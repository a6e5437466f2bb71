"""A canary: what it allows, and what a message makes of it."""

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
def test_the_share_that_was_asked_for_is_allowed_itself(recipients: int, data: st.DataObject) -> None:
    """However the quotient is rounded."""
    failures = data.draw(st.integers(0, recipients))

    canary = Canary(recipients=recipients, max_failure_share=failures / recipients)

    assert canary.allows(failures)
    assert not canary.allows(failures + 1)


def test_a_message_knows_which_batches_its_canary_is() -> None:
    opened = message(CANARY).open_round

    assert opened is not None
    assert (opened.round, opened.first_batch, opened.batches, opened.has_passed) == (1, 2, 1, False)


def test_too_many_failures_stop_the_round() -> None:
    assert stop_after_canary(message(CANARY), failed=3, unconfirmed=1, now=NOW) == RetryStopped(
        message_id=MESSAGE, round=1, recipients=10, failed=3, unconfirmed=1, suspends_automatic_rounds=True, time=NOW
    )


def test_few_failures_let_it_go_on() -> None:
    assert stop_after_canary(message(CANARY), failed=2, unconfirmed=1, now=NOW) is None


def test_what_has_gone_on_is_not_stopped_by_late_news() -> None:
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
def test_a_canary_is_settled_by_the_last_of_its_rest_a_stop_or_a_cancel(end: list[Event]) -> None:
    assert message(CANARY, *end).open_round is None


@pytest.mark.parametrize(
    "end",
    [
        [rest()],
        [rest("m"), rest(first_batch=4)],
        [MessageCancelled(message_id=MESSAGE, requested_by=OWNER, time=NOW)],
    ],
)
def test_a_round_that_goes_on_is_open_until_its_last_slice_or_a_cancel(end: list[Event]) -> None:
    opened = message(GOES_ON).open_round

    assert opened is not None
    assert (opened.round, opened.trial, opened.waits) == (1, None, False)
    assert message(GOES_ON, *end).open_round is None


def test_a_round_that_goes_on_has_no_canary_to_stop_it_nor_to_be_in_anothers_way() -> None:
    assert stop_after_canary(message(GOES_ON), failed=10, unconfirmed=0, now=NOW) is None
    check_resendable(message(GOES_ON), with_canary=True)


def test_slices_of_other_rounds_say_nothing_of_a_canary() -> None:
    between = message(CANARY, rest(round_=2))

    assert between.open_round is not None
    assert not between.open_round.has_passed
    assert message(CANARY, rest(round_=2), rest(first_batch=4)).round == 2


@pytest.mark.parametrize("events", [[CANARY], [CANARY, rest("m")], [GOES_ON], [GOES_ON, rest("m")]])
def test_a_message_is_not_done_and_starts_nothing_by_itself_before_its_canary_is_settled(events: list[Event]) -> None:
    unsettled = message(*events)

    assert complete(unsettled, open_deliveries=0, now=NOW) is None
    assert not awaits_automatic_round(unsettled)


def test_a_stopped_round_lets_the_message_end() -> None:
    stopped = message(CANARY, STOPPED)

    assert isinstance(complete(stopped, open_deliveries=0, now=NOW + timedelta(seconds=1)), MessageCompleted)


def test_only_one_canary_is_active_at_a_time() -> None:
    with pytest.raises(CanaryUnderWay):
        check_resendable(message(CANARY), with_canary=True)
    check_resendable(message(CANARY))
    check_resendable(message(CANARY, STOPPED), with_canary=True)
