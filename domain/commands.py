"""What callers ask for, after every field was checked."""

import msgspec

from domain.content import Content
from domain.fault import ErrorType
from domain.page_events import SendMode
from domain.retry import OnUnconfirmed, RetryPolicy


class SendMessage(msgspec.Struct, frozen=True, kw_only=True):
    """Send a message; its recipients come beside it, all at once or as a stream."""

    owner: str
    request_id: str = ""
    page_id: str
    title: str = ""
    content: Content
    retry_policy: RetryPolicy = RetryPolicy()
    on_unconfirmed: OnUnconfirmed = OnUnconfirmed.HOLD
    validate_only: bool = False


class ResendMessage(msgspec.Struct, frozen=True, kw_only=True):
    """Resend to those who failed; empty lists name nothing."""

    owner: str
    request_id: str = ""
    message_id: str
    recipient_ids: tuple[str, ...] = ()
    error_types: tuple[ErrorType, ...] = ()
    include_unconfirmed: bool = False
    validate_only: bool = False


class CancelMessage(msgspec.Struct, frozen=True, kw_only=True):
    """Stop a message for good."""

    owner: str
    request_id: str = ""
    message_id: str


class PutPage(msgspec.Struct, frozen=True, kw_only=True):
    """Register a page or change it; what is empty or 0 is kept, and has its default for a new page."""

    owner: str
    request_id: str = ""
    page_id: str
    name: str = ""
    access_token: str = ""
    app_secret: str = ""
    messages_per_second: float = 0.0
    send_mode: SendMode | None = None

    def __repr__(self) -> str:
        return f"PutPage(page_id={self.page_id!r})"
