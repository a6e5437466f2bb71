"""Mapping of Send and SendStream; every function raises InvalidRequest for an invalid request."""

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
from server.api.validation.recipients import passes_quick_check
from server.api.validation.rule_set import Rules
from server.api.validation.sends import MAX_RECIPIENTS, MessageRules, SendRules, StreamHeaderRules, StreamPartRules
from server.runtime.cooperative import SLICE, slices, yield_between

LARGE_CONTENT = 100_000  # bytes; the check of this many takes about 50 milliseconds
PLACEHOLDERS_PER_SLICE = 10  # with more placeholders, a slice has fewer recipients


async def send_command(request: SendRequest, owner: str, sees: str) -> tuple[SendMessage, list[Recipient]]:
    """Return the command of a whole Send and its recipients.

    Once all fields are valid, the content is checked with the variables of every recipient.
    """
    checked = await _checked_recipients(request, SendRules)
    await _check_message(request, MessageRules)
    command = _command(request, owner, sees)
    await _check_variables(FillableContent(command.content), checked)
    return command, checked


async def _checked_recipients(
    message: SendRequest | Recipients, rules: type[Rules], *, first: int = 0
) -> list[Recipient]:
    """Return the recipients; all rules of the message are checked unless every recipient passes the quick check."""
    del message.recipients[MAX_RECIPIENTS + 1 :]  # one too many is enough for the refusal; a million would take 800 MiB
    checked = await _quickly_checked(message.recipients)
    return await asyncio.to_thread(_check_all, message, rules, first) if checked is None else checked


async def _quickly_checked(given: Sequence[content_pb2.Recipient]) -> list[Recipient] | None:
    """Return the recipients if all of them pass the quick check, and their number is allowed."""
    if not 0 < len(given) <= MAX_RECIPIENTS:
        return None
    found: list[Recipient] = []
    async for some in yield_between(slices(given)):
        mapped = recipients(some)
        if not all(map(passes_quick_check, mapped)):
            return None
        found += mapped
    return found


def _check_all(message: SendRequest | Recipients, rules: type[Rules], first: int) -> list[Recipient]:
    """Check all rules, which takes up to half a second and must not run on the event loop."""
    rules.check(message, first=first)
    return recipients(message.recipients)


async def _check_message(request: SendRequest, rules: type[Rules]) -> None:
    """Check the rules of the message; a large template takes seconds, and is checked off the event loop."""
    if request.content.ByteSize() <= LARGE_CONTENT:
        rules.check(request)
    else:
        await asyncio.to_thread(rules.check, request)


async def _check_variables(content: FillableContent, checked: Sequence[Recipient], *, first: int = 0) -> None:
    """Raise InvalidRequest with every recipient whose variables do not fit the content."""
    violations: list[Violation] = []
    size = max(1, SLICE // (1 + content.count // PLACEHOLDERS_PER_SLICE))
    async for some in yield_between(slices(checked, size)):
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
        on_unconfirmed=OnUnconfirmed(ON_UNCONFIRMED.name(request.on_unconfirmed, OnUnconfirmed.HOLD)),
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
    """The parts of a SendStream: the header, then recipients. Each part is checked when it arrives.

    The paths in violations are those of the SendRequest that all parts together form.
    """

    def __init__(self, parts: AsyncIterator[SendStreamRequest]) -> None:
        self._parts = parts
        self._content = FillableContent(Content())
        self._taken = 0

    async def header(self, owner: str, sees: str) -> SendMessage:
        """Return the command of the first part."""
        part = await anext(self._parts, SendStreamRequest())
        if not part.HasField("header"):
            raise InvalidRequest([Violation("header", "is required in the first part")])
        await _check_message(part.header, StreamHeaderRules)
        command = _command(part.header, owner, sees)
        self._content = FillableContent(command.content)
        return command

    async def recipients(self) -> AsyncIterator[list[Recipient]]:
        """Yield the recipients of each further part."""
        async for part in self._parts:
            if part.HasField("header"):
                raise InvalidRequest(
                    [Violation("header", "must be set only in the first part: the others hold recipients")]
                )
            some = await _checked_recipients(part.recipients, StreamPartRules, first=self._taken)
            await _check_variables(self._content, some, first=self._taken)
            self._taken += len(some)
            yield some
        if not self._taken:
            raise InvalidRequest([Violation("recipients", "must have at least 1 entry")])
