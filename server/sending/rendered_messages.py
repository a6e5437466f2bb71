"""Renders the messages of a batch: the content with each recipient's name and variables filled in.

A message is rendered when it is about to leave, and a large one while no other is being rendered. A batch of large
templates rendered at once would use up the memory of the process and block the event loop for a second.
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
from domain.fault import ErrorType, Fault, FaultScope, RetryRule
from domain.message import Message, content_in_force
from domain.streams import batch_stream
from projections import erasures, sealed_names
from projections.sealed_names import BatchKey
from projections.sql import Sql
from server.commands.lookup import load_message
from server.crypto import person_keys
from server.crypto.keyed_ids import KeyedIds
from server.crypto.person_keys import BatchKeys, PersonErasedError, unpack
from server.crypto.vault import MessageKey, Vault
from server.eventstore.commit import EventLog
from server.eventstore.stream import first_events_of
from server.messenger.channel import OutgoingMessage

logger = structlog.get_logger()

CACHED_MESSAGES = 256  # of a few kilobytes each: more than are usually sent at once, on any number of pages
CACHED_BYTES = 4 * 1024 * 1024  # of sealed contents in the cache; opened, they take several times as much
# Bytes of a sealed content: a fifth more than the largest accepted one has, with every character of its text and
# quick replies as an escape of six bytes. A larger one, from an earlier release, is not opened: that may take seconds.
LARGEST_SEALED = 640 * 1024
LARGE_TEMPLATE = 4 * 1024  # bytes as JSON; filling in a smaller one takes a tenth of a millisecond
LARGE_COUNT = 50  # of placeholders
PERSON_ERASED = Fault(
    message="the person was erased: nothing is sent to them that was planned before",
    type=ErrorType.INVALID_RECIPIENT,
    scope=FaultScope.RECIPIENT,
    retry=RetryRule.NEVER,
)

RenderedMessage = OutgoingMessage | Fault  # a fault says why the recipient cannot be sent the message


class BatchRecipients(msgspec.Struct, frozen=True):
    """What is stored about a batch's recipients, as of the erasure at position `erased_until` of the event store.

    `keys` and `names` are sealed, by batch of the first round.
    """

    erased: frozenset[str]
    erased_until: int
    keys: Mapping[BatchKey, str]
    names: Mapping[BatchKey, bytes]


def load_recipients(sql: Sql, batch: Batch, erased_until: int) -> BatchRecipients:
    """Return what is stored about a batch's recipients; `erased_until` is the last erasure's position, 0 for none."""
    ids = [recipient.id for recipient in batch.recipients]
    origins = {(batch.message_id, recipient.origin_batch) for recipient in batch.recipients} if batch.round else ()
    own = (batch.message_id, batch.number)
    return BatchRecipients(
        erased=erasures.erased_recipients(sql, batch.message_id, ids) if erased_until else frozenset(),
        erased_until=erased_until,
        keys=person_keys.load_sealed_keys(sql, origins or [own]) if origins or batch.sealed_by_person else {},
        names=sealed_names.of_batches(sql, origins) if origins else {own: batch.sealed_names},
    )


class RenderedBatch:
    """Renders the messages of one batch on demand, but for recipients erased up to position `erased_until`.

    All are rendered with the contents that applied when `replaced_round` was the last round whose content replaced
    older ones. `large_message_lock` is shared by all batches of a process: one large message is rendered, or written
    as a request, at a time.
    """

    def __init__(
        self,
        renderers: Mapping[int, Callable[[], RenderedMessage]],
        erased_until: int,
        replaced_round: int,
        *,
        is_large: bool,
        large_message_lock: asyncio.Lock,
    ) -> None:
        self._renderers = renderers
        self.erased_until = erased_until
        self.replaced_round = replaced_round
        self.is_large = is_large
        self.large_message_lock = large_message_lock

    def without(self, positions: Iterable[int], erased_until: int) -> "RenderedBatch":
        """Return the batch without recipients who have been erased since it was rendered."""
        gone = frozenset(positions)
        return RenderedBatch(
            {position: render for position, render in self._renderers.items() if position not in gone},
            erased_until,
            self.replaced_round,
            is_large=self.is_large,
            large_message_lock=self.large_message_lock,
        )

    async def render(self, positions: Iterable[int]) -> Mapping[int, RenderedMessage]:
        """Return the messages for these positions; a fault for an erased recipient."""
        if not self.is_large:
            return {position: self._render(position) for position in positions}
        messages = {}
        for position in positions:
            async with self.large_message_lock:
                messages[position] = self._render(position)
                await asyncio.sleep(0)  # let other tasks of the event loop run
        return messages

    def _render(self, position: int) -> RenderedMessage:
        render = self._renderers.get(position)
        if render is None:
            return PERSON_ERASED
        try:
            return render()
        except PersonErasedError:
            return PERSON_ERASED
        except Exception as error:  # noqa: BLE001 - any error fails the delivery, not the process
            logger.warning("message_not_rendered", position=position, error=type(error).__name__)
            return unrenderable(f"it cannot be filled in ({type(error).__name__})")


def unrenderable(reason: str) -> Fault:
    """Return the fault of a content that can be sent to no recipient."""
    return Fault(
        message=f"nothing was sent: {reason}", type=ErrorType.OTHER, scope=FaultScope.CONTENT, retry=RetryRule.NEVER
    )


class MessageRenderer:
    """Opens the sealed content, names and variables of batches that are about to leave."""

    def __init__(self, log: EventLog, vault: Vault) -> None:
        self._log = log
        self._vault = vault
        self._cache: dict[str, _OpenedMessage] = {}
        self._cached_bytes = 0  # of sealed contents
        self._large_message_lock = asyncio.Lock()

    async def prepare(self, batch: Batch, recipients: BatchRecipients, replaced_round: int = 0) -> RenderedBatch:
        """Return a batch ready to be rendered; `replaced_round` is the last one known to have replaced older contents.

        Raises Unavailable.
        """
        rounds = {recipient.content_round for recipient in batch.recipients}
        opened = await self._open(batch.message_id, rounds, replaced_round)
        contents = [content for number in rounds if isinstance(content := opened.content(number), FillableContent)]
        has_variables = any(content.variables for content in contents)
        sources = await self._sources(batch, recipients, opened) if has_variables else {}
        all_sources = _SourcesOnDemand(
            sources, lambda number: self._source(number, _own_variables(batch, number), recipients, opened)
        )
        renderers = {
            position: partial(
                _render, self._vault.ids, batch, position, opened.content(recipient.content_round), all_sources
            )
            for position, recipient in enumerate(batch.recipients)
            if recipient.id not in recipients.erased
        }
        return RenderedBatch(
            renderers,
            recipients.erased_until,
            opened.message.replaced_round,
            is_large=any(map(_is_large, contents)),
            large_message_lock=self._large_message_lock,
        )

    async def _open(self, message_id: str, rounds: Collection[int], replaced_round: int) -> "_OpenedMessage":
        """Return the message from the cache, or load it if the cached version lacks a content that is needed."""
        opened = self._cache.get(message_id)
        if opened is not None and opened.has_contents(rounds, replaced_round):
            return opened
        message = await load_message(self._log, message_id)
        key = await self._log.read(self._vault.message_key(message_id))
        opened = _OpenedMessage(message, key, {})
        self._add_to_cache(message_id, opened)
        return opened

    def _add_to_cache(self, message_id: str, opened: "_OpenedMessage") -> None:
        """Replace the message's older version, and remove the oldest others until there is room."""
        self._remove_from_cache(message_id)
        while self._cache and (len(self._cache) >= CACHED_MESSAGES or self._cached_bytes + opened.size > CACHED_BYTES):
            self._remove_from_cache(next(iter(self._cache)))
        if opened.size <= CACHED_BYTES:
            self._cache[message_id] = opened
            self._cached_bytes += opened.size

    def _remove_from_cache(self, message_id: str) -> None:
        removed = self._cache.pop(message_id, None)
        self._cached_bytes -= removed.size if removed is not None else 0

    async def _sources(
        self, batch: Batch, recipients: BatchRecipients, opened: "_OpenedMessage"
    ) -> Mapping[int, "_Source"]:
        """Return the values of a batch's recipients, by batch of the first round, with at most one read."""
        if not batch.round:
            return {batch.number: self._source(batch.number, batch.sealed_variables, recipients, opened)}
        numbers = {recipient.origin_batch for recipient in batch.recipients}
        if opened.message.has_variables:
            variables = await self._first_round_variables(batch, numbers)
        else:
            variables = dict.fromkeys(numbers, b"")
        return {number: self._source(number, variables[number], recipients, opened) for number in numbers}

    async def _first_round_variables(self, batch: Batch, numbers: Collection[int]) -> Mapping[int, bytes]:
        """Return the sealed variables of batches of the first round, which only their first events hold."""
        streams = {batch_stream(batch.message_id, batch.stage, number): number for number in numbers}

        def query(sql: Sql) -> Mapping[int, bytes]:
            first_events = first_events_of(sql, list(streams))
            return {streams[stream]: fold([event]).sealed_variables for stream, event in first_events}

        return await self._log.read(query)

    def _source(
        self, number: int, variables: bytes, recipients: BatchRecipients, opened: "_OpenedMessage"
    ) -> "_Source":
        batch_key = (opened.message.id, number)
        if batch_key not in recipients.keys:
            clear = opened.key.open_variables(variables, number)
            return _Source(keys=None, names={}, variables={}, clear=dict(enumerate(clear)))
        return _Source(
            keys=person_keys.open_keys(self._vault, batch_key, recipients.keys[batch_key]),
            names=dict(enumerate(unpack(recipients.names.get(batch_key, b"")))),
            variables=dict(enumerate(unpack(variables))),
            clear={},
        )


