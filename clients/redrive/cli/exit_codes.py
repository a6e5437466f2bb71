"""Exit codes, and the two forms of an error: JSON, and text for a terminal."""

import json
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
from redrive.texts.errors import cli_error_text
from redrive.texts.visible_text import escaped_json, shown_lines


class ExitCode(IntEnum):
    """The exit codes of all commands; scripts rely on them."""

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
    "Exit codes: 0 done; 1 unexpected error; 2 wrong usage or input; 3 not found; 4 conflict with the present state; "
    "5 server unavailable or too slow; 6 not allowed. Exit codes of a watch: 10 ended with failed or unconfirmed "
    "recipients; 11 cancelled; 12 an automatic retry is due later (with --no-wait-for-retries). 130 interrupted."
)


class InvalidInput(RedriveError):
    """The input is invalid; the command did not call the server."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code=grpc.StatusCode.INVALID_ARGUMENT, reason="INVALID_INPUT")


_CODES: dict[type[RedriveError], ExitCode] = {
    InvalidInput: ExitCode.BAD_INPUT,
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
    """Return the exit code for an error."""
    return _CODES.get(type(error), ExitCode.UNEXPECTED)


def notes_of(error: RedriveError) -> list[str]:
    """Return the notes that a command added to an error."""
    return list(getattr(error, "__notes__", []))


def error_json(error: RedriveError) -> str:
    """Return the error as one line of JSON; `code` is the name of the gRPC status."""
    fields: dict[str, Any] = {"code": error.code.name, "reason": error.reason, "message": error.message}
    if isinstance(error, InvalidRequest | FailedPrecondition):
        fields["violations"] = [violation._asdict() for violation in error.violations]
    if isinstance(error, Unavailable | ResourceExhausted):
        fields["retry_after"] = error.retry_after
    return escaped_json(json.dumps({"error": fields | {"notes": notes_of(error)}}, ensure_ascii=False))


def error_lines(error: RedriveError, server: str) -> str:
    """Return what is wrong and what to do, for a terminal."""
    return shown_lines("\n".join([cli_error_text(error, server), *notes_of(error)]))
