"""Requests in: a Send, whole or in parts. What breaks a rule raises InvalidRequest, and goes no further."""

import asyncio
from collections.abc import AsyncIterator, Sequence

from domain.commands import Recipient, SendMessage
from domain.content import Content, FillableContent
from domain.errors import InvalidRequest, Violation
from domain.retry import OnUnconfirmed
from domain.stop_policy import DEFAULT_MAX_FAILURE_SHARE, DEFAULT_MIN_ATTEMPTS, StopPolicy
from redrive.v1 import content_pb2, delivery_service_pb2
from redrive.v1.delivery_service_pb2 import Recipients, SendRequest, SendStreamRequest
from server.api.mapping.content import content, recipients
from server.api.mapping.enums import ON_UNCONFIRMED
from server.api.mapping.retry_policies import retry_policy
from server.api.mapping.times import read_time
from server.api.validation.content import recipient_violations
from server.api.validation.recipients import surely_keeps_rules
from server.api.validation.rule_set import Rules
from server.api.validation.sends import MOST_RECIPIENTS, MessageRules, SendRules, StreamHeaderRules, StreamPartRules
from server.runtime.cooperative import SLICE, slices, yield_between

LARGE_CONTENT = 100_000  # bytes, checked in about 50 milliseconds
PLACEHOLDERS_OF_A_SLICE = 10  # with more of them, fewer recipients are looked at in one step


async def send(request: SendRequest, owner: str, sees: str) -> tuple[SendMessage, list[Recipient]]:
    """A whole Send. The content is filled in for every recipient, once every field is in order."""
    everybody = await _in_order(request, SendRules)
    await _check_message(request, MessageRules)
    command = _command(request, owner, sees)
    await _fill_in(FillableContent(command.content), everybody)
    return command, everybody


async def _in_order(message: SendRequest | Recipients, rules: type[Rules], *, first: int = 0) -> list[Recipient]:
    """The recipients of a message. If there is any doubt about them, all of its rules are checked."""
    del message.recipients[MOST_RECIPIENTS + 1 :]  # one too many is enough to refuse: a million would take 800 MiB
    everybody = await _surely_in_order(message.recipients)
    return await asyncio.to_thread(_checked, message, rules, first) if everybody is None else everybody


async def _surely_in_order(given: Sequence[content_pb2.Recipient]) -> list[Recipient] | None:
    if not 0 < len(given) <= MOST_RECIPIENTS:
        return None
    everybody: list[Recipient] = []
    async for some in yield_between(slices(given)):
        translated = recipients(some)
        if not all(map(surely_keeps_rules, translated)):
            return None
        everybody += translated
    return everybody


def _checked(message: SendRequest | Recipients, rules: type[Rules], first: int) -> list[Recipient]:
    """Takes up to half a second: off the event loop."""
    rules.check(message, first=first)
    return recipients(message.recipients)


async def _check_message(request: SendRequest, rules: type[Rules]) -> None:
    """Check what is sent; a large template takes seconds, off the event loop."""
    if request.content.ByteSize() <= LARGE_CONTENT:
        rules.check(request)
    else:
        await asyncio.to_thread(rules.check, request)


async def _fill_in(content: FillableContent, everybody: Sequence[Recipient], *, first: int = 0) -> None:
    """Raise InvalidRequest with every recipient who cannot be sent the content."""
    violations: list[Violation] = []
    size = max(1, SLICE // (1 + content.count // PLACEHOLDERS_OF_A_SLICE))
    async for some in yield_between(slices(everybody, size)):
        violations += recipient_violations(content, some, first=first)
        first += len(some)
    if violations:
        raise InvalidRequest(violations)


def _command(request: SendRequest, owner: str, sees: str) -> SendMessage:
    return SendMessage(
        owner=owner,
        sees=sees,
        request_id=request.request_id,
        page_id=request.page_id,
        title=request.title,
        content=content(request.content),
        retry_policy=retry_policy(request.retry_policy),
        on_unconfirmed=OnUnconfirmed(ON_UNCONFIRMED.word(request.on_unconfirmed, OnUnconfirmed.HOLD)),
        schedule_time=read_time(request.schedule_time) if request.HasField("schedule_time") else None,
        validate_only=request.validate_only,
        stop_policy=_stop_policy(request.stop_policy) if request.HasField("stop_policy") else None,
    )


def _stop_policy(given: delivery_service_pb2.StopPolicy) -> StopPolicy:
    return StopPolicy(
        max_failure_share=given.max_failure_share or DEFAULT_MAX_FAILURE_SHARE,
        min_attempts=given.min_attempts or DEFAULT_MIN_ATTEMPTS,
    )


class SendParts:
    """A Send that comes as a stream: the header first, then recipients, each part checked as it comes.

    Paths of fields are those of the one SendRequest that the parts make up.
    """

    def __init__(self, parts: AsyncIterator[SendStreamRequest]) -> None:
        self._parts = parts
        self._content = FillableContent(Content())
        self._taken = 0

    async def header(self, owner: str, sees: str) -> SendMessage:
        """What the first part asks for."""
        part = await anext(self._parts, SendStreamRequest())
        if not part.HasField("header"):
            raise InvalidRequest([Violation("header", "is required, as the first part")])
        await _check_message(part.header, StreamHeaderRules)
        command = _command(part.header, owner, sees)
        self._content = FillableContent(command.content)
        return command

    async def recipients(self) -> AsyncIterator[list[Recipient]]:
        """The recipients of each further part."""
        async for part in self._parts:
            if part.HasField("header"):
                raise InvalidRequest([Violation("header", "must come once: parts after the first hold recipients")])
            some = await _in_order(part.recipients, StreamPartRules, first=self._taken)
            await _fill_in(self._content, some, first=self._taken)
            self._taken += len(some)
            yield some
        if not self._taken:
            raise InvalidRequest([Violation("recipients", "must have at least 1 entry")])
