"""What happens with failures, as it is typed."""

import pytest

from redrive.dashboard.retry_choice import RetryChoice, Wait, number_of
from redrive.v1.message_pb2 import RetryPolicy, RetryType


def test_by_hand_takes_no_rhythm() -> None:
    choice = RetryChoice()
    choice.rhythm = "interval"
    choice.wait = Wait("", "60")

    assert list(choice.gaps()) == []
    assert choice.policy() == RetryPolicy(type=RetryType.RETRY_TYPE_MANUAL, max_retry_attempts=3)


def test_a_wait_that_is_always_the_same_becomes_an_interval() -> None:
    choice = RetryChoice()
    choice.type = RetryType.RETRY_TYPE_CRON
    choice.rhythm = "interval"
    choice.wait = Wait("1,5", "3600")

    assert list(choice.gaps()) == []
    assert choice.policy().interval.seconds == 5_400
    assert not choice.policy().HasField("backoff")


def test_a_wait_that_grows_becomes_a_backoff() -> None:
    choice = RetryChoice()
    choice.type = RetryType.RETRY_TYPE_AUTO
    choice.rhythm = "backoff"
    choice.wait, choice.longest, choice.multiplier = Wait("1", "60"), Wait("2", "3600"), "3"

    policy = choice.policy()
    assert policy.backoff.initial_interval.seconds == 60
    assert policy.backoff.maximum_interval.seconds == 7_200
    assert policy.backoff.multiplier == 3


@pytest.mark.parametrize("most", ["", "0", "11", "2.5", "many"])
def test_retries_are_a_whole_number_from_1_to_10(most: str) -> None:
    choice = RetryChoice()
    choice.most = most
    assert list(choice.gaps()) == ["Retries: give a whole number from 1 to 10."]


@pytest.mark.parametrize(
    ("wait", "longest", "multiplier", "gaps"),
    [
        (Wait("", "60"), Wait("1", "86400"), "2", 1),
        (Wait("31", "86400"), Wait("1", "86400"), "2", 1),
        (Wait("2", "3600"), Wait("1", "3600"), "2", 1),
        (Wait("1", "3600"), Wait("1", "3600"), "0.5", 1),
        (Wait("nan", "60"), Wait("", "60"), "", 3),
    ],
    ids=["none", "too long", "longer than the longest", "shrinking", "nothing"],
)
def test_waits_that_make_no_sense_are_told(wait: Wait, longest: Wait, multiplier: str, gaps: int) -> None:
    choice = RetryChoice()
    choice.type = RetryType.RETRY_TYPE_AUTO
    choice.rhythm = "backoff"
    choice.wait, choice.longest, choice.multiplier = wait, longest, multiplier
    assert len(list(choice.gaps())) == gaps


@pytest.mark.parametrize("most", ["3", " 3 ", "3.0", "3,0"])
def test_a_number_may_be_written_in_more_than_one_way(most: str) -> None:
    choice = RetryChoice()
    choice.most = most
    assert not list(choice.gaps())
    assert choice.policy().max_retry_attempts == 3


@pytest.mark.parametrize(
    ("typed", "number"), [("0,5", 0.5), ("0.125", 0.125), ("1000", 1_000), ("1,000", None), ("12,345,678", None)]
)
def test_a_comma_that_may_stand_for_thousands_is_not_taken_for_a_point(typed: str, number: float | None) -> None:
    assert number_of(typed) == number
