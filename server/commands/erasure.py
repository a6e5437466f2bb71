"""ErasePerson: whatever was kept of a person can be read no more, and nothing that was planned for them leaves."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

import msgspec

from domain.commands import ErasePerson
from domain.errors import Aborted, PersonNotFound
from domain.event import RequestStamp
from domain.retention_events import PersonErased
from domain.streams import person_stream
from projections import erasures
from projections.recipient_rows import origins
from projections.sealed_names import BatchKey
from projections.sql import Sql
from server.commands.idempotency import PayloadHash, first_answer, stamp_for
from server.crypto import person_keys
from server.crypto.vault import Vault
from server.eventstore.commit import Commit, Committed, EventLog, StreamEvents

METHOD = "ErasePerson"
REDOS = 20
BATCHES_AT_ONCE = 500  # whose keys one statement writes


class ErasureService:
    """Erases people; what a person is sent afterwards has keys of its own."""

    def __init__(self, log: EventLog, vault: Vault, now: Callable[[], datetime]) -> None:
        self._log = log
        self._vault = vault
        self._now = now

    async def erase(self, command: ErasePerson) -> int:
        """Says from how many messages; 0 for who was erased before. Raises PersonNotFound, RequestIdReused, Aborted."""
        stamp = stamp_for(METHOD, command, PayloadHash(command, self._vault.payload_key).hexdigest())
        for _ in range(REDOS):
            if (answered := await first_answer(self._log, stamp)) is not None:
                return int(answered.answer["messages_affected"])
            version = len(await self._log.load(person_stream(command.recipient_id)))
            messages = await self._log.read(lambda sql: _messages_of(sql, command.recipient_id))
            if not messages or await self._erase(command, version, stamp, messages):
                return len(messages)
        raise Aborted("the person was erased by somebody else just now")

    async def _erase(
        self, command: ErasePerson, version: int, stamp: RequestStamp | None, messages: Sequence[str]
    ) -> bool:
        """False when somebody else was faster, or the person was sent to meanwhile."""
        erased = PersonErased(
            recipient_id=command.recipient_id,
            messages=tuple(messages),
            requested_by=command.owner,
            request=stamp and msgspec.structs.replace(stamp, answer={"messages_affected": len(messages)}),
            time=self._now(),
        )
        destruction = _Destruction(self._vault, erased)
        appends = [StreamEvents(person_stream(command.recipient_id), version, [erased])]
        commit = Commit(appends, guard=destruction.find, also=destruction.carry_out, destroys=True)
        return isinstance(await self._log.commit(commit), Committed)


def _messages_of(sql: Sql, recipient_id: str) -> Sequence[str]:
    found = erasures.messages_of_person(sql, recipient_id)
    if not found and not erasures.ever_erased(sql, [recipient_id]):
        raise PersonNotFound(recipient_id)
    return found


class _Destruction:
    """Of a person's keys, wherever they stand."""

    def __init__(self, vault: Vault, erased: PersonErased) -> None:
        self._vault = vault
        self._erased = erased
        self._positions: Mapping[BatchKey, Sequence[int]] = {}

    def find(self, sql: Sql) -> str | None:
        """The guard of the commit: looks for them, in those messages, if these are still all that know the person."""
        recipient_id, messages = self._erased.recipient_id, self._erased.messages
        if set(erasures.messages_of_person(sql, recipient_id)) != set(messages):
            return "other messages know the person now"
        positions: defaultdict[BatchKey, list[int]] = defaultdict(list)
        people = [(message_id, recipient_id) for message_id in messages]
        for (message_id, _), (batch_number, position) in origins(sql, people).items():
            positions[message_id, batch_number].append(position)
        self._positions = positions
        return None

    def carry_out(self, sql: Sql) -> None:
        """In the commit itself."""
        places = list(self._positions)
        for start in range(0, len(places), BATCHES_AT_ONCE):
            sealed = person_keys.sealed(sql, places[start : start + BATCHES_AT_ONCE])
            left = {
                place: person_keys.opened(self._vault, place, keys).without(self._positions[place])
                for place, keys in sealed.items()
            }
            person_keys.keep(self._vault, left)(sql)