class _OpenedMessage(msgspec.Struct, frozen=True):
    """A message as of one version of its stream, with its key and the contents that were needed so far.

    A content that can be sent to no recipient is a fault here.
    """

    message: Message
    key: MessageKey
    contents: dict[int, FillableContent | Fault]  # by the round that brought them, 0 for the original

    @property
    def size(self) -> int:
        """Return the bytes of its sealed contents."""
        return len(self.message.sealed_content) + sum(map(len, self.message.corrected_contents.values()))

    def has_contents(self, rounds: Collection[int], replaced_round: int) -> bool:
        """Return whether this version has the contents of these rounds, and knows the last one that replaced others."""
        has_all = all(not number or number in self.message.corrected_contents for number in rounds)
        return has_all and self.message.replaced_round >= replaced_round

    def content(self, content_round: int) -> FillableContent | Fault:
        """Return the content of deliveries that were planned with the content of this round."""
        if content_round not in self.contents:
            self.contents[content_round] = self._open(content_in_force(self.message, content_round))
        return self.contents[content_round]

    def _open(self, sealed: bytes) -> FillableContent | Fault:
        if len(sealed) > LARGEST_SEALED:
            return unrenderable(f"the content has {len(sealed):,} bytes; at most {LARGEST_SEALED:,} can be sent")
        try:
            content = self.key.open_content(sealed)
        except (msgspec.MsgspecError, RecursionError):  # not InvalidTag: a wrong key can be corrected
            return unrenderable("the content cannot be read")
        if (excess := exceeded_content_limit(content)) is not None:
            return unrenderable(excess)
        is_original = sealed == self.message.sealed_content
        return FillableContent(content, text_only=is_original and not self.message.fills_every_string)


