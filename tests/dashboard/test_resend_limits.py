"""The typed limits of a resend."""

import pytest

from redrive.dashboard.pages.resend_preview import ResendLimits
from redrive.v1.resend_pb2 import Canary, ResendRequest


def test_typed_limits_are_set_on_the_request() -> None:
    limits = ResendLimits(reason=" The limit has passed ", canary="10", rate="2,5")
    request = ResendRequest(message_id="m")
    limits.apply_to(request)

    assert not list(limits.problems())
    assert (request.reason, request.messages_per_second) == ("The limit has passed", 2.5)
    assert request.canary == Canary(recipients=10)


def test_empty_inputs_set_no_limit() -> None:
    request = ResendRequest(message_id="m")
    ResendLimits(canary=" ").apply_to(request)

    assert not list(ResendLimits(canary=" ", rate="").problems())
    assert request == ResendRequest(message_id="m")


@pytest.mark.parametrize("typed", ["0", "-5", "ten", "2.5", "1e"])
def test_invalid_canary_is_a_problem(typed: str) -> None:
    assert list(ResendLimits(canary=typed).problems()) == ["Canary: enter a whole number above 0, or leave it empty."]


@pytest.mark.parametrize("typed", ["0", "-5", "fast", "1,000"])
def test_invalid_rate_is_a_problem(typed: str) -> None:
    assert list(ResendLimits(rate=typed).problems()) == ["Maximum rate: enter a number above 0, or leave it empty."]
