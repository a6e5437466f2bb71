"""MessageRenderer: what a batch's deliveries say, with each recipient's name and variables filled in.

A letter is rendered when it is about to leave, and a large one while no other is: a batch of large templates rendered
at once would take the memory of a process, and the event loop for a second.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial

import msgspec
import structlog
from cryptography.exceptions import InvalidTag

from domain.batch import Batch, fold
from domain.batch_events import BatchRecipient
from domain.content import ContentProblem, FillableContent, exceeded_content_limit
from domain.fault import ErrorType, Fault, RetryRule, Scope
from domain.message import Message, content_in_force
from domain.streams import batch_stream
from projections import erasures, sealed_names
from projections.sealed_names import BatchKey
from projections.sql import Sql
from server.commands.lookup import load_message
from server.crypto import person_keys
from server.crypto.keyed_ids import KeyedIds
from server.crypto.person_keys import BatchKeys, PersonErasedError, parted
from server.crypto.vault import MessageKey, Vault
from server.eventstore.commit import EventLog
from server.messenger.channel import OutgoingMessage

logger = structlog.get_logger()

CACHED_MESSAGES = 256  # of a few kilobytes each: more than are usually under way at once, on however many pages
CACHED_BYTES = 4 * 1024 * 1024  # of sealed contents in the cache; opened, they take several times as much
# Bytes of a sealed content: a fifth more than the largest that is accepted has, with every character of its text and
# quick replies as an escape of six bytes. A larger one, of a release before, is not opened: that may take seconds.
LARGEST_SEALED = 640 * 1024
LARGE_TEMPLATE = 4 * 1024  # bytes as JSON; filling in a smaller one takes a tenth of a millisecond
LARGE_COUNT = 50  # of placeholders
PERSON_ERASED = Fault(
    message="the person was erased: nothing is sent to them that was planned before",
    type=ErrorType.INVALID_RECIPIENT,
    scope=Scope.RECIPIENT,
    retry=RetryRule.NEVER,
)


Letter = OutgoingMessage | Fault  # a fault says why nothing can be sent to this recipient


class RenderedBatch:
    """The letter for each position but for those of people who were erased, as of an erasure's place in the log.

    All are rendered with the contents in force when `replaced_round` was the last round whose content replaced older
    ones. Of all batches of a process one large letter is rendered, or written as a request, at a time: `turn`.
    """

    def __init__(
        self,
        by_position: Mapping[int, Callable[[], Letter]],
        erased_until: int,
        replaced_round: int,
        *,
        is_large: bool,
        turn: asyncio.Lock,
    ) -> None:
        self._by_position = by_position
        self.erased_until = erased_until
        self.replaced_round = replaced_round
        self.is_large = is_large
        self.turn = turn

    def without(self, positions: Iterable[int], erased_until: int) -> "RenderedBatch":
        """Some of them were erased meanwhile."""
        gone = frozenset(positions)
        left = {position: letter for position, letter in self._by_position.items() if position not in gone}
        return RenderedBatch(left, erased_until, self.replaced_round, is_large=self.is_large, turn=self.turn)

    async def rendered(self, positions: Iterable[int]) -> Mapping[int, Letter]:
        """Return the letters for these positions; a fault for a person who was erased."""
        if not self.is_large:
            return {position: self._render(position) for position in positions}
        letters = {}
        for position in positions:
            async with self.turn:
                letters[position] = self._render(position)
                await asyncio.sleep(0)  # all that waits for the event loop has its turn
        return letters

    def _render(self, position: int) -> Letter:
        render = self._by_position.get(position)
        if render is None:
            return PERSON_ERASED
        try:
            return render()
        except PersonErasedError:
            return PERSON_ERASED
        except Exception as error:  # noqa: BLE001 - whatever it is, the delivery fails and the process goes on
            logger.warning("letter_not_rendered", position=position, error=type(error).__name__)
            return unrenderable(f"it cannot be filled in ({type(error).__name__})")


def unrenderable(words: str) -> Fault:
    """Return the fault of a content that can be sent to no recipient."""
    return Fault(message=f"nothing was sent: {words}", type=ErrorType.OTHER, scope=Scope.CONTENT, retry=RetryRule.NEVER)


class BatchPeople(msgspec.Struct, frozen=True):
    """What is kept of a batch's recipients, as of an erasure's place in the log.

    Who was erased; and by the batches of the first round where they stand, the keys and the names, sealed.
    """

    erased: frozenset[str]
    erased_until: int
    keys: Mapping[BatchKey, str]
    names: Mapping[BatchKey, bytes]


def people_of(sql: Sql, batch: Batch, erased_until: int) -> BatchPeople:
    """The query for a batch's people; `erased_until` is the place of the last erasure, 0 when there was none."""
    ids = [recipient.id for recipient in batch.recipients]
    origins = {(batch.message_id, recipient.origin_batch) for recipient in batch.recipients} if batch.round else ()
    own = (batch.message_id, batch.number)
    return BatchPeople(
        erased=erasures.erased_recipients(sql, batch.message_id, ids) if erased_until else frozenset(),
        erased_until=erased_until,
        keys=person_keys.sealed(sql, origins or [own]) if origins or batch.sealed_by_person else {},
        names=sealed_names.of_batches(sql, origins) if origins else {own: batch.sealed_names},
    )


