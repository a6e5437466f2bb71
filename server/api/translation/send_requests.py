"""Requests in: a Send, whole or in parts. What breaks a rule raises InvalidRequest, and goes no further."""

from collections.abc import AsyncIterator

from domain.commands import SendMessage
from domain.errors import InvalidRequest, Violation
from domain.recipient import Recipient
from domain.retry import DEFAULT_MAX_RETRY_ATTEMPTS, OnUnconfirmed, RetryPolicy, RetryType
from redrive.v1 import message_pb2
from redrive.v1.delivery_service_pb2 import SendRequest, SendStreamRequest
from server.api.rules.filled_text import FilledText
from server.api.rules.send_rules import SendRules, StreamHeaderRules, StreamPartRules
from server.api.translation.content import content, recipients
from server.api.translation.enum_words import ON_UNCONFIRMED, RETRY_TYPES


def send(request: SendRequest, owner: str) -> tuple[SendMessage, list[Recipient]]:
    """A whole Send. The text is filled in for everybody, once every field is in order."""
    SendRules.check(request)
    everybody = recipients(request.recipients)
    FilledText(request.content.text).check(everybody)
    return _command(request, owner), everybody


def _command(request: SendRequest, owner: str) -> SendMessage:
    return SendMessage(
        owner=owner,
        request_id=request.request_id,
        page_id=request.page_id,
        title=request.title,
        content=content(request.content),
        retry_policy=_retry_policy(request.retry_policy),
        on_unconfirmed=OnUnconfirmed(ON_UNCONFIRMED.word(request.on_unconfirmed, OnUnconfirmed.HOLD)),
        validate_only=request.validate_only,
    )


def _retry_policy(given: message_pb2.RetryPolicy) -> RetryPolicy:
    return RetryPolicy(
        type=RetryType(RETRY_TYPES.word(given.type, RetryType.MANUAL)),
        max_retry_attempts=given.max_retry_attempts or DEFAULT_MAX_RETRY_ATTEMPTS,
    )


class SendParts:
    """A Send that comes as a stream: the header first, then recipients, each part checked as it comes.

    Paths of fields are those of the one SendRequest that the parts make up.
    """

    def __init__(self, parts: AsyncIterator[SendStreamRequest]) -> None:
        self._parts = parts
        self._text = FilledText("")
        self._taken = 0

    async def header(self, owner: str) -> SendMessage:
        """What the first part asks for."""
        part = await anext(self._parts, SendStreamRequest())
        if not part.HasField("header"):
            raise InvalidRequest([Violation("header", "is required, as the first part")])
        StreamHeaderRules.check(part.header)
        self._text = FilledText(part.header.content.text)
        return _command(part.header, owner)

    async def recipients(self) -> AsyncIterator[list[Recipient]]:
        """The recipients of each further part."""
        async for part in self._parts:
            if part.HasField("header"):
                raise InvalidRequest([Violation("header", "must come once: parts after the first hold recipients")])
            StreamPartRules.check(part.recipients, first=self._taken)
            some = recipients(part.recipients.recipients)
            self._text.check(some, first=self._taken)
            self._taken += len(some)
            yield some
        if not self._taken:
            raise InvalidRequest([Violation("recipients", "must have at least 1 entry")])
