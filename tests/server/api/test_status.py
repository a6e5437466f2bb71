"""The table from errors to gRPC statuses."""

from datetime import timedelta

import pytest
from google.rpc import code_pb2
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, PreconditionFailure, RetryInfo
from google.rpc.status_pb2 import Status

from domain import errors
from domain.errors import InvalidRequest, RedriveError, Violation
from server.api.mapping.status import CODES, status_of


def kinds(status: Status) -> list[str]:
    return [detail.TypeName().rpartition(".")[2] for detail in status.details]


def bad_request(status: Status) -> BadRequest:
    found = BadRequest()
    status.details[1].Unpack(found)
    return found


def wrong(count: int, *, field: str = "f", words: str = "is wrong") -> Status:
    return status_of(InvalidRequest([Violation(f"{field}[{number}]", words) for number in range(count)]))


@pytest.mark.parametrize(
    ("error", "code", "reason", "details"),
    [
        (
            InvalidRequest([Violation("title", "is wrong")]),
            code_pb2.INVALID_ARGUMENT,
            "INVALID_REQUEST",
            ["BadRequest"],
        ),
        (errors.MessageNotFound("m-1"), code_pb2.NOT_FOUND, "MESSAGE_NOT_FOUND", []),
        (errors.RequestIdReused("r-1"), code_pb2.ALREADY_EXISTS, "REQUEST_ID_REUSED", []),
        (
            errors.PageNotRegistered("1001"),
            code_pb2.FAILED_PRECONDITION,
            "PAGE_NOT_REGISTERED",
            ["PreconditionFailure"],
        ),
        (
            errors.TokenRefused("no", subject="pages/1"),
            code_pb2.FAILED_PRECONDITION,
            "TOKEN_REFUSED",
            ["PreconditionFailure"],
        ),
        (
            errors.MessageIsCancelled("m-1"),
            code_pb2.FAILED_PRECONDITION,
            "MESSAGE_CANCELLED",
            ["PreconditionFailure"],
        ),
        (errors.MessageIsDone("m-1"), code_pb2.FAILED_PRECONDITION, "MESSAGE_DONE", ["PreconditionFailure"]),
        (errors.Aborted("concurrent change"), code_pb2.ABORTED, "CONCURRENT_CHANGE", []),
        (errors.StreamInProgress("open"), code_pb2.ABORTED, "STREAM_IN_PROGRESS", []),
        (
            errors.Unavailable("away", timedelta(seconds=1)),
            code_pb2.UNAVAILABLE,
            "LOG_UNAVAILABLE",
            ["RetryInfo"],
        ),
        (RedriveError("of no kind"), code_pb2.INTERNAL, "INTERNAL", []),
        (ValueError("secret"), code_pb2.INTERNAL, "INTERNAL", []),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_each_error_has_its_code_reason_and_details(
    error: Exception, code: int, reason: str, details: list[str]
) -> None:
    status = status_of(error)
    info = ErrorInfo()
    status.details[0].Unpack(info)

    assert status.code == code
    assert (info.reason, info.domain) == (reason, "redrive")
    assert kinds(status) == ["ErrorInfo", *details]
    if code == code_pb2.INTERNAL:
        assert "secret" not in str(status)
        assert "no kind" not in str(status)


def test_every_branch_of_the_error_tree_is_in_the_table() -> None:
    assert set(RedriveError.__subclasses__()) == {kind for kind, _ in CODES}


def test_at_most_fifty_fields_are_listed_and_the_others_are_counted() -> None:
    status = wrong(10_050)

    assert len(bad_request(status).field_violations) == 50
    assert status.message == "f[0]: is wrong; f[1]: is wrong; f[2]: is wrong (and 10,000 more that are not listed)"


def test_fifty_fields_need_no_count() -> None:
    assert wrong(50).message == "f[0]: is wrong; f[1]: is wrong; f[2]: is wrong"


@pytest.mark.parametrize("words", ["w" * 5_000, "é" * 5_000])
def test_long_texts_are_shortened_to_the_size_that_grpc_allows(words: str) -> None:
    status = wrong(60, field="f" * 400, words=words)

    assert len(status.SerializeToString()) * 4 // 3 + len(status.message.encode()) * 3 < 8_000
    assert bad_request(status).field_violations
    assert "not listed" in status.message


def test_the_platforms_texts_are_shortened_too() -> None:
    status = status_of(errors.TokenRefused("é" * 9_000, subject="pages/1", page_id="1"))

    failure = PreconditionFailure()
    status.details[1].Unpack(failure)
    assert len(status.message) == len(failure.violations[0].description) == 200


def test_unavailable_has_a_retry_delay() -> None:
    status = status_of(errors.Unavailable("away", timedelta(milliseconds=1_500)))

    info = RetryInfo()
    status.details[1].Unpack(info)
    assert info.retry_delay.ToTimedelta() == timedelta(milliseconds=1_500)
