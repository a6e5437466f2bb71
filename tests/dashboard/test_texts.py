"""Formatting of numbers, durations and errors."""

import grpc
import pytest

from redrive.errors import (
    DeadlineExceeded,
    FailedPrecondition,
    FieldViolation,
    InvalidRequest,
    NotFound,
    PermissionDenied,
    RedriveError,
    ResourceExhausted,
    Unauthenticated,
    Unavailable,
)
from redrive.texts.errors import error_text
from redrive.texts.formats import format_count, format_rate, format_seconds, format_share


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (59.4, "59 s"),
        (61, "1 min 1 s"),
        (3_600, "1 h"),
        (3_661, "1 h 1 min"),
        (90_000, "1 d 1 h"),
        (-3, "0 s"),
    ],
)
def test_duration_is_shown_in_its_two_largest_units(seconds: float, words: str) -> None:
    assert format_seconds(seconds) == words


@pytest.mark.parametrize(
    ("part", "whole", "words"),
    [(0, 0, "0 %"), (0, 9, "0 %"), (1, 3, "33 %"), (9, 9, "100 %"), (9_999, 10_000, "99.9 %"), (1, 10_000, "0.1 %")],
)
def test_a_share_is_100_percent_only_when_nothing_is_missing(part: int, whole: int, words: str) -> None:
    assert format_share(part, whole) == words


def test_counts_and_rates_are_formatted() -> None:
    assert [format_count(1, "batch", "batches"), format_count(1_200, "batch", "batches")] == [
        "1 batch",
        "1,200 batches",
    ]
    assert [format_count(0, "recipient"), format_rate(0.5), format_rate(1_234.4)] == [
        "0 recipients",
        "0.5 per second",
        "1,234 per second",
    ]


@pytest.mark.parametrize(
    ("error", "problem", "remedy"),
    [
        (NotFound("?", code=grpc.StatusCode.NOT_FOUND, reason="MESSAGE_NOT_FOUND"), "no such message", "history"),
        (
            FailedPrecondition("?", code=grpc.StatusCode.FAILED_PRECONDITION, reason="MESSAGE_CANCELLED"),
            "cancelled",
            "new",
        ),
        (
            FailedPrecondition("(#190) expired", code=grpc.StatusCode.FAILED_PRECONDITION, reason="TOKEN_REFUSED"),
            "(#190) expired",
            "new page token",
        ),
        (
            InvalidRequest(
                "?", code=grpc.StatusCode.INVALID_ARGUMENT, violations=[FieldViolation("title", "is too long")]
            ),
            "title: is too long",
            "Correct",
        ),
        (Unauthenticated("?", code=grpc.StatusCode.UNAUTHENTICATED), "not accepted", "Log in"),
        (PermissionDenied("needs pages", code=grpc.StatusCode.PERMISSION_DENIED), "needs pages", "scope"),
        (ResourceExhausted("too many", code=grpc.StatusCode.RESOURCE_EXHAUSTED, retry_after=2.2), "too many", "in 2 s"),
        (Unavailable("?", code=grpc.StatusCode.UNAVAILABLE), "unreachable", "in a moment"),
        (DeadlineExceeded("?", code=grpc.StatusCode.DEADLINE_EXCEEDED), "in time", "check before"),
        (RedriveError("secret", code=grpc.StatusCode.INTERNAL), "internal error", "log"),
    ],
)
def test_each_error_says_what_is_wrong_and_what_to_do(error: RedriveError, problem: str, remedy: str) -> None:
    text = error_text(error)

    assert problem in text.problem
    assert remedy in text.remedy