class _Opened(msgspec.Struct, frozen=True):
    """A message as of one version of its stream, with its key and those of its contents that were needed so far.

    In place of a content that can be sent to no recipient there is a fault.
    """

    message: Message
    key: MessageKey
    contents: dict[int, FillableContent | Fault]  # by the round that brought them, 0 for the original

    @property
    def size(self) -> int:
        """The bytes of its sealed contents."""
        return len(self.message.sealed_content) + sum(map(len, self.message.corrected_contents.values()))

    def knows(self, rounds: Collection[int], replaced_round: int) -> bool:
        """Return whether this version has all these contents, and the last one that replaced others."""
        is_known = all(not number or number in self.message.corrected_contents for number in rounds)
        return is_known and self.message.replaced_round >= replaced_round

    def content(self, content_round: int) -> FillableContent | Fault:
        """Return what a delivery says that was planned with the content of a round."""
        if content_round not in self.contents:
            self.contents[content_round] = self._open(content_in_force(self.message, content_round))
        return self.contents[content_round]

    def _open(self, sealed: bytes) -> FillableContent | Fault:
        if len(sealed) > LARGEST_SEALED:
            return unrenderable(f"the content has {len(sealed):,} bytes; at most {LARGEST_SEALED:,} can be sent")
        try:
            content = self.key.open_content(sealed)
        except (msgspec.MsgspecError, RecursionError):  # a wrong key is none of them: that may be put right
            return unrenderable("the content cannot be read")
        if (words := exceeded_content_limit(content)) is not None:
            return unrenderable(words)
        is_original = sealed == self.message.sealed_content
        return FillableContent(content, text_only=is_original and not self.message.fills_every_string)


class _Origin(msgspec.Struct, frozen=True):
    """What fills in the texts of a first round's batch, by position.

    Sealed with keys of each person's own; as a release before wrote it, there are none, and the variables are clear.
    """

    keys: BatchKeys | None
    names: Mapping[int, bytes]
    variables: Mapping[int, bytes]
    clear: Mapping[int, Mapping[str, str]]

    def variable_values(self, recipient: BatchRecipient, position: int) -> Mapping[str, str]:
        """Of who stands at a position; raises PersonErasedError."""
        if self.keys is None:
            return {"name": recipient.name, **self.clear.get(position, {})}
        key = self.keys.of(position)
        return {"name": key.name(self.names.get(position, b"")), **key.variables(self.variables.get(position, b""))}


class _OriginsOnDemand(dict[int, _Origin]):
    """Origins by batch; one that the texts did not need is opened when an error may quote the recipient's name."""

    def __init__(self, known: Mapping[int, _Origin], origin: Callable[[int], _Origin]) -> None:
        super().__init__(known)
        self._origin = origin

    def __missing__(self, number: int) -> _Origin:
        self[number] = origin = self._origin(number)
        return origin


