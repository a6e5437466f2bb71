"""What the exit codes mean, and what a person is told when a command does not succeed."""

import json
import textwrap
from collections.abc import Iterator
from enum import IntEnum
from typing import Any

import grpc

from redrive.errors import (
    AlreadyExists,
    DeadlineExceeded,
    FailedPrecondition,
    InvalidRequest,
    NotFound,
    PermissionDenied,
    RedriveError,
    ResourceExhausted,
    Unauthenticated,
    Unavailable,
)
from redrive.visible_text import escaped_json, shown_lines


class ExitCode(IntEnum):
    """What a script can go by."""

    OK = 0
    UNEXPECTED = 1
    BAD_INPUT = 2
    NOT_FOUND = 3
    CONFLICT = 4
    UNAVAILABLE = 5
    NOT_ALLOWED = 6
    ENDED_WITH_FAILURES = 10
    ENDED_CANCELLED = 11
    RETRY_IS_DUE = 12


EXIT_CODES_HELP = (
    "Exit codes: 0 done; 1 unexpected; 2 bad usage or input; 3 not found; 4 in conflict with what is there; "
    "5 server unavailable or too slow; 6 not allowed; and of a watch: 10 ended with failed or unconfirmed "
    "recipients, 11 cancelled, 12 an automatic retry is due later (only with --no-wait-for-retries); 130 interrupted."
)


class RefusedInput(RedriveError):
    """What was given cannot be sent; the server was not asked."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code=grpc.StatusCode.INVALID_ARGUMENT, reason="INVALID_INPUT")


_CODES: dict[type[RedriveError], ExitCode] = {
    RefusedInput: ExitCode.BAD_INPUT,
    InvalidRequest: ExitCode.BAD_INPUT,
    NotFound: ExitCode.NOT_FOUND,
    AlreadyExists: ExitCode.CONFLICT,
    FailedPrecondition: ExitCode.CONFLICT,
    Unavailable: ExitCode.UNAVAILABLE,
    DeadlineExceeded: ExitCode.UNAVAILABLE,
    ResourceExhausted: ExitCode.UNAVAILABLE,
    PermissionDenied: ExitCode.NOT_ALLOWED,
    Unauthenticated: ExitCode.NOT_ALLOWED,
}


def exit_code_of(error: RedriveError) -> ExitCode:
    """The code for a failed call."""
    return _CODES.get(type(error), ExitCode.UNEXPECTED)


def notes_of(error: RedriveError) -> list[str]:
    """What a command has to say about it besides."""
    return list(getattr(error, "__notes__", []))


def as_json(error: RedriveError) -> str:
    """The error as one line of JSON; `code` is the status by its name."""
    told: dict[str, Any] = {"code": error.code.name, "reason": error.reason, "message": error.message}
    if isinstance(error, InvalidRequest | FailedPrecondition):
        told["violations"] = [violation._asdict() for violation in error.violations]
    if isinstance(error, Unavailable | ResourceExhausted):
        told["retry_after"] = error.retry_after
    return escaped_json(json.dumps({"error": told | {"notes": notes_of(error)}}, ensure_ascii=False))


def in_words(error: RedriveError, server: str) -> str:
    """What is wrong, and what to do about it."""
    return shown_lines("\n".join([_in_words(error, server), *notes_of(error)]))


def _in_words(error: RedriveError, server: str) -> str:
    match error:
        case InvalidRequest():
            return f"The server refuses this request:\n{textwrap.indent(str(error), '  ')}"
        case FailedPrecondition():
            return "\n".join([str(error), *_hints(error)])
        case AlreadyExists(reason="REQUEST_ID_REUSED"):
            return f"{error}\nGive another --request-id, or none, to send something else."
        case Unauthenticated():
            return f"{error}\nGive the caller's token in REDRIVE_TOKEN or with --token."
        case DeadlineExceeded():
            return f"The server at {server} did not answer in time ({error})."
        case Unavailable() | ResourceExhausted():
            return _not_now(error, server)
    return str(error)


def _hints(error: FailedPrecondition) -> Iterator[str]:
    for violation in error.violations:
        if violation.description != error.message:
            yield f"  {violation.subject}: {violation.description}"
        if error.reason == "PAGE_NOT_REGISTERED":
            page_id = violation.subject.removeprefix("pages/")
            yield f"Register the page first: redrive page put {page_id}"
            yield f"If another caller has registered it, its owner can share it: redrive page share {page_id}"


def _not_now(error: Unavailable | ResourceExhausted, server: str) -> str:
    if not error.reason and isinstance(error, Unavailable):  # gRPC's own words: no Redrive server said this
        return f"No server answers at {server} ({error}).\nIs it running? REDRIVE_SERVER or --server names another."
    when = "later" if error.retry_after is None else f"in {error.retry_after:g} s"
    return f"{error}\nTry again {when}."
