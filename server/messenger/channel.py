"""The interface of a channel: how a message leaves, in terms of the domain."""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Protocol

import msgspec

from domain.content import Content
from domain.fault import Fault
from domain.outcome import Outcome


class PageCredentials(msgspec.Struct, frozen=True, kw_only=True):
    """A page's id and the secrets to send for it; its repr shows only the id."""

    page_id: str
    access_token: str
    app_secret: str = ""

    def __repr__(self) -> str:
        return f"PageCredentials(page_id={self.page_id!r})"


def _no_variable_values() -> Mapping[str, str]:
    return {}


class OutgoingMessage(msgspec.Struct, frozen=True, kw_only=True):
    """One message that is about to leave; its content is already filled in.

    `variable_values` returns the recipient's name and variables, which no recorded error may quote. Only a failure
    needs them.
    """

    delivery_id: str
    recipient_id: str
    content: Content
    variable_values: Callable[[], Mapping[str, str]] = _no_variable_values


class RateAdvice(msgspec.Struct, frozen=True, kw_only=True):
    """What the platform's headers say about the rate.

    `retry_after` is how long to wait, and `requested_by` quotes the header that requests it. `usage` is the share of
    the limit that is used (1.0 = all).
    """

    retry_after: timedelta | None = None
    requested_by: str = ""
    usage: float | None = None


class SendResult(msgspec.Struct, frozen=True, kw_only=True):
    """The result of sending one message: its outcome, and the platform's advice on the rate."""

    outcome: Outcome
    advice: RateAdvice | None = None


class LocalShortageError(Exception):
    """This machine lacked a resource to send a request; `reason` names it. No attempt was made."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class TokenAccepted(msgspec.Struct, frozen=True):
    """The platform returned a success for a call with this token."""


class TokenRejected(msgspec.Struct, frozen=True):
    """The platform returned an error for a call with this token, and waiting would not change that."""

    fault: Fault


class TokenUnchecked(msgspec.Struct, frozen=True):
    """The check had no result: the platform was unavailable, or the call could not leave."""

    reason: str


TokenCheck = TokenAccepted | TokenRejected | TokenUnchecked


class Channel(Protocol):
    """Sends messages of a page.

    Each send is one request that is never repeated. Results are values; a send raises only LocalShortageError.
    """

    async def send(self, credentials: PageCredentials, message: OutgoingMessage) -> SendResult:
        """Send one message in one request."""
        ...

    async def send_batch(
        self, credentials: PageCredentials, messages: Sequence[OutgoingMessage]
    ) -> Sequence[SendResult]:
        """Send up to 50 messages in one request; return the results in the order of the messages."""
        ...

    async def check_token(self, credentials: PageCredentials) -> TokenCheck:
        """Check the token with a call that sends nothing."""
        ...

    async def is_page_token(self, credentials: PageCredentials) -> bool:
        """Return whether the platform confirms that the token is this page's own; False if it cannot be asked."""
        ...
