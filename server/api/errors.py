"""Errors that the API itself raises. `mapping/status.py` maps them, and those of domain/errors.py, to statuses.

Further subclasses of Exhausted are next to the limit that they belong to.
"""

from datetime import timedelta

from domain.errors import RedriveError

_OPEN_CALL_RETRY_AFTER = timedelta(seconds=5)


class Exhausted(RedriveError):
    """The caller exceeds a limit; it may try again after `retry_after`."""

    def __init__(self, message: str, retry_after: timedelta) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class TooManyRequests(Exhausted):
    """The caller makes more requests per second than allowed."""

    reason = "TOO_MANY_REQUESTS"


class TooManyOpenCalls(Exhausted):
    """Too many calls of one kind are open."""

    template = "more than {limit:,} calls at a time"

    def __init__(self, limit: int) -> None:
        super().__init__(self.template.format(limit=limit), _OPEN_CALL_RETRY_AFTER)


class TooManyWatches(TooManyOpenCalls):
    """The caller has too many open watches and exports."""

    reason = "TOO_MANY_WATCHES"
    template = "more than {limit:,} watches and exports at a time"


class TooManySendStreams(TooManyOpenCalls):
    """The caller has too many open SendStreams."""

    reason = "TOO_MANY_SEND_STREAMS"
    template = "more than {limit:,} SendStreams at a time"


class TooManyOpenWatches(TooManyOpenCalls):
    """One peer, or all peers together, have too many open health watches and reflection calls."""

    reason = "TOO_MANY_WATCHES"
    template = "more than {limit:,} health watches and reflection calls at a time"


class CallTooLong(RedriveError):
    """The server ended the call after its time limit.

    Its work may be done. A repeat with the same request_id gets the first response.
    """

    reason = "CALL_TOO_LONG"


class RequestTooLarge(RedriveError):
    """The request exceeds the size limit of its rpc; a repeat fails too."""

    reason = "REQUEST_TOO_LARGE"

    def __init__(self, limit: int) -> None:
        super().__init__(f"a request of this rpc has at most {limit:,} bytes, uncompressed")
