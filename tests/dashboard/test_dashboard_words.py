"""Numbers, spans and errors as people read them."""

import grpc
import pytest

from redrive.dashboard.formats import counted, rate, share, span
from redrive.dashboard.words import in_words
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
def test_a_span_is_told_in_its_two_biggest_units(seconds: float, words: str) -> None:
    assert span(seconds) == words


@pytest.mark.parametrize(
    ("part", "whole", "words"),
    [(0, 0, "0 %"), (0, 9, "0 %"), (1, 3, "33 %"), (9, 9, "100 %"), (9_999, 10_000, "99.9 %"), (1, 10_000, "0.1 %")],
)
def test_a_share_is_100_percent_only_when_nothing_is_missing(part: int, whole: int, words: str) -> None:
    assert share(part, whole) == words


def test_counts_and_paces_read_as_sentences_do() -> None:
    assert [counted(1, "batch", "batches"), counted(1_200, "batch", "batches")] == ["1 batch", "1,200 batches"]
    assert [counted(0, "recipient"), rate(0.5), rate(1_234.4)] == ["0 recipients", "0.5 a second", "1,234 a second"]


@pytest.mark.parametrize(
    ("error", "wrong", "do"),
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
            "Mend",
        ),
        (Unauthenticated("?", code=grpc.StatusCode.UNAUTHENTICATED), "not accepted", "Log in"),
        (PermissionDenied("needs pages", code=grpc.StatusCode.PERMISSION_DENIED), "needs pages", "scope"),
        (ResourceExhausted("too many", code=grpc.StatusCode.RESOURCE_EXHAUSTED, retry_after=2.2), "too many", "in 2 s"),
        (Unavailable("?", code=grpc.StatusCode.UNAVAILABLE), "out of reach", "in a moment"),
        (DeadlineExceeded("?", code=grpc.StatusCode.DEADLINE_EXCEEDED), "in time", "look before"),
        (RedriveError("secret", code=grpc.StatusCode.INTERNAL), "fault of its own", "log"),
    ],
)
def test_each_error_says_what_is_wrong_and_what_to_do(error: RedriveError, wrong: str, do: str) -> None:
    words = in_words(error)

    assert wrong in words.wrong
    assert do in words.do
