"""The events of a message."""

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
    """A worker started to take a stream of recipients; nothing is sent before MessageSubmitted."""

    owner: str
    page_id: str
    worker: str


class MessageAbandoned(MessageEvent, frozen=True, kw_only=True):
    """The stream broke off; its staged recipients count as never sent."""

    cause: str


class MessageSubmitted(MessageEvent, frozen=True, kw_only=True):
    """The whole request was accepted.

    - `title` is sealed text (server/crypto/labels.py); an earlier release wrote clear text.
    - `sealed_content` is sealed with the message's key.
    - `stage` identifies the batches of this submission.
    - `has_variables`: the content uses variables besides the name, so a worker has to decrypt them.
    - `fills_every_string`: a placeholder has a default or is outside the text. Servers of an earlier release would send
      such placeholders unfilled. If false, only the text is filled in.
    - `schedule_time`: nothing is sent before this time.
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
    """A resend round, or one slice of it; the BatchCreated events of the slice are in the same append.

    In every slice:
    - `retry_count`: the number of automatic rounds, including this one.
    - `tick`: identifies the retry timer's run (CRON), or the time at which the message's own schedule made it due.
    - `last_recipient`: the last recipient of the slice; planning continues after it. A slice without recipients records
      that no recipient was left.
    - `messages_per_second`: the limit of the round; 0 for none.
    - `automatic_from_batch`: later automatic rounds take only recipients with an attempt in this batch or a later one;
      0 for no limit.

    Only in the first slice:
    - `request`, `reason` (sealed text, as a title is) and `skipped` (how many recipients the round skips, by reason).
    - `trial`: this slice is a canary, and the rest of the round follows it.
    - `goes_on`: more slices follow. The servers plan them in the background, so the caller may get its answer earlier.
    - `sealed_content`: the corrected content of the round, sealed with the message's key.
    - `replaces_content`: this content also replaces every older content, for all deliveries that are not sent yet.
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
    """Too many deliveries of a round's canary failed or are unconfirmed, so the rest of the round is not resent.

    `suspends_automatic_rounds` is false only in events of releases without this rule.
    """

    round: int
    recipients: int
    failed: int
    unconfirmed: int
    suspends_automatic_rounds: bool = False


class MessagePaused(MessageEvent, frozen=True, kw_only=True):
    """Until it is resumed, nothing is sent, no automatic round starts, and the message is not done."""

    requested_by: str
    request: RequestStamp | None = None


class MessageStopped(MessageEvent, frozen=True, kw_only=True):
    """The service paused the message, because more attempts would fail for the same reason."""

    stop: Stop


class MessageResumed(MessageEvent, frozen=True, kw_only=True):
    """Sending continues where it was paused."""

    requested_by: str
    request: RequestStamp | None = None


class MessageCancelled(MessageEvent, frozen=True, kw_only=True):
    """Nothing more is sent; deliveries already sent are not recalled."""

    requested_by: str
    request: RequestStamp | None = None


class MessageCompleted(MessageEvent, frozen=True, kw_only=True):
    """No delivery is open, and no automatic round is due at once. This ends a pause too."""


class MessageArchived(Event, frozen=True, kw_only=True):
    """All earlier events of the message were moved from the event store to an archive file.

    It is the last event of the message's stream; `version` is its own version. `digest` is the file's SHA-256.
    """

    message_id: str
    owner: str
    version: int
    events: int
    file: str
    digest: str
