"""Texts for the errors of calls: what is wrong and what to do, in one table for the command line and the dashboard."""

import textwrap
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from redrive.errors import (
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


class ErrorText(NamedTuple):
    """What is wrong, and what to do."""

    problem: str
    remedy: str


class _Row(NamedTuple):
    """The templates for one error: two for the dashboard, two for the command line.

    Placeholders: {message} is the server's message, or the wrong fields line by line; {indented} is the same with
    indented lines; {when} says when to try again; {server} is the server's address; {page_id} is the page in question.
    """

    problem: str
    remedy: str
    cli_problem: str = "{message}"
    cli_remedy: str = ""


_REGISTER_PAGE = "Register it first, with its token. If another caller has registered it, its owner can share it."
_RETRY_SOON = "Try again {when}."
_CHECK_FIRST = "The server may have carried it out: check before you try again."
_BY_REASON: Mapping[str, _Row] = {
    "MESSAGE_NOT_FOUND": _Row(
        "There is no such message.", "It may belong to another caller. The history lists the messages that you may see."
    ),
    "PAGE_NOT_FOUND": _Row("There is no such page.", _REGISTER_PAGE),
    "PAGE_NOT_REGISTERED": _Row(
        "The page is not registered.",
        _REGISTER_PAGE,
        cli_remedy="Register the page first: redrive page put {page_id}\n"
        "If another caller has registered it, its owner can share it: redrive page share {page_id}",
    ),
    "PAGE_NOT_YOURS": _Row("Another caller has registered this page.", "Its owner or an admin can share it with you."),
    "PAGE_NOT_YOURS_TO_SHARE": _Row("You may not share this page.", "Its owner or an admin decides who uses it."),
    "MESSAGE_CANCELLED": _Row("The message was cancelled.", "A cancelled message stays cancelled: send a new message."),
    "MESSAGE_DONE": _Row("The message is done.", "Nothing is left to pause or cancel. Failures can still be resent."),
    "TOKEN_REFUSED": _Row("{message}", "Create a new page token on the platform, and enter that one."),
    "REQUEST_ID_REUSED": _Row(
        "This was confirmed before, with other choices.",
        "Open the preview again.",
        cli_remedy="To send something else, give another --request-id, or none.",
    ),
    "CONCURRENT_CHANGE": _Row("It was changed at the same time.", "Check its present state, then try again."),
    "MESSAGE_ARCHIVED": _Row(
        "The message is archived.", "Its counts are kept; its failed recipients are in the archive's file."
    ),
    "CANARY_UNDER_WAY": _Row("A canary of this message is running.", "Wait for its result."),
    "TOO_MANY_REQUESTS": _Row("You send more requests than the server allows.", _RETRY_SOON),
    "TOO_MANY_WATCHES": _Row("You watch more messages than the server allows.", "Close a tab that you do not need."),
    "TOO_MANY_READS": _Row("Too many of your reads wait for the database.", _RETRY_SOON),
    "TOO_MANY_BYTES": _Row("The server is busy with other large requests.", _RETRY_SOON),
    "TOO_MANY_SEND_STREAMS": _Row("You send more lists at a time than the server allows.", "Wait until one is sent."),
    "TOO_MANY_REFUSALS": _Row("Your address sent many calls with invalid tokens.", "Use a valid token, and try again."),
    "REQUEST_TOO_LARGE": _Row("The request is larger than the server allows.", "Send it in several parts."),
    "CALL_TOO_LONG": _Row("The call took longer than the server allows.", _CHECK_FIRST),
    "SERVER_STOPS": _Row("The server is restarting.", "Try again in a few seconds."),
    "LOG_UNAVAILABLE": _Row("The server cannot reach its database.", "Nothing was changed. Try again {when}."),
}
_BY_TYPE: Mapping[type[RedriveError], _Row] = {
    InvalidRequest: _Row(
        "{message}", "Correct this, and try again.", cli_problem="The server refuses this request:\n{indented}"
    ),
    FailedPrecondition: _Row("{message}", "Check its present state."),
    NotFound: _Row("{message}", "Check its present state."),
    Unauthenticated: _Row(
        "Your token is not accepted any more.",
        "Log in again.",
        cli_remedy="Give the caller's token in REDRIVE_TOKEN or with --token.",
    ),
    PermissionDenied: _Row("{message}", "Your token lacks this permission: ask for one with that scope."),
    ResourceExhausted: _Row("{message}", _RETRY_SOON),
    DeadlineExceeded: _Row(
        "The server did not answer in time.",
        _CHECK_FIRST,
        cli_problem="The server at {server} did not answer in time ({message}).",
    ),
    Unavailable: _Row(
        "The server is unreachable.",
        _RETRY_SOON,
        cli_problem="No server answers at {server} ({message}).",
        cli_remedy="Is it running? REDRIVE_SERVER or --server names another.",
    ),
}
_INTERNAL = _Row("The server had an internal error.", "Its log has the details. It is safe to try again.")
_BUSY = _Row("{message}", _RETRY_SOON, cli_remedy=_RETRY_SOON)  # a response of a Redrive server, not of gRPC


def error_text(error: RedriveError) -> ErrorText:
    """Return the dashboard's text for an error, by its reason first, then by its type."""
    row = _BY_REASON.get(error.reason) or _BY_TYPE.get(type(error), _INTERNAL)
    values = _values(error, server="")
    return ErrorText(row.problem.format_map(values), row.remedy.format_map(values))


def cli_error_text(error: RedriveError, server: str) -> str:
    """Return the command line's text for an error: the server's message, the unmet conditions, and what to do."""
    row, values = _cli_row(error), _values(error, server)
    lines = [row.cli_problem.format_map(values), *_conditions(error), row.cli_remedy.format_map(values)]
    return "\n".join(filter(None, lines))


def error_code(code: int, subcode: int) -> str:
    """Return the platform's code, with the subcode if there is one; empty for a transport error."""
    if subcode:
        return f"{code}/{subcode}"
    return str(code) if code else ""


def _cli_row(error: RedriveError) -> _Row:
    if isinstance(error, ResourceExhausted) or (isinstance(error, Unavailable) and error.reason):
        return _BUSY
    by_type = _BY_TYPE.get(type(error), _INTERNAL)
    by_reason = _BY_REASON.get(error.reason, by_type)
    return by_type._replace(cli_remedy=by_reason.cli_remedy or by_type.cli_remedy)


def _conditions(error: RedriveError) -> Iterator[str]:
    """Yield the unmet conditions that the message does not already hold."""
    for violation in error.violations if isinstance(error, FailedPrecondition) else ():
        if violation.description != error.message:
            yield f"  {violation.subject}: {violation.description}"


def _values(error: RedriveError, server: str) -> Mapping[str, str]:
    subjects = [violation.subject for violation in error.violations] if isinstance(error, FailedPrecondition) else []
    retry_after = error.retry_after if isinstance(error, Unavailable | ResourceExhausted) else None
    return {
        "message": str(error),
        "indented": textwrap.indent(str(error), "  "),
        "when": "in a moment" if retry_after is None else f"in {max(1, round(retry_after))} s",
        "server": server,
        "page_id": subjects[0].removeprefix("pages/") if subjects else "PAGE",
    }
