"""Letters: what a batch's deliveries say, with each recipient's variables filled in."""

from collections.abc import Mapping

import msgspec

from domain.batch import Batch, fold
from domain.batch_events import BatchRecipient
from domain.content import Content, fill_in
from domain.delivery import delivery_id
from domain.streams import batch_stream
from server.channels.channel import OutgoingMessage
from server.commands.lookup import load_message
from server.log.commit import EventLog
from server.log.vault import MessageKey, Vault

CACHED_MESSAGES = 16


class _Opened(msgspec.Struct, frozen=True):
    key: MessageKey
    content: Content
    has_variables: bool


class Letters:
    """Opens the sealed content and variables of batches about to leave."""

    def __init__(self, log: EventLog, vault: Vault) -> None:
        self._log = log
        self._vault = vault
        self._opened: dict[str, _Opened] = {}

    async def of_batch(self, batch: Batch) -> Mapping[int, OutgoingMessage]:
        """The message for each position; raises Unavailable."""
        opened = await self._open(batch.message_id)
        variables = await self._variables(batch, opened)
        return {
            position: OutgoingMessage(
                delivery_id=delivery_id(batch.message_id, batch.number, position),
                recipient_id=recipient.id,
                content=_addressed(opened.content, recipient, variables.get(position, {})),
            )
            for position, recipient in enumerate(batch.recipients)
        }

    async def _open(self, message_id: str) -> _Opened:
        if message_id not in self._opened:
            message = await load_message(self._log, message_id)
            key = await self._log.read(self._vault.message_key(message_id))
            if len(self._opened) >= CACHED_MESSAGES:
                self._opened.pop(next(iter(self._opened)))
            self._opened[message_id] = _Opened(key, key.open_content(message.sealed_content), message.has_variables)
        return self._opened[message_id]

    async def _variables(self, batch: Batch, opened: _Opened) -> Mapping[int, Mapping[str, str]]:
        """A resend finds the variables where its recipients stood in the first round."""
        if not opened.has_variables:
            return {}
        if not batch.round:
            return dict(enumerate(opened.key.open_variables(batch.sealed_variables, batch.number)))
        origins = {recipient.origin_batch for recipient in batch.recipients}
        sealed = {number: await self._first_variables(batch, number, opened) for number in origins}
        return {
            position: sealed[recipient.origin_batch].get(recipient.origin_position, {})
            for position, recipient in enumerate(batch.recipients)
        }

    async def _first_variables(self, batch: Batch, number: int, opened: _Opened) -> Mapping[int, Mapping[str, str]]:
        stream = batch_stream(batch.message_id, batch.stage, number)
        origin = fold(await self._log.load(stream, limit=1))
        return dict(enumerate(opened.key.open_variables(origin.sealed_variables, number)))


def _addressed(content: Content, recipient: BatchRecipient, variables: Mapping[str, str]) -> Content:
    text = fill_in(content.text, {"name": recipient.name, **variables})
    return msgspec.structs.replace(content, text=text)
