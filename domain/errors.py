"""What can go wrong for a caller, as one tree.

RedriveError
├── InvalidRequest          fields that break a rule, each with its path
├── NotFound
│   └── MessageNotFound
├── NotAllowed              the caller is known, and may not do this
│   ├── PageNotYours        the page belongs to another caller
│   └── PageNotYoursToShare the page may be used, but its owner decides who else may
├── AlreadyExists
│   └── RequestIdReused     the same request_id with another payload
├── PreconditionFailed      the state of things forbids it now
│   ├── PageNotRegistered
│   ├── TokenRefused        the platform refuses the page's token
│   ├── MessageIsCancelled
│   ├── MessageIsDone
│   ├── MessageIsArchived   its events were moved to a file
│   └── CanaryUnderWay      one at a time
├── Aborted                 somebody else was faster: do it again
│   └── StreamInProgress
└── Unavailable             the log cannot be written or read now
    └── OlderReleaseLives   while servers are renewed: what those of the release before would not understand
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import ClassVar, NamedTuple


class Violation(NamedTuple):
    """One field that breaks a rule: its path in the request, and the rule in words."""

    field: str
    description: str


class RedriveError(Exception):
    """The root; `reason` is stable, for programs; the text is for people and holds no secret."""

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
    """There is no such thing, or it is not the caller's."""


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
    """No message knows such a person."""

    reason = "PERSON_NOT_FOUND"

    def __init__(self, recipient_id: str) -> None:
        super().__init__("no message knows such a person", recipient_id=recipient_id)


class NotAllowed(RedriveError):
    """The caller is known, and may not do this."""


class PageNotYours(NotAllowed):
    """The page belongs to another caller, who is not named, and is not shared with this one by name."""

    reason = "PAGE_NOT_YOURS"

    def __init__(self, page_id: str) -> None:
        words = f"page {page_id!r} is registered by another caller: its owner or an admin can share it (SharePage)"
        super().__init__(words, page_id=page_id)


class PageNotYoursToShare(NotAllowed):
    """The page may be used, but only its owner or an admin decides who uses it."""

    reason = "PAGE_NOT_YOURS_TO_SHARE"

    def __init__(self, page_id: str) -> None:
        super().__init__(f"only the owner of page {page_id!r}, or an admin, decides who uses it", page_id=page_id)


class AlreadyExists(RedriveError):
    """What was to be made is there already."""


class RequestIdReused(AlreadyExists):
    """The request_id was used before, with another payload."""

    reason = "REQUEST_ID_REUSED"

    def __init__(self, request_id: str) -> None:
        super().__init__("request_id was used before for another request", request_id=request_id)


class PreconditionFailed(RedriveError):
    """The state of things forbids it now; `subject` is the thing that stands in the way."""

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
    """A cancel is final."""

    reason = "MESSAGE_CANCELLED"

    def __init__(self, message_id: str) -> None:
        words = f"message {message_id!r} is cancelled, and a cancel is final"
        super().__init__(words, subject=f"messages/{message_id}", message_id=message_id)


class MessageIsDone(PreconditionFailed):
    """Nothing is left to stop."""

    reason = "MESSAGE_DONE"

    def __init__(self, message_id: str) -> None:
        words = f"message {message_id!r} is done: nothing is left to stop"
        super().__init__(words, subject=f"messages/{message_id}", message_id=message_id)


class CanaryUnderWay(PreconditionFailed):
    """One canary at a time."""

    reason = "CANARY_UNDER_WAY"

    def __init__(self, message_id: str) -> None:
        words = f"a canary of message {message_id!r} is under way: wait until it is decided, or resend without one"
        super().__init__(words, subject=f"messages/{message_id}", message_id=message_id)


class MessageIsArchived(PreconditionFailed):
    """Its events stand in a file: nothing is done with it any more, and its past cannot be asked here."""

    reason = "MESSAGE_ARCHIVED"

    def __init__(self, message_id: str, file: str) -> None:
        words = f"message {message_id!r} is archived: its events are in the file {file}; send a new message instead"
        super().__init__(words, subject=f"messages/{message_id}", message_id=message_id, file=file)


class Aborted(RedriveError):
    """Somebody else was faster."""

    reason = "CONCURRENT_CHANGE"


class StreamInProgress(Aborted):
    """Another stream with this request_id is open."""

    reason = "STREAM_IN_PROGRESS"


class Unavailable(RedriveError):
    """The log cannot be written or read now; nothing was done, or a repeat with the same request_id finds it done."""

    reason = "LOG_UNAVAILABLE"

    def __init__(self, message: str, retry_after: timedelta) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class OlderReleaseLives(Unavailable):
    """Servers of the release before, which are still at work, would not understand what is to be written."""

    reason = "OLDER_RELEASE_LIVES"

    def __init__(self, retry_after: timedelta) -> None:
        words = "servers of the release before are still at work, and would not understand this: renew them first"
        super().__init__(words, retry_after)
