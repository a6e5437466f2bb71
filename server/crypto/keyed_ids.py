"""Ids that only a server with the secret key can make (docs/decisions/030-receipts.md).

A message's id cannot be computed from its owner and request_id, and a delivery's id ends with a tag, so that metadata
which another application made up for the platform is no evidence. Deliveries of messages from the release before have
no tag: their messages are known by the kind of their ids.
"""

import hashlib
import hmac
import os
from uuid import UUID, uuid4, uuid5

from domain.delivery import delivery_id, parse_delivery_id
from domain.message import is_keyed, keyed_message_id
from projections import requests
from projections.requests import AnsweredRequest
from projections.sql import Sql
from server.eventstore.rolling_upgrade import older_release_is_running

MESSAGE_IDS = "message ids"
_DELIVERY_IDS = b"delivery ids"
_OLDER_MESSAGES = UUID("5d3c0d7e-52a4-4cf2-9c8f-0e3a6f2f8b11")  # namespace of the release before
_TAG_BYTES = 10  # guessing is possible only online, one call per 1,000 guesses

Place = tuple[str, int, int]  # message, batch number, position


class KeyedIds:
    """Makes ids, and recognises them; its repr shows no key.

    `message_key` is derived from the server's key of today: a repeated request is found by the table of requests, not
    by the id. `tag_key` outlives a rotation, since the platform may bring back metadata from before it.
    """

    def __init__(self, message_key: bytes, tag_key: bytes) -> None:
        self._message_key = message_key
        self._tag_key = hashlib.blake2b(_DELIVERY_IDS, key=tag_key, digest_size=32).digest()

    def message_of(self, sql: Sql, owner: str, method: str, request_id: str) -> str:
        """Return the id of the message that a request made, or else is to make.

        While a server of the release before is at work, the id is the one that this server would make: both then write
        to one stream, and either finds the other's message.
        """
        if request_id and (answered := requests.find(sql, owner, method, request_id)) is not None:
            return self.message_answered(answered, owner, request_id)
        return (
            older_message_id(owner, request_id)
            if older_release_is_running(sql)
            else self.new_message(owner, request_id)
        )

    def message_answered(self, answered: AnsweredRequest, owner: str, request_id: str) -> str:
        """Return the id of the message that a request made; the release before did not record it in the answer."""
        return str(answered.answer.get("message_id") or older_message_id(owner, request_id))

    def new_message(self, owner: str, request_id: str) -> str:
        """Return the id of a message that no server has made yet; random without a request_id."""
        if not request_id:
            return keyed_message_id(os.urandom(16))
        return keyed_message_id(_keyed(self._message_key, f"{owner}\x00{request_id}", 16))

    def delivery(self, message_id: str, batch_number: int, position: int) -> str:
        """Return the id of a delivery, with its tag."""
        if not is_keyed(message_id):
            return delivery_id(message_id, batch_number, position)
        place = delivery_id(message_id, batch_number, position)
        return delivery_id(message_id, batch_number, position, _keyed(self._tag_key, place, _TAG_BYTES).hex())

    def place_of(self, metadata: str) -> Place | None:
        """Return where a delivery is by its id; None for metadata that this server's key did not make."""
        place = parse_delivery_id(metadata)
        if place is None or not hmac.compare_digest(self.delivery(*place).encode(), metadata.encode()):
            return None
        return place


def older_message_id(owner: str, request_id: str) -> str:
    """Return the id as the release before makes it; random without a request_id."""
    return str(uuid5(_OLDER_MESSAGES, f"{owner}\x00{request_id}") if request_id else uuid4())


def _keyed(key: bytes, text: str, size: int) -> bytes:
    return hashlib.blake2b(text.encode(), key=key, digest_size=size).digest()