class _Source(msgspec.Struct, frozen=True):
    """Names and variables of one batch of the first round, by position, sealed with a key per person.

    A batch from an earlier release has no such keys: its variables are in `clear`, its names in its recipients.
    """

    keys: BatchKeys | None
    names: Mapping[int, bytes]
    variables: Mapping[int, bytes]
    clear: Mapping[int, Mapping[str, str]]

    def values(self, recipient: BatchRecipient, position: int) -> Mapping[str, str]:
        """Return the name and variables at a position; raises PersonErasedError."""
        if self.keys is None:
            return {"name": recipient.name, **self.clear.get(position, {})}
        key = self.keys.key_at(position)
        return {"name": key.name(self.names.get(position, b"")), **key.variables(self.variables.get(position, b""))}


class _SourcesOnDemand(dict[int, _Source]):
    """Sources by batch; one that the contents do not need is opened when an error may quote the recipient's name."""

    def __init__(self, known: Mapping[int, _Source], open_source: Callable[[int], _Source]) -> None:
        super().__init__(known)
        self._open_source = open_source

    def __missing__(self, number: int) -> _Source:
        self[number] = source = self._open_source(number)
        return source


def _own_variables(batch: Batch, number: int) -> bytes:
    """Return the sealed variables that the batch itself holds: only those of the first round do."""
    return batch.sealed_variables if not batch.round and batch.number == number else b""


def _is_large(content: FillableContent) -> bool:
    return content.template_size > LARGE_TEMPLATE or content.count > LARGE_COUNT


def _render(
    ids: KeyedIds, batch: Batch, position: int, fillable: FillableContent | Fault, sources: Mapping[int, _Source]
) -> RenderedMessage:
    """Return the message for one recipient, or the fault that prevents it; raises PersonErasedError."""
    if isinstance(fillable, Fault):
        return fillable
    recipient = batch.recipients[position]
    content = fillable.fill(_variable_values(batch, position, sources) if fillable.variables else {})
    if isinstance(content, ContentProblem):
        return Fault(
            message=f"nothing was sent: the recipient {content.words}",
            type=ErrorType.OTHER,
            scope=FaultScope.RECIPIENT,
            retry=RetryRule.NEVER,
        )
    return OutgoingMessage(
        delivery_id=ids.delivery(batch.message_id, batch.number, position),
        recipient_id=recipient.id,
        content=content,
        variable_values=lambda: _recipient_values_if_known(batch, position, sources),
    )


def _variable_values(batch: Batch, position: int, sources: Mapping[int, _Source]) -> Mapping[str, str]:
    """Return a recipient's name and variables; raises PersonErasedError."""
    recipient = batch.recipients[position]
    number, origin = (recipient.origin_batch, recipient.origin_position) if batch.round else (batch.number, position)
    return sources[number].values(recipient, origin)


def _recipient_values_if_known(batch: Batch, position: int, sources: Mapping[int, _Source]) -> Mapping[str, str]:
    """Return a recipient's name and variables; none if the recipient was erased or the server's key is another one."""
    try:
        return _variable_values(batch, position, sources)
    except (PersonErasedError, InvalidTag):
        return {}
