"""What happens to a message; a few events in its life."""

from datetime import datetime

import msgspec

from domain.canary import Trial
from domain.event import Event, RequestStamp
from domain.retry import OnUnconfirmed, RetryPolicy, RetrySelection, RetryTrigger, SkipReason
from domain.stop_policy import Stop, StopPolicy


class MessageEvent(Event, frozen=True, kw_only=True):
    """An event of one message's stream."""

    message_id: str


class MessageStaged(MessageEvent, frozen=True, kw_only=True):
    """A stream of recipients began, taken by a worker; nothing is sent before MessageSubmitted."""

    owner: str
    page_id: str
    worker: str


class MessageAbandoned(MessageEvent, frozen=True, kw_only=True):
    """The stream broke off: what was staged never existed."""

    cause: str


class MessageSubmitted(MessageEvent, frozen=True, kw_only=True):
    """The whole request was accepted; the content is sealed with the message's key, `stage` tells its batches.

    The title is sealed text (server/crypto/labels.py), or clear text of a release before.
    `has_variables`: some recipient's content takes more than the name, and its variables have to be opened.
    `fills_every_string` is true where placeholders have defaults or are outside the text: a server of the release
    before would send those as they are written. Without it only the text is filled in.
    Nothing leaves before the `schedule_time`, if there is one.
    """

    owner: str
    page_id: str
    title: str
    sealed_content: bytes
    retry_policy: RetryPolicy
    on_unconfirmed: OnUnconfirmed
    stage: int
    total: int
    batches: int
    duplicates_dropped: int
    has_variables: bool = True
    fills_every_string: bool = False
    schedule_time: datetime | None = None
    request: RequestStamp | None = None
    stop_policy: StopPolicy = StopPolicy()


class RetryRequested(MessageEvent, frozen=True, kw_only=True):
    """A round of resends, or a slice of it; its batches stand in the same append.

    `retry_count` counts automatic rounds, this one included; `tick` names the timer's run for CRON, or when the round
    was due by the message's own schedule. `last_recipient` is
    where the slice ended, so that the round can be gone on with. A request, the reason, whom the round does not take,
    and a `trial` (the slice is a canary, what follows is the rest) stand on the first slice, and so does that the round
    `goes_on`: the servers plan it to its end, and whoever asked may be answered before. A slice of nobody says that
    nobody was left. `messages_per_second` caps the round; 0 does not. `sealed_content`, sealed with the message's key,
    is the corrected content of the round, on the first slice. With `replaces_content` it also replaces every older
    content of the message, for all deliveries that have not left.
    The reason is sealed text, as a title is. `automatic_from_batch` limits the automatic
    rounds that follow to recipients with an attempt in this batch or a later one; 0 does not limit them.
    """

    round: int
    trigger: RetryTrigger
    requested_by: str
    selection: RetrySelection
    first_batch: int
    batches: int
    recipients: int
    last_recipient: str = ""
    retry_count: int
    tick: str = ""
    request: RequestStamp | None = None
    reason: str = ""
    skipped: dict[SkipReason, int] = msgspec.field(default_factory=dict)
    trial: Trial | None = None
    goes_on: bool = False
    messages_per_second: float = 0.0
    sealed_content: bytes = b""
    replaces_content: bool = False
    automatic_from_batch: int = 0


class RetryStopped(MessageEvent, frozen=True, kw_only=True):
    """Too many of a round's canary failed or are unconfirmed: the rest is not resent to.

    `suspends_automatic_rounds` is false only in events that were recorded before this rule existed.
    """

    round: int
    recipients: int
    failed: int
    unconfirmed: int
    suspends_automatic_rounds: bool = False


class MessagePaused(MessageEvent, frozen=True, kw_only=True):
    """Nothing leaves, and no automatic round starts, until it is resumed; the message is not done meanwhile."""

    requested_by: str
    request: RequestStamp | None = None


class MessageStopped(MessageEvent, frozen=True, kw_only=True):
    """The service paused the message by itself, since more attempts would fail like those before."""

    stop: Stop


class MessageResumed(MessageEvent, frozen=True, kw_only=True):
    """It goes on where it was."""

    requested_by: str
    request: RequestStamp | None = None


class MessageCancelled(MessageEvent, frozen=True, kw_only=True):
    """Nothing more leaves, ever; what has left is not recalled."""

    requested_by: str
    request: RequestStamp | None = None


class MessageCompleted(MessageEvent, frozen=True, kw_only=True):
    """No delivery is open, and no automatic round is due at once; with nothing left to hold back, a pause is over."""
