"""ErasePerson: destroys a person's keys, so that what is stored of them cannot be decrypted any more."""

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
from server.commands.decisions import Decision, commit_once
from server.commands.idempotency import PayloadHash, stamp_for
from server.crypto import person_keys
from server.crypto.vault import Vault
from server.eventstore.commit import Commit, EventLog, StreamEvents

METHOD = "ErasePerson"
BATCHES_AT_ONCE = 500  # whose keys one statement writes


class ErasureService:
    """Erases people. What is sent to them afterwards has new keys."""

    def __init__(self, log: EventLog, vault: Vault, now: Callable[[], datetime]) -> None:
        self._log = log
        self._vault = vault
        self._now = now

    async def erase(self, command: ErasePerson) -> int:
        """Erase a person and return from how many messages; 0 for a person that is erased already.

        Raises PersonNotFound, RequestIdReused, Aborted, Unavailable.
        """
        stamp = stamp_for(METHOD, command, PayloadHash(command, self._vault.payload_key).hexdigest())

        async def decision() -> Decision[int]:
            version = len(await self._log.load(person_stream(command.recipient_id)))
            messages = await self._log.read(lambda sql: _messages_of(sql, command.recipient_id))
            commit = self._commit(command, version, stamp, messages) if messages else None
            return Decision(len(messages), commit)

        aborted = Aborted("the person or their messages changed too often during the request")
        return await commit_once(self._log, stamp, decision, lambda answer: int(answer["messages_affected"]), aborted)

    def _commit(
        self, command: ErasePerson, version: int, stamp: RequestStamp | None, messages: Sequence[str]
    ) -> Commit:
        erased = PersonErased(
            recipient_id=command.recipient_id,
            messages=tuple(messages),
            requested_by=command.owner,
            request=stamp and msgspec.structs.replace(stamp, answer={"messages_affected": len(messages)}),
            time=self._now(),
        )
        destruction = _KeyDestruction(self._vault, erased)
        appends = [StreamEvents(person_stream(command.recipient_id), version, [erased])]
        return Commit(appends, guard=destruction.find, also=destruction.destroy, destroys=True)


def _messages_of(sql: Sql, recipient_id: str) -> Sequence[str]:
    found = erasures.messages_of_person(sql, recipient_id)
    if not found and not erasures.ever_erased(sql, [recipient_id]):
        raise PersonNotFound(recipient_id)
    return found


class _KeyDestruction:
    """Finds and destroys a person's keys in the transaction of the commit."""

    def __init__(self, vault: Vault, erased: PersonErased) -> None:
        self._vault = vault
        self._erased = erased
        self._positions: Mapping[BatchKey, Sequence[int]] = {}

    def find(self, sql: Sql) -> str | None:
        """Find the person's places in the event's messages, or refuse the commit if other messages have the person."""
        recipient_id, messages = self._erased.recipient_id, self._erased.messages
        if set(erasures.messages_of_person(sql, recipient_id)) != set(messages):
            return "other messages have the person now"
        positions: defaultdict[BatchKey, list[int]] = defaultdict(list)
        people = [(message_id, recipient_id) for message_id in messages]
        for (message_id, _), (batch_number, position) in origins(sql, people).items():
            positions[message_id, batch_number].append(position)
        self._positions = positions
        return None

    def destroy(self, sql: Sql) -> None:
        """Store the keys of each batch again, without the person's."""
        places = list(self._positions)
        for start in range(0, len(places), BATCHES_AT_ONCE):
            sealed = person_keys.load_sealed_keys(sql, places[start : start + BATCHES_AT_ONCE])
            left = {
                place: person_keys.open_keys(self._vault, place, keys).without(self._positions[place])
                for place, keys in sealed.items()
            }
            person_keys.save_keys(self._vault, left)(sql)