class MessageRenderer:
    """Opens the sealed content, names and variables of batches about to leave."""

    def __init__(self, log: EventLog, vault: Vault) -> None:
        self._log = log
        self._vault = vault
        self._opened: dict[str, _Opened] = {}
        self._bytes = 0  # of sealed contents in it
        self._turn = asyncio.Lock()

    async def of_batch(self, batch: Batch, people: BatchPeople, replaced_round: int = 0) -> RenderedBatch:
        """The messages; none to whom was erased. Raises Unavailable.

        `replaced_round` is the last round known to have replaced older contents.
        """
        rounds = {recipient.content_round for recipient in batch.recipients}
        opened = await self._open(batch.message_id, rounds, replaced_round)
        contents = [content for number in rounds if isinstance(content := opened.content(number), FillableContent)]
        has_variables = any(content.variables for content in contents)
        origins = await self._origins(batch, people, opened) if has_variables else {}
        later = _OriginsOnDemand(origins, lambda number: self._origin(number, _own(batch, number), people, opened))
        letters = {
            position: partial(_letter, self._vault.ids, batch, position, opened.content(recipient.content_round), later)
            for position, recipient in enumerate(batch.recipients)
            if recipient.id not in people.erased
        }
        return RenderedBatch(
            letters,
            people.erased_until,
            opened.message.replaced_round,
            is_large=any(map(_is_large, contents)),
            turn=self._turn,
        )

    async def _open(self, message_id: str, rounds: Collection[int], replaced_round: int) -> _Opened:
        """Return the message from the cache, unless its stream has gone on to a content that is needed now."""
        opened = self._opened.get(message_id)
        if opened is not None and opened.knows(rounds, replaced_round):
            return opened
        message = await load_message(self._log, message_id)
        key = await self._log.read(self._vault.message_key(message_id))
        opened = _Opened(message, key, {})
        self._keep(message_id, opened)
        return opened

    def _keep(self, message_id: str, opened: _Opened) -> None:
        """Cache a message in place of its older version, and of the oldest others as far as there is no room."""
        self._drop(message_id)
        while self._opened and (len(self._opened) >= CACHED_MESSAGES or self._bytes + opened.size > CACHED_BYTES):
            self._drop(next(iter(self._opened)))
        if opened.size <= CACHED_BYTES:
            self._opened[message_id] = opened
            self._bytes += opened.size

    def _drop(self, message_id: str) -> None:
        dropped = self._opened.pop(message_id, None)
        self._bytes -= dropped.size if dropped is not None else 0

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


def _is_large(content: FillableContent) -> bool:
    return content.template_size > LARGE_TEMPLATE or content.count > LARGE_COUNT


def _letter(
    ids: KeyedIds, batch: Batch, position: int, fillable: FillableContent | Fault, origins: Mapping[int, _Origin]
) -> OutgoingMessage | Fault:
    """Return what a recipient gets, or why they cannot; raises PersonErasedError."""
    if isinstance(fillable, Fault):
        return fillable
    recipient = batch.recipients[position]
    content = fillable.fill(_fillings(batch, position, origins) if fillable.variables else {})
    if isinstance(content, ContentProblem):
        return Fault(
            message=f"nothing was sent: the recipient {content.words}",
            type=ErrorType.OTHER,
            scope=Scope.RECIPIENT,
            retry=RetryRule.NEVER,
        )
    return OutgoingMessage(
        delivery_id=ids.delivery(batch.message_id, batch.number, position),
        recipient_id=recipient.id,
        content=content,
        variable_values=lambda: _variable_values_if_known(batch, position, origins),
    )


def _fillings(batch: Batch, position: int, origins: Mapping[int, _Origin]) -> Mapping[str, str]:
    """Return a recipient's name and variables; raises PersonErasedError."""
    recipient = batch.recipients[position]
    number, place = (recipient.origin_batch, recipient.origin_position) if batch.round else (batch.number, position)
    return origins[number].variable_values(recipient, place)


def _variable_values_if_known(batch: Batch, position: int, origins: Mapping[int, _Origin]) -> Mapping[str, str]:
    """Return the same; nothing once the person was erased, or if the key is another one."""
    try:
        return _fillings(batch, position, origins)
    except (PersonErasedError, InvalidTag):
        return {}


def _own(batch: Batch, number: int) -> Batch | None:
    """Return the batch if it is that of the first round: only its events hold the sealed variables."""
    return batch if not batch.round and batch.number == number else None
