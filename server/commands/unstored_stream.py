"""A SendStream that changes nothing: it is read to the end, and answered."""

from collections.abc import Callable, Sequence
from datetime import datetime

from domain.commands import SendMessage
from domain.recipient import Recipient
from server.commands.distinct_ids import DistinctIds
from server.commands.identity import PayloadHash, stamp_for
from server.commands.sending import METHOD, SendAnswer, SendService, would_be
from server.turns import in_turns, slices


class UnstoredStream:
    """A dry run, or a repeat of a request that was carried out."""

    def __init__(
        self,
        sends: SendService,
        command: SendMessage,
        now: Callable[[], datetime],
        payload_key: bytes,
    ) -> None:
        self._sends = sends
        self._command = command
        self._now = now
        self._payload = PayloadHash(command, payload_key)
        self._taken = 0
        self._distinct = DistinctIds()

    async def add(self, recipients: Sequence[Recipient]) -> None:
        """Counts and hashes."""
        await self._payload.add(recipients)
        self._taken += len(recipients)
        async for some in in_turns(slices(recipients)):
            self._distinct.add(recipient.id for recipient in some)

    async def submit(self) -> SendAnswer:
        """The first answer again, or what would be; raises RequestIdReused."""
        total = self._distinct.count()
        self._distinct.close()
        stamp = stamp_for(METHOD, self._command, self._payload.hexdigest())
        if (answer := await self._sends.answer_again(stamp)) is not None:
            return answer
        return SendAnswer(would_be(self._command, total, self._now()), self._taken - total)

    async def abandon(self, cause: str) -> None:  # noqa: ARG002 - nothing is written that could tell it
        """Nothing is there to give up but the count."""
        self._distinct.close()
