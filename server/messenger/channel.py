"""How a message leaves: what every channel can do, in the domain's words."""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Protocol

import msgspec

from domain.content import Content
from domain.fault import Fault
from domain.outcome import Outcome


class Credentials(msgspec.Struct, frozen=True, kw_only=True):
    """A page and the secrets that send for it; never shown, not even by repr."""

    page_id: str
    access_token: str
    app_secret: str = ""

    def __repr__(self) -> str:
        return f"Credentials(page_id={self.page_id!r})"


def _no_variable_values() -> Mapping[str, str]:
    return {}


class OutgoingMessage(msgspec.Struct, frozen=True, kw_only=True):
    """One request about to leave; the content's text is already filled in.

    `variable_values` opens the recipient's name and variables, which no error may quote; only a failure needs them.
    """

    delivery_id: str
    recipient_id: str
    content: Content
    variable_values: Callable[[], Mapping[str, str]] = _no_variable_values


class Advice(msgspec.Struct, frozen=True, kw_only=True):
    """What the platform's headers say about the pace.

    `retry_after` is how long to wait, and `asked_by` the header that asks for it, in words; `usage` is the share of the
    limit that is used (1.0 = all).
    """

    retry_after: timedelta | None = None
    asked_by: str = ""
    usage: float | None = None


class Attempted(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one request."""

    outcome: Outcome
    advice: Advice | None = None


class NothingLeftError(Exception):
    """This machine lacked the means to let a request leave: no attempt was made; `reason` says in words what it was."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class TokenAccepted(msgspec.Struct, frozen=True):
    """The platform answered a call with this token."""


class TokenRefused(msgspec.Struct, frozen=True):
    """The platform answered with an error body."""

    fault: Fault


class TokenUntried(msgspec.Struct, frozen=True):
    """The platform was out of reach."""

    reason: str


TokenCheck = TokenAccepted | TokenRefused | TokenUntried


class Channel(Protocol):
    """Sends for one page at a time; results are values, nothing is repeated. A send raises NothingLeftError."""

    async def send(self, credentials: Credentials, message: OutgoingMessage) -> Attempted:
        """Sends one message in one request."""
        ...

    async def send_batch(self, credentials: Credentials, messages: Sequence[OutgoingMessage]) -> Sequence[Attempted]:
        """Sends up to 50 messages in one request; answers in their order."""
        ...

    async def check_token(self, credentials: Credentials) -> TokenCheck:
        """Tries the token with one harmless call."""
        ...

    async def is_page_token(self, credentials: Credentials) -> bool:
        """Return whether the platform confirms that the token is this page's own; False when it cannot be asked."""
        ...
