"""Resend: by hand, to all that can be retried, to named recipients, or by error type (protocol rule 12)."""

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
from domain.retry import RetrySelection, RetryTrigger, SkipReason
from projections.message_rows import MessageRow
from server.commands.idempotency import PayloadHash, first_answer, stamp_for
from server.commands.lookup import find_message, find_page, load_message, reach
from server.commands.open_rounds import PLAN_SECONDS, OpenRoundService
from server.commands.resend_planning import RoundOrder
from server.commands.rounds import Round, RoundStarted, Step, would_start
from server.crypto.vault import Vault
from server.eventstore.commit import EventLog

METHOD = "Resend"
MAX_STEPS = 1_000  # slices and redos of one resend: 10,000,000 recipients


class ResendService:
    """Plans resends so that two at the same moment make one plan."""

    def __init__(self, log: EventLog, vault: Vault, now: Callable[[], datetime]) -> None:
        self._log = log
        self._vault = vault
        self._now = now
        self._open_rounds = OpenRoundService(log, now)

    async def resend(self, command: ResendMessage) -> RoundStarted:
        """Starts a round, and plans it; what half a second is too short for, is planned after the answer.

        Raises InvalidRequest, MessageNotFound, PageNotRegistered, MessageIsCancelled, CanaryUnderWay, RequestIdReused,
        Aborted, Unavailable.
        """
        # Without a text or a reason the hash is that of old requests.
        key = self._vault.payload_key if command.content or command.reason else b""
        stamp = stamp_for(METHOD, command, PayloadHash(command, key).hexdigest())
        row = await self._log.read(lambda sql: find_message(sql, reach(command), command.message_id))
        if (begun := await self._begun_before(command, stamp)) is not None:
            return await self._carry_out(begun, command, stamp)
        await self._log.read(lambda sql: find_page(sql, reach(command), row.page_id))
        sealed_content = await sealed_correction(self._log, self._vault, command)
        reason = self._vault.labels.resend_reasons.seal(command.reason, command.message_id)
        order = _order(command, stamp, sealed_content, reason)
        the_round = Round(self._log, order, _may_start(command), self._now)
        if command.validate_only:
            return would_start(await the_round.look(predicts=True))
        return await self._carry_out(the_round, command, stamp)

    async def _carry_out(self, the_round: Round, command: ResendMessage, stamp: RequestStamp | None) -> RoundStarted:
        """Slice after slice; when another call with this request_id was faster, its round is ours."""
        until = time.monotonic() + PLAN_SECONDS
        for _ in range(MAX_STEPS):
            step = await the_round.advance()
            if step is Step.TOO_EARLY:
                await self._open_rounds.finish(command.message_id)
            elif not the_round.has_begun and (begun := await self._begun_before(command, stamp)):
                the_round = begun
            elif step is Step.DONE or (the_round.goes_on and time.monotonic() > until):
                return await the_round.started()
        raise Aborted("the message changed too often meanwhile", message_id=command.message_id)

    async def _begun_before(self, command: ResendMessage, stamp: RequestStamp | None) -> Round | None:
        """The round that the first call with this request_id began, perhaps without coming to its end."""
        answered = await first_answer(self._log, stamp)
        if answered is None:
            return None
        return Round(
            self._log,
            _order(command, stamp),
            _may_start(command),
            self._now,
            number=answered.answer["round"],
            skipped=msgspec.convert(answered.answer["skipped"], dict[SkipReason, int]),
            total=answered.answer.get("recipients", 0),
        )


def _order(
    command: ResendMessage, stamp: RequestStamp | None, sealed_content: bytes = b"", sealed_reason: str = ""
) -> RoundOrder:
    return RoundOrder(
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
        request=stamp,
        canary=command.canary,
        messages_per_second=command.messages_per_second,
        reason=sealed_reason,
        sealed_content=sealed_content,
    )


def _may_start(command: ResendMessage) -> Callable[[Message, MessageRow], bool]:
    def may_start(message: Message, row: MessageRow) -> bool:
        if not matches_owner(row.owner, reach(command)):
            raise MessageNotFound(row.message_id)
        check_resendable(message, with_canary=command.canary is not None)
        _check_is_past(command.as_of_sequence, row.sequence)
        return True

    return may_start


def _check_is_past(sequence: int, latest: int) -> None:
    """Nobody can have seen what has not happened."""
    if sequence > latest:
        raise InvalidRequest([Violation("as_of_sequence", f"must be at most {latest:,}, the message's sequence now")])


# The corrected content of a resend: checked against what is kept of the message's recipients, and sealed.


async def sealed_correction(log: EventLog, vault: Vault, command: ResendMessage) -> bytes:
    """Return the content of a resend, sealed with its message's key; empty for a resend without one.

    Raise InvalidRequest for a variable that was not kept, MessageIsArchived, Unavailable.
    """
    if command.content is None:
        return b""
    message = await load_message(log, command.message_id)
    check_not_archived(message)
    key = await log.read(vault.message_key(command.message_id))
    original = FillableContent(key.open_content(message.sealed_content), text_only=not message.fills_every_string)
    violations = list(_asks_for_more(command.content, {"name", *original.variables}))
    if violations:
        raise InvalidRequest(violations)
    return key.seal_content(command.content)


def _asks_for_more(corrected: Content, kept: Collection[str]) -> Iterator[Violation]:
    """Yield each string that asks for a variable that was not kept: only those are that the original asked for.

    With a default such a variable is allowed: every recipient gets the default.
    """
    for string in content_strings(corrected):
        asked = Fillable(string.text).placeholders.values()
        missing = {one.name for one in asked if one.name not in kept and one.default is None}
        if missing:
            names = ", ".join("{{" + name + "}}" for name in sorted(missing))
            words = f"asks for {names}, which was not kept: the original content did not ask for it"
            yield Violation(f"content.{string.path}", words)
