"""The errors that a caller can get, as one tree.

RedriveError
├── InvalidRequest          fields that break a rule, each with its path
├── NotFound
│   └── MessageNotFound
├── NotAllowed              the caller is known, and may not do this
│   ├── PageNotYours        the page belongs to another caller
│   └── PageNotYoursToShare the page may be used, but its owner decides who else may
├── AlreadyExists
│   └── RequestIdReused     the same request_id with another payload
├── PreconditionFailed      the current state forbids the request
│   ├── PageNotRegistered
│   ├── TokenRefused        the platform refuses the page's token
│   ├── MessageIsCancelled
│   ├── MessageIsDone
│   ├── MessageIsArchived   its events were moved to a file
│   └── CanaryUnderWay      a message has one canary at a time
├── Aborted                 a concurrent request won: repeat the call
│   └── StreamInProgress
└── Unavailable             the event store cannot be read or written now
    └── OlderReleaseRunning servers of an earlier release are running and could not read the new event
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import ClassVar, NamedTuple


class Violation(NamedTuple):
    """A field that breaks a rule: its path in the request, and the rule as text."""

    field: str
    description: str


class RedriveError(Exception):
    """The base class. `reason` is a stable code for programs; the text is for people and contains no secret."""

    reason: ClassVar[str] = "UNKNOWN"

    def __init__(self, message: str, **metadata: str) -> None:
        super().__init__(message)
        self.message = message
        self.metadata: Mapping[str, str] = metadata


class InvalidRequest(RedriveError):
    """Some fields break a rule."""

    reason = "INVALID_REQUEST"

    def __init__(self, violations: Sequence[Violation]) -> None:
        super().__init__("; ".join(f"{field}: {words}" for field, words in violations[:3]))
        self.violations = tuple(violations)


class NotFound(RedriveError):
    """The object does not exist, or the caller may not use it."""


class MessageNotFound(NotFound):
    """No message has this id."""

    reason = "MESSAGE_NOT_FOUND"

    def __init__(self, message_id: str) -> None:
        super().__init__(f"there is no message {message_id!r}", message_id=message_id)


class PageNotFound(NotFound):
    """No such page is registered, or the caller may not use it."""

    reason = "PAGE_NOT_FOUND"

    def __init__(self, page_id: str) -> None:
        super().__init__(f"there is no page {page_id!r}", page_id=page_id)


class CleanupNotFound(NotFound):
    """No cleanup has this id."""

    reason = "CLEANUP_NOT_FOUND"

    def __init__(self, cleanup_id: str) -> None:
        super().__init__(f"there is no cleanup {cleanup_id!r}", cleanup_id=cleanup_id)


class PersonNotFound(NotFound):
    """No message has this recipient."""

    reason = "PERSON_NOT_FOUND"

    def __init__(self, recipient_id: str) -> None:
        super().__init__("no message has this person as a recipient", recipient_id=recipient_id)


class NotAllowed(RedriveError):
    """The caller is authenticated, but not allowed to do this."""


class PageNotYours(NotAllowed):
    """The page belongs to another caller and is not shared with this one by name; the error does not name the owner."""

    reason = "PAGE_NOT_YOURS"

    def __init__(self, page_id: str) -> None:
        words = f"page {page_id!r} is registered by another caller: its owner or an admin can share it (SharePage)"
        super().__init__(words, page_id=page_id)


class PageNotYoursToShare(NotAllowed):
    """The caller may use the page, but only its owner or an administrator decides who else may."""

    reason = "PAGE_NOT_YOURS_TO_SHARE"

    def __init__(self, page_id: str) -> None:
        super().__init__(f"only the owner of page {page_id!r}, or an admin, decides who uses it", page_id=page_id)


class AlreadyExists(RedriveError):
    """The object to create exists already."""


class RequestIdReused(AlreadyExists):
    """The request_id was used before, with another payload."""

    reason = "REQUEST_ID_REUSED"

    def __init__(self, request_id: str) -> None:
        super().__init__("request_id was used before for another request", request_id=request_id)


class PreconditionFailed(RedriveError):
    """The current state forbids the request; `subject` names the object whose state is in the way."""

    def __init__(self, message: str, *, subject: str, **metadata: str) -> None:
        super().__init__(message, **metadata)
        self.subject = subject


class PageNotRegistered(PreconditionFailed):
    """The page is unknown, or the caller may not use it: PutPage first, or let its owner share it."""

    reason = "PAGE_NOT_REGISTERED"

    def __init__(self, page_id: str) -> None:
        words = f"page {page_id!r} is not registered for this caller: call PutPage, or let its owner share it"
        super().__init__(words, subject=f"pages/{page_id}", page_id=page_id)


class TokenRefused(PreconditionFailed):
    """The platform refuses the page's token."""

    reason = "TOKEN_REFUSED"


class MessageIsCancelled(PreconditionFailed):
    """The message is cancelled, and a cancel is final."""

    reason = "MESSAGE_CANCELLED"

    def __init__(self, message_id: str) -> None:
        words = f"message {message_id!r} is cancelled, and a cancel is final"
        super().__init__(words, subject=f"messages/{message_id}", message_id=message_id)


class MessageIsDone(PreconditionFailed):
    """The message is done: nothing is left to pause or cancel."""

    reason = "MESSAGE_DONE"

    def __init__(self, message_id: str) -> None:
        words = f"message {message_id!r} is done: nothing is left to stop"
        super().__init__(words, subject=f"messages/{message_id}", message_id=message_id)


class CanaryUnderWay(PreconditionFailed):
    """The message has an undecided canary; there can be only one at a time."""

    reason = "CANARY_UNDER_WAY"

    def __init__(self, message_id: str) -> None:
        words = f"a canary of message {message_id!r} is under way: wait until it is decided, or resend without one"
        super().__init__(words, subject=f"messages/{message_id}", message_id=message_id)


class MessageIsArchived(PreconditionFailed):
    """The message's events are in an archive file: it cannot be changed, and its history is not available here."""

    reason = "MESSAGE_ARCHIVED"

    def __init__(self, message_id: str, file: str) -> None:
        words = f"message {message_id!r} is archived: its events are in the file {file}; send a new message instead"
        super().__init__(words, subject=f"messages/{message_id}", message_id=message_id, file=file)


class Aborted(RedriveError):
    """A concurrent request changed the same object first."""

    reason = "CONCURRENT_CHANGE"


class StreamInProgress(Aborted):
    """Another stream with this request_id is open."""

    reason = "STREAM_IN_PROGRESS"


class Unavailable(RedriveError):
    """The event store cannot be read or written now.

    Either nothing was written, or a repeat with the same request_id returns the answer of the first call.
    """

    reason = "LOG_UNAVAILABLE"

    def __init__(self, message: str, retry_after: timedelta) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class OlderReleaseRunning(Unavailable):
    """Servers of an earlier release are still running and could not read the event that the request needs."""

    reason = "OLDER_RELEASE_LIVES"

    def __init__(self, retry_after: timedelta) -> None:
        words = "servers of the release before are still at work, and would not understand this: renew them first"
        super().__init__(words, retry_after)
