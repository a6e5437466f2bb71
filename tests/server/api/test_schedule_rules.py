"""Rules of scheduled sends and retry schedules: violations, their paths and texts."""

import math
import time
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from redrive.v1.delivery_service_pb2 import PauseMessageRequest, ResumeMessageRequest
from redrive.v1.message_pb2 import ExponentialBackoff
from server.api.validation.sends import StreamHeaderRules
from tests.server.api.requests import retrying, send_request, stream_header
from tests.server.api.rule_checks import NUL, at_most, ids, violations

MANUAL, AUTO, CRON = 1, 2, 3
DAY = 86_400
WAIT = "must be from 1 second to 30 days"
ONLY_AUTOMATIC = "must be empty, except with RETRY_TYPE_AUTO or RETRY_TYPE_CRON"
YEARS = "must be a time in the years 1 to 9999"


def backing_off(initial: float | None = 60, type_: int = CRON, **fields: Any) -> Message:
    """Return a text with a backoff."""
    given: dict[str, Any] = {} if initial is None else {"initial_interval": seconds(initial)}
    return retrying(type=type_, backoff=ExponentialBackoff(**given, **fields))


def seconds(value: float) -> Duration:
    whole = math.floor(value)
    return Duration(seconds=whole, nanos=round((value - whole) * 1e9))


def days_ahead(days: float) -> Timestamp:
    return Timestamp(seconds=int(time.time() + days * DAY))


BROKEN: list[tuple[Message, str, str]] = [
    (send_request(schedule_time=days_ahead(367)), "schedule_time", "must be at most 366 days ahead"),
    (send_request(schedule_time=Timestamp(seconds=2**62)), "schedule_time", YEARS),
    (send_request(schedule_time=Timestamp(seconds=-(2**62))), "schedule_time", YEARS),
    (send_request(schedule_time=Timestamp(seconds=1, nanos=-1)), "schedule_time", YEARS),
    (retrying(type=CRON, interval=seconds(0.999)), "retry_policy.interval", WAIT),
    (retrying(type=CRON, interval=Duration()), "retry_policy.interval", WAIT),
    (retrying(type=CRON, interval=Duration(seconds=-60)), "retry_policy.interval", WAIT),
    (retrying(type=CRON, interval=seconds(30 * DAY + 0.5)), "retry_policy.interval", WAIT),
    (retrying(type=CRON, interval=Duration(seconds=2**62)), "retry_policy.interval", WAIT),
    (retrying(interval=seconds(60)), "retry_policy.interval", ONLY_AUTOMATIC),
    (retrying(type=MANUAL, interval=seconds(60)), "retry_policy.interval", ONLY_AUTOMATIC),
    (backing_off(type_=MANUAL), "retry_policy.backoff", ONLY_AUTOMATIC),
    (backing_off(None), "retry_policy.backoff.initial_interval", "is required"),
    (backing_off(0.5), "retry_policy.backoff.initial_interval", WAIT),
    (backing_off(31 * DAY), "retry_policy.backoff.initial_interval", WAIT),
    *[
        (backing_off(multiplier=value), "retry_policy.backoff.multiplier", "must be from 1 to 10; 0 means 2")
        for value in (0.5, 10.5, -1, math.inf, math.nan)
    ],
    (
        backing_off(maximum_interval=seconds(59)),
        "retry_policy.backoff.maximum_interval",
        "must not be shorter than initial_interval",
    ),
    (backing_off(maximum_interval=seconds(31 * DAY)), "retry_policy.backoff.maximum_interval", WAIT),
    (backing_off(jitter=1.01), "retry_policy.backoff.jitter", "must be at most 1"),
    (backing_off(jitter=-0.01), "retry_policy.backoff.jitter", "must be at least 0"),
    (backing_off(jitter=math.nan), "retry_policy.backoff.jitter", "must be a finite number"),
    *[
        (request, path, words)
        for kind in (PauseMessageRequest, ResumeMessageRequest)
        for request, path, words in (
            (kind(), "message_id", "is required"),
            (kind(message_id="\0"), "message_id", NUL),
            (kind(message_id="m", request_id="r" * 129), "request_id", at_most(128, 129)),
        )
    ],
]


@pytest.mark.parametrize(("request_", "path", "words"), BROKEN, ids=ids(BROKEN))
def test_a_violation_is_reported_at_its_field_only(request_: Message, path: str, words: str) -> None:
    assert violations(request_) == {path: words}


FITTING: list[Message] = [
    send_request(schedule_time=days_ahead(365.99)),
    send_request(schedule_time=days_ahead(-10_000)),
    send_request(schedule_time=Timestamp()),
    retrying(type=AUTO, interval=seconds(1)),
    retrying(type=CRON, interval=seconds(30 * DAY)),
    backing_off(type_=AUTO),
    backing_off(30 * DAY),
    backing_off(multiplier=1, maximum_interval=seconds(60), jitter=1),
    backing_off(1, multiplier=10, maximum_interval=seconds(30 * DAY), jitter=0),
    PauseMessageRequest(message_id="m" * 128, request_id="r" * 128),
]


@pytest.mark.parametrize("request_", FITTING, ids=range(len(FITTING)))
def test_values_at_the_limit_are_accepted(request_: Message) -> None:
    assert violations(request_) == {}


def test_the_header_of_a_stream_has_the_same_rules() -> None:
    header = stream_header(schedule_time=days_ahead(400), retry_policy=backing_off(0.5).retry_policy)  # type: ignore[attr-defined]

    assert list(violations(header, StreamHeaderRules)) == ["retry_policy.backoff.initial_interval", "schedule_time"]
