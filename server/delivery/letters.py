"""Letters: what a batch's deliveries say, with each recipient's name and variables filled in."""

from collections.abc import Collection, Iterable, Mapping

import msgspec

from domain.batch import Batch, fold
from domain.batch_events import BatchRecipient
from domain.content import Content, ContentProblem, FillableContent
from domain.delivery import delivery_id
from domain.fault import ErrorType, Fault, RetryRule, Scope
from domain.message import Message, content_in_force
from domain.streams import batch_stream
from projections import erasures, sealed_names
from projections.sealed_names import BatchPlace
from projections.sql import Sql
from server.channels.channel import OutgoingMessage
from server.commands.lookup import load_message
from server.log import person_keys
from server.log.commit import EventLog
from server.log.person_keys import BatchKeys, PersonErasedError, parted
from server.log.vault import MessageKey, Vault

CACHED_MESSAGES = 256  # of a few kilobytes each: more than are usually under way at once, on however many pages
PERSON_ERASED = Fault(
    message="the person was erased: nothing is sent to them that was planned before",
    type=ErrorType.INVALID_RECIPIENT,
    scope=Scope.RECIPIENT,
    retry=RetryRule.NEVER,
)


class BatchLetters(msgspec.Struct, frozen=True):
    """The message for each position but for those of people who were erased, as of an erasure's place in the log.

    A fault instead of a message says why the content cannot be filled in for the recipient. All were rendered when
    `replaced_round` was the last round whose content replaced older ones.
    """

    by_position: Mapping[int, OutgoingMessage | Fault]
    erased_until: int
    replaced_round: int = 0

    def without(self, positions: Iterable[int], erased_until: int) -> "BatchLetters":
        """Some of them were erased meanwhile."""
        gone = frozenset(positions)
        left = {position: letter for position, letter in self.by_position.items() if position not in gone}
        return BatchLetters(left, erased_until, self.replaced_round)


class BatchPeople(msgspec.Struct, frozen=True):
    """What is kept of a batch's recipients, as of an erasure's place in the log.

    Who was erased; and by the batches of the first round where they stand, the keys and the names, sealed.
    """

    erased: frozenset[str]
    erased_until: int
    keys: Mapping[BatchPlace, str]
    names: Mapping[BatchPlace, bytes]


def people_of(sql: Sql, batch: Batch, erased_until: int) -> BatchPeople:
    """The query for a batch's people; `erased_until` is the place of the last erasure, 0 when there was none."""
    ids = [recipient.id for recipient in batch.recipients]
    origins = {(batch.message_id, recipient.origin_batch) for recipient in batch.recipients} if batch.round else ()
    own = (batch.message_id, batch.number)
    return BatchPeople(
        erased=erasures.erased_among(sql, batch.message_id, ids) if erased_until else frozenset(),
        erased_until=erased_until,
        keys=person_keys.sealed(sql, origins or [own]) if origins or batch.sealed_by_person else {},
        names=sealed_names.of_batches(sql, origins) if origins else {own: batch.sealed_names},
    )


class _Opened(msgspec.Struct, frozen=True):
    """A message as of one version of its stream, with its key and those of its contents that were needed so far."""

    message: Message
    key: MessageKey
    contents: dict[int, FillableContent]  # by the round that brought them, 0 for the original

    def knows(self, rounds: Collection[int], replaced_round: int) -> bool:
        """Return whether this version has all these contents, and the last one that replaced others."""
        is_known = all(not number or number in self.message.contents for number in rounds)
        return is_known and self.message.replaced_round >= replaced_round

    def content(self, content_round: int) -> FillableContent:
        """Return what a delivery says that was planned with the content of a round."""
        if content_round not in self.contents:
            sealed = content_in_force(self.message, content_round)
            is_original = sealed == self.message.sealed_content
            text_only = is_original and not self.message.fills_every_string
            self.contents[content_round] = FillableContent(self.key.open_content(sealed), text_only=text_only)
        return self.contents[content_round]


class _Origin(msgspec.Struct, frozen=True):
    """What fills in the texts of a first round's batch, by position.

    Sealed with keys of each person's own; as a release before wrote it, there are none, and the variables are clear.
    """

    keys: BatchKeys | None
    names: Mapping[int, bytes]
    variables: Mapping[int, bytes]
    clear: Mapping[int, Mapping[str, str]]

    def fillings(self, recipient: BatchRecipient, position: int) -> Mapping[str, str]:
        """Of who stands at a position; raises PersonErasedError."""
        if self.keys is None:
            return {"name": recipient.name, **self.clear.get(position, {})}
        key = self.keys.of(position)
        return {"name": key.name(self.names.get(position, b"")), **key.variables(self.variables.get(position, b""))}


