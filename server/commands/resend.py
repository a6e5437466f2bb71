"""Resend: starts a round on a caller's request (protocol rule 12)."""

import time
from collections.abc import Callable, Collection, Iterator
from datetime import datetime

import msgspec

from domain.commands import ResendMessage
from domain.content import Content, FillableContent, content_strings
from domain.errors import Aborted, InvalidRequest, MessageNotFound, Violation
from domain.event import RequestStamp
from domain.message import Message, check_not_archived, check_resendable
from domain.owner import matches_owner
from domain.placeholders import Fillable
from domain.retry import RetrySelection, RetryTrigger
from projections.message_rows import MessageRow
from server.commands.idempotency import PayloadHash, load_first_answer, stamp_for
from server.commands.lookup import load_message, owner_filter, require_message, require_page
from server.commands.open_rounds import PLAN_SECONDS, OpenRoundService
from server.commands.resend_planning import RoundRequest
from server.commands.rounds import Round, RoundStart, RoundSummary, SliceResult, dry_run_summary
from server.crypto.vault import Vault
from server.eventstore.commit import EventLog

METHOD = "Resend"
MAX_STEPS = 1_000  # slices and conflicts of one resend: 10,000,000 recipients


class ResendService:
    """Starts and plans rounds. Two requests with the same request_id make one round."""

    def __init__(self, log: EventLog, vault: Vault, now: Callable[[], datetime]) -> None:
        self._log = log
        self._vault = vault
        self._now = now
        self._open_rounds = OpenRoundService(log, now)

    async def resend(self, command: ResendMessage) -> RoundSummary:
        """Start a round and plan it for half a second; the background tasks plan the rest after the answer.

        Raises InvalidRequest, MessageNotFound, PageNotRegistered, MessageIsCancelled, CanaryUnderWay, RequestIdReused,
        Aborted, Unavailable.
        """
        # Without a content and a reason the hash has no key, as in earlier releases.
        key = self._vault.payload_key if command.content or command.reason else b""
        stamp = stamp_for(METHOD, command, PayloadHash(command, key).hexdigest())
        row = await self._log.read(lambda sql: require_message(sql, owner_filter(command), command.message_id))
        if (started := await self._load_started(command, stamp)) is not None:
            return await self._plan(started, command, stamp)
        await self._log.read(lambda sql: require_page(sql, owner_filter(command), row.page_id))
        sealed_content = await seal_correction(self._log, self._vault, command)
        sealed_reason = self._vault.labels.resend_reasons.seal(command.reason, command.message_id)
        request = _round_request(command, stamp, sealed_content, sealed_reason)
        the_round = Round(self._log, request, _may_start(command), self._now)
        if command.validate_only:
            return dry_run_summary(await the_round.load(is_dry_run=True))
        return await self._plan(the_round, command, stamp)

    async def _plan(self, the_round: Round, command: ResendMessage, stamp: RequestStamp | None) -> RoundSummary:
        """Append slices. If another call with this request_id started the round first, continue that round."""
        until = time.monotonic() + PLAN_SECONDS
        for _ in range(MAX_STEPS):
            result = await the_round.append_slice()
            if result is SliceResult.OTHER_ROUND_OPEN:
                await self._open_rounds.finish(command.message_id)
            elif not the_round.is_started and (started := await self._load_started(command, stamp)):
                the_round = started
            elif result is SliceResult.DONE or (the_round.stays_open and time.monotonic() > until):
                return await the_round.summary()
        raise Aborted("the message changed too often during the request", message_id=command.message_id)

    async def _load_started(self, command: ResendMessage, stamp: RequestStamp | None) -> Round | None:
        """Return the round that an earlier call with this request_id started; it may not be planned completely."""
        answered = await load_first_answer(self._log, stamp)
        if answered is None:
            return None
        start = msgspec.convert(answered.answer, RoundStart)
        return Round(self._log, _round_request(command, stamp), _may_start(command), self._now, start=start)


def _round_request(
    command: ResendMessage, stamp: RequestStamp | None, sealed_content: bytes = b"", sealed_reason: str = ""
) -> RoundRequest:
    return RoundRequest(
        message_id=command.message_id,
        trigger=RetryTrigger.MANUAL,
        requested_by=command.owner,
        selection=RetrySelection(
            recipients_named=bool(command.recipient_ids),
            error_types=command.error_types,
            include_unconfirmed=command.include_unconfirmed,
            as_of_sequence=command.as_of_sequence,
            content_changed=command.content is not None,
        ),
        recipient_ids=command.recipient_ids,
        stamp=stamp,
        canary=command.canary,
        messages_per_second=command.messages_per_second,
        sealed_reason=sealed_reason,
        sealed_content=sealed_content,
    )


def _may_start(command: ResendMessage) -> Callable[[Message, MessageRow], bool]:
    def may_start(message: Message, row: MessageRow) -> bool:
        if not matches_owner(row.owner, owner_filter(command)):
            raise MessageNotFound(row.message_id)
        check_resendable(message, with_canary=command.canary is not None)
        _check_is_past(command.as_of_sequence, row.sequence)
        return True

    return may_start


def _check_is_past(sequence: int, latest: int) -> None:
    """Refuse a sequence that the message has not reached yet."""
    if sequence > latest:
        raise InvalidRequest([Violation("as_of_sequence", f"must be at most {latest:,}, the message's sequence now")])


async def seal_correction(log: EventLog, vault: Vault, command: ResendMessage) -> bytes:
    """Return the corrected content, sealed with the message's key; empty for a resend without a content.

    Raises InvalidRequest for a variable that was not kept, MessageIsArchived, Unavailable.
    """
    if command.content is None:
        return b""
    message = await load_message(log, command.message_id)
    check_not_archived(message)
    key = await log.read(vault.message_key(command.message_id))
    original = FillableContent(key.open_content(message.sealed_content), text_only=not message.fills_every_string)
    violations = list(_unknown_variables(command.content, {"name", *original.variables}))
    if violations:
        raise InvalidRequest(violations)
    return key.seal_content(command.content)


def _unknown_variables(corrected: Content, kept: Collection[str]) -> Iterator[Violation]:
    """Yield a violation for each string with a variable that was not kept: only those of the original content were.

    A variable with a default is allowed, and every recipient gets the default.
    """
    for string in content_strings(corrected):
        asked = Fillable(string.text).placeholders.values()
        missing = {one.name for one in asked if one.name not in kept and one.default is None}
        if missing:
            names = ", ".join("{{" + name + "}}" for name in sorted(missing))
            words = f"asks for {names}, which was not kept: the original content did not ask for it"
            yield Violation(f"content.{string.path}", words)
