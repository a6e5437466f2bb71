"""The commands: validated requests of callers.

In each command `owner` is the caller. `sees` is the owner whose messages and pages the caller may use: the caller
itself if empty, or ANY_OWNER for an administrator.
"""

from collections.abc import Mapping
from datetime import datetime

import msgspec

from domain.canary import Canary
from domain.content import Content
from domain.fault import ErrorType
from domain.page_events import SendMode
from domain.receipts import ReceiptKind
from domain.retry import OnUnconfirmed, RetryPolicy
from domain.stop_policy import StopPolicy


class Recipient(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A person to send to, by page-scoped id, with the values for placeholders.

    The garbage collector does not track it (`gc=False`): it holds only texts, and a request has thousands of them.
    """

    id: str
    name: str = ""
    variables: Mapping[str, str] = {}

    def variable_values(self) -> Mapping[str, str]:
        """Return the values by variable, including `name`; a variable called `name` overrides the recipient's name."""
        return {"name": self.name, **self.variables}


class SendMessage(msgspec.Struct, frozen=True, kw_only=True):
    """Send a message, not before its schedule_time; the recipients are passed separately, as a list or a stream."""

    owner: str
    sees: str = ""
    request_id: str = ""
    page_id: str
    title: str = ""
    content: Content
    retry_policy: RetryPolicy = RetryPolicy()
    on_unconfirmed: OnUnconfirmed = OnUnconfirmed.HOLD
    schedule_time: datetime | None = None
    validate_only: bool = False
    stop_policy: StopPolicy | None = None


class ResendMessage(msgspec.Struct, frozen=True, kw_only=True):
    """Resend to recipients that failed.

    Empty lists select all. A sequence of 0 is none; 0 messages per second is no limit. With a `content` the round sends
    that instead of the message's own.
    """

    owner: str
    sees: str = ""
    request_id: str = ""
    message_id: str
    recipient_ids: tuple[str, ...] = ()
    error_types: tuple[ErrorType, ...] = ()
    include_unconfirmed: bool = False
    as_of_sequence: int = 0
    canary: Canary | None = None
    messages_per_second: float = 0.0
    reason: str = ""
    content: Content | None = None
    validate_only: bool = False


class CancelMessage(msgspec.Struct, frozen=True, kw_only=True):
    """Cancel a message; this is final."""

    owner: str
    sees: str = ""
    request_id: str = ""
    message_id: str


class PauseMessage(msgspec.Struct, frozen=True, kw_only=True):
    """Pause a message."""

    owner: str
    sees: str = ""
    request_id: str = ""
    message_id: str


class ResumeMessage(msgspec.Struct, frozen=True, kw_only=True):
    """Resume a paused message."""

    owner: str
    sees: str = ""
    request_id: str = ""
    message_id: str


class PutPage(msgspec.Struct, frozen=True, kw_only=True):
    """Register a page or change it; an empty or 0 field keeps its value, or gets the default for a new page."""

    owner: str
    sees: str = ""
    request_id: str = ""
    page_id: str
    name: str = ""
    access_token: str = ""
    app_secret: str = ""
    messages_per_second: float = 0.0
    send_mode: SendMode | None = None

    def __repr__(self) -> str:
        return f"PutPage(page_id={self.page_id!r})"


class HoldPage(msgspec.Struct, frozen=True, kw_only=True):
    """Hold a page: it sends nothing until it is released."""

    owner: str
    sees: str = ""
    request_id: str = ""
    page_id: str
    reason: str = ""


class ReleasePage(msgspec.Struct, frozen=True, kw_only=True):
    """Release a held page."""

    owner: str
    sees: str = ""
    request_id: str = ""
    page_id: str


class SharePage(msgspec.Struct, frozen=True, kw_only=True):
    """Share a page with these callers and no others besides its owner."""

    owner: str
    sees: str = ""
    request_id: str = ""
    page_id: str
    shared_with: tuple[str, ...] = ()


class TransferPage(msgspec.Struct, frozen=True, kw_only=True):
    """Give a page to another owner."""

    owner: str
    sees: str = ""
    request_id: str = ""
    page_id: str
    new_owner: str


class ReportedReceipt(msgspec.Struct, frozen=True, kw_only=True):
    """What the platform reports about messages that a page sent to a recipient.

    An echo names the delivery and the platform's message id. A DELIVERED or READ receipt names that id, or covers all
    messages up to the watermark.
    """

    kind: ReceiptKind
    page_id: str
    recipient_id: str
    delivery_id: str = ""
    provider_message_id: str = ""
    watermark: datetime | None = None
    time: datetime


class RecordReceipts(msgspec.Struct, frozen=True, kw_only=True):
    """Record receipts from the platform; they may arrive repeatedly and in any order."""

    owner: str
    receipts: tuple[ReportedReceipt, ...]


class ErasePerson(msgspec.Struct, frozen=True, kw_only=True):
    """Erase a person's data in every message of every owner."""

    owner: str
    request_id: str = ""
    recipient_id: str


class CleanupDeliveries(msgspec.Struct, frozen=True, kw_only=True):
    """Remove sent and cancelled deliveries that have not changed for this number of days from the read models."""

    owner: str
    request_id: str = ""
    older_than_days: int
    validate_only: bool = False