class Letters:
    """Opens the sealed content, names and variables of batches about to leave."""

    def __init__(self, log: EventLog, vault: Vault) -> None:
        self._log = log
        self._vault = vault
        self._opened: dict[str, _Opened] = {}

    async def of_batch(self, batch: Batch, people: BatchPeople, replaced_round: int = 0) -> BatchLetters:
        """The messages; none to whom was erased. Raises Unavailable.

        `replaced_round` is the last round known to have replaced older contents.
        """
        rounds = {recipient.content_round for recipient in batch.recipients}
        opened = await self._open(batch.message_id, rounds, replaced_round)
        has_variables = any(opened.content(number).variables for number in rounds)
        origins = await self._origins(batch, people, opened) if has_variables else {}
        letters: dict[int, OutgoingMessage | Fault] = {}
        for position, recipient in enumerate(batch.recipients):
            content = _content(batch, position, opened, origins)
            if content is not None and recipient.id not in people.erased:
                letters[position] = _letter(batch, position, content)
        return BatchLetters(letters, people.erased_until, opened.message.replaced_round)

    async def _open(self, message_id: str, rounds: Collection[int], replaced_round: int) -> _Opened:
        """Return the message from the cache, unless its stream has gone on to a content that is needed now."""
        opened = self._opened.get(message_id)
        if opened is not None and opened.knows(rounds, replaced_round):
            return opened
        message = await load_message(self._log, message_id)
        key = await self._log.read(self._vault.message_key(message_id))
        if opened is None and len(self._opened) >= CACHED_MESSAGES:
            self._opened.pop(next(iter(self._opened)))
        self._opened[message_id] = opened = _Opened(message, key, {})
        return opened

    async def _origins(self, batch: Batch, people: BatchPeople, opened: _Opened) -> Mapping[int, _Origin]:
        """A resend finds names and variables where its recipients stood in the first round."""
        if not batch.round:
            return {batch.number: self._origin(batch.number, batch, people, opened)}
        numbers = {recipient.origin_batch for recipient in batch.recipients}
        return {
            number: self._origin(number, await self._first(batch, number, opened), people, opened) for number in numbers
        }

    async def _first(self, batch: Batch, number: int, opened: _Opened) -> Batch | None:
        """A batch of the first round, where there are variables."""
        if not opened.message.has_variables:
            return None
        return fold(await self._log.load(batch_stream(batch.message_id, batch.stage, number), limit=1))

    def _origin(self, number: int, first: Batch | None, people: BatchPeople, opened: _Opened) -> _Origin:
        place = (opened.message.id, number)
        variables = first.sealed_variables if first is not None else b""
        if place not in people.keys:
            clear = opened.key.open_variables(variables, number)
            return _Origin(keys=None, names={}, variables={}, clear=dict(enumerate(clear)))
        return _Origin(
            keys=person_keys.opened(self._vault, place, people.keys[place]),
            names=dict(enumerate(parted(people.names.get(place, b"")))),
            variables=dict(enumerate(parted(variables))),
            clear={},
        )


def _content(
    batch: Batch, position: int, opened: _Opened, origins: Mapping[int, _Origin]
) -> Content | ContentProblem | None:
    """Return what a recipient gets, or why they cannot; None for a person who was erased."""
    recipient = batch.recipients[position]
    content = opened.content(recipient.content_round)
    if not content.variables:
        return content.filled({})
    number, place = (recipient.origin_batch, recipient.origin_position) if batch.round else (batch.number, position)
    try:
        fillings = origins[number].fillings(recipient, place)
    except PersonErasedError:
        return None
    return content.filled(fillings)


def _letter(batch: Batch, position: int, content: Content | ContentProblem) -> OutgoingMessage | Fault:
    if isinstance(content, ContentProblem):
        return Fault(
            message=f"nothing was sent: the recipient {content.words}",
            type=ErrorType.OTHER,
            scope=Scope.RECIPIENT,
            retry=RetryRule.NEVER,
        )
    return OutgoingMessage(
        delivery_id=delivery_id(batch.message_id, batch.number, position),
        recipient_id=batch.recipients[position].id,
        content=content,
    )
