"""What callers ask for, after every field was checked."""

from datetime import datetime

import msgspec

from domain.canary import Canary
from domain.content import Content
from domain.fault import ErrorType
from domain.page_events import SendMode
from domain.receipt_events import ReceiptKind
from domain.retry import OnUnconfirmed, RetryPolicy
from domain.stop_policy import StopPolicy


class SendMessage(msgspec.Struct, frozen=True, kw_only=True):
    """Send a message, not before its schedule_time; its recipients come beside it, all at once or as a stream."""

    owner: str
    sees: str = ""  # whose pages the owner may send through; its own and those shared with it, where nothing is said
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
    """Resend to those who failed; empty lists name nothing, and 0 is no sequence and no cap.

    With a `content` the round sends that instead of the message's own.
    """

    owner: str
    sees: str = ""  # whose messages the owner may change; its own, where nothing is said
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
    """Stop a message for good."""

    owner: str
    sees: str = ""
    request_id: str = ""
    message_id: str


class PauseMessage(msgspec.Struct, frozen=True, kw_only=True):
    """Hold a message back."""

    owner: str
    sees: str = ""
    request_id: str = ""
    message_id: str


class ResumeMessage(msgspec.Struct, frozen=True, kw_only=True):
    """Let a paused message go on."""

    owner: str
    sees: str = ""
    request_id: str = ""
    message_id: str


class PutPage(msgspec.Struct, frozen=True, kw_only=True):
    """Register a page or change it; what is empty or 0 is kept, and has its default for a new page."""

    owner: str
    sees: str = ""  # whose pages the owner may change; its own and those shared with it, where nothing is said
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
    """Let nothing more of a page leave."""

    owner: str
    sees: str = ""
    request_id: str = ""
    page_id: str
    reason: str = ""


class ReleasePage(msgspec.Struct, frozen=True, kw_only=True):
    """Let a held page go on."""

    owner: str
    sees: str = ""
    request_id: str = ""
    page_id: str


class SharePage(msgspec.Struct, frozen=True, kw_only=True):
    """Let these callers use a page, and no others but its owner."""

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


class ToldReceipt(msgspec.Struct, frozen=True, kw_only=True):
    """What the platform says of something that a page sent to a person.

    An echo names the delivery and the platform's id for it. What was delivered or read is named by that id, or else it
    is all that was sent up to the watermark.
    """

    kind: ReceiptKind
    page_id: str
    recipient_id: str
    delivery_id: str = ""
    provider_message_id: str = ""
    watermark: datetime | None = None
    time: datetime


class RecordReceipts(msgspec.Struct, frozen=True, kw_only=True):
    """Take in what the platform says; the same may come again, and in any order."""

    owner: str
    receipts: tuple[ToldReceipt, ...]


class ErasePerson(msgspec.Struct, frozen=True, kw_only=True):
    """Forget a person, in every message of every owner."""

    owner: str
    request_id: str = ""
    recipient_id: str


class CleanupDeliveries(msgspec.Struct, frozen=True, kw_only=True):
    """Remove what is shown of deliveries that are over for so many days."""

    owner: str
    request_id: str = ""
    older_than_days: int
    validate_only: bool = False
