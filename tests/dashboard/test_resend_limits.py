"""The limits of a resend, as they are typed."""

import pytest

from redrive.dashboard.resend_limits import ResendLimits
from redrive.v1.resend_pb2 import Canary, ResendRequest


def test_what_was_typed_goes_into_the_request() -> None:
    limits = ResendLimits(reason=" The limit has passed ", canary="10", pace="2,5")
    request = ResendRequest(message_id="m")
    limits.apply_to(request)

    assert not list(limits.gaps())
    assert (request.reason, request.messages_per_second) == ("The limit has passed", 2.5)
    assert request.canary == Canary(recipients=10)


def test_nothing_typed_is_no_limit() -> None:
    request = ResendRequest(message_id="m")
    ResendLimits(canary=" ").apply_to(request)

    assert not list(ResendLimits(canary=" ", pace="").gaps())
    assert request == ResendRequest(message_id="m")


@pytest.mark.parametrize("typed", ["0", "-5", "ten", "2.5", "1e"])
def test_a_canary_that_cannot_be_read_is_told_and_not_left_out(typed: str) -> None:
    assert list(ResendLimits(canary=typed).gaps()) == [
        "How many first: give a whole number above 0, or leave it empty."
    ]


@pytest.mark.parametrize("typed", ["0", "-5", "fast", "1,000"])
def test_a_pace_that_cannot_be_read_is_told_and_not_left_out(typed: str) -> None:
    assert list(ResendLimits(pace=typed).gaps()) == ["How many a second: give a number above 0, or leave it empty."]
