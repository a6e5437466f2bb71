"""The typed retry policy."""

import pytest

from redrive.dashboard.state.retry_choice import RetryChoice, WaitInput, parse_number
from redrive.v1.message_pb2 import RetryPolicy, RetryType


def test_manual_retries_have_no_schedule() -> None:
    choice = RetryChoice()
    choice.schedule = "interval"
    choice.wait = WaitInput("", "60")

    assert list(choice.problems()) == []
    assert choice.policy() == RetryPolicy(type=RetryType.RETRY_TYPE_MANUAL, max_retry_attempts=3)


def test_fixed_wait_becomes_an_interval() -> None:
    choice = RetryChoice()
    choice.type = RetryType.RETRY_TYPE_CRON
    choice.schedule = "interval"
    choice.wait = WaitInput("1,5", "3600")

    assert list(choice.problems()) == []
    assert choice.policy().interval.seconds == 5_400
    assert not choice.policy().HasField("backoff")


def test_growing_wait_becomes_a_backoff() -> None:
    choice = RetryChoice()
    choice.type = RetryType.RETRY_TYPE_AUTO
    choice.schedule = "backoff"
    choice.wait, choice.max_wait, choice.multiplier = WaitInput("1", "60"), WaitInput("2", "3600"), "3"

    policy = choice.policy()
    assert policy.backoff.initial_interval.seconds == 60
    assert policy.backoff.maximum_interval.seconds == 7_200
    assert policy.backoff.multiplier == 3


@pytest.mark.parametrize("max_retries", ["", "0", "11", "2.5", "many"])
def test_retries_are_a_whole_number_from_1_to_10(max_retries: str) -> None:
    choice = RetryChoice()
    choice.max_retries = max_retries
    assert list(choice.problems()) == ["Maximum retries: enter a whole number from 1 to 10."]


@pytest.mark.parametrize(
    ("wait", "max_wait", "multiplier", "problems"),
    [
        (WaitInput("", "60"), WaitInput("1", "86400"), "2", 1),
        (WaitInput("31", "86400"), WaitInput("1", "86400"), "2", 1),
        (WaitInput("2", "3600"), WaitInput("1", "3600"), "2", 1),
        (WaitInput("1", "3600"), WaitInput("1", "3600"), "0.5", 1),
        (WaitInput("nan", "60"), WaitInput("", "60"), "", 3),
    ],
    ids=["none", "too long", "longer than the longest", "shrinking", "nothing"],
)
def test_invalid_waits_are_problems(wait: WaitInput, max_wait: WaitInput, multiplier: str, problems: int) -> None:
    choice = RetryChoice()
    choice.type = RetryType.RETRY_TYPE_AUTO
    choice.schedule = "backoff"
    choice.wait, choice.max_wait, choice.multiplier = wait, max_wait, multiplier
    assert len(list(choice.problems())) == problems


@pytest.mark.parametrize("max_retries", ["3", " 3 ", "3.0", "3,0"])
def test_a_number_may_be_written_in_more_than_one_way(max_retries: str) -> None:
    choice = RetryChoice()
    choice.max_retries = max_retries
    assert not list(choice.problems())
    assert choice.policy().max_retry_attempts == 3


@pytest.mark.parametrize(
    ("typed", "number"), [("0,5", 0.5), ("0.125", 0.125), ("1000", 1_000), ("1,000", None), ("12,345,678", None)]
)
def test_comma_that_may_separate_thousands_is_refused(typed: str, number: float | None) -> None:
    assert parse_number(typed) == number
