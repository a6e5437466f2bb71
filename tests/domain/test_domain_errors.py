"""Each error has a stable reason, names what it concerns, and holds no secret."""

from datetime import timedelta

import pytest

from domain import errors
from domain.errors import InvalidRequest, PreconditionFailed, RedriveError, Violation

SECONDS = timedelta(seconds=5)


@pytest.mark.parametrize(
    ("error", "reason", "metadata", "named"),
    [
        (errors.MessageNotFound("m"), "MESSAGE_NOT_FOUND", {"message_id": "m"}, "'m'"),
        (errors.PageNotFound("p"), "PAGE_NOT_FOUND", {"page_id": "p"}, "'p'"),
        (errors.CleanupNotFound("c"), "CLEANUP_NOT_FOUND", {"cleanup_id": "c"}, "'c'"),
        (errors.PersonNotFound("r"), "PERSON_NOT_FOUND", {"recipient_id": "r"}, "person"),
        (errors.PageNotYours("p"), "PAGE_NOT_YOURS", {"page_id": "p"}, "'p'"),
        (errors.PageNotYoursToShare("p"), "PAGE_NOT_YOURS_TO_SHARE", {"page_id": "p"}, "'p'"),
        (errors.RequestIdReused("q"), "REQUEST_ID_REUSED", {"request_id": "q"}, "request_id"),
        (errors.PageNotRegistered("p"), "PAGE_NOT_REGISTERED", {"page_id": "p"}, "'p'"),
        (errors.MessageIsCancelled("m"), "MESSAGE_CANCELLED", {"message_id": "m"}, "'m'"),
        (errors.MessageIsDone("m"), "MESSAGE_DONE", {"message_id": "m"}, "'m'"),
        (errors.CanaryUnderWay("m"), "CANARY_UNDER_WAY", {"message_id": "m"}, "'m'"),
        (errors.MessageIsArchived("m", "f"), "MESSAGE_ARCHIVED", {"message_id": "m", "file": "f"}, "file f"),
        (errors.StreamInProgress("open", message_id="m"), "STREAM_IN_PROGRESS", {"message_id": "m"}, "open"),
        (errors.Unavailable("busy", SECONDS), "LOG_UNAVAILABLE", {}, "busy"),
        (errors.OlderReleaseRunning(SECONDS), "OLDER_RELEASE_LIVES", {}, "release"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, RedriveError) else "",
)
def test_an_error_names_its_reason_and_what_it_concerns(
    error: RedriveError, reason: str, metadata: dict[str, str], named: str
) -> None:
    assert (error.reason, error.metadata) == (reason, metadata)
    assert str(error) == error.message
    assert named in error.message


@pytest.mark.parametrize(
    ("error", "subject"),
    [
        (errors.PageNotRegistered("p"), "pages/p"),
        (errors.MessageIsCancelled("m"), "messages/m"),
        (errors.MessageIsDone("m"), "messages/m"),
        (errors.CanaryUnderWay("m"), "messages/m"),
        (errors.MessageIsArchived("m", "f"), "messages/m"),
        (errors.TokenRefused("expired", subject="pages/p"), "pages/p"),
    ],
)
def test_a_failed_precondition_names_its_subject(error: PreconditionFailed, subject: str) -> None:
    assert error.subject == subject


def test_an_unavailable_log_says_when_to_try_again() -> None:
    assert errors.Unavailable("busy", SECONDS).retry_after == SECONDS
    assert errors.OlderReleaseRunning(SECONDS).retry_after == SECONDS


def test_an_invalid_request_keeps_every_violation_and_shows_the_first_three() -> None:
    violations = [Violation(f"field{number}", "is empty") for number in range(5)]

    error = InvalidRequest(violations)

    assert error.violations == tuple(violations)
    assert str(error) == "field0: is empty; field1: is empty; field2: is empty"
