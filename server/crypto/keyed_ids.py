"""Ids of messages and deliveries that only a server with the secret key can make (docs/decisions/030-receipts.md).

A delivery's id is sent to the platform as metadata and returns in receipts. It ends with a tag, so that metadata which
another application invented is not accepted as evidence. A message's id cannot be computed from its owner and
request_id. Messages of the previous release have ids of another form, and their deliveries have no tag.
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
_OLDER_MESSAGES = UUID("5d3c0d7e-52a4-4cf2-9c8f-0e3a6f2f8b11")  # namespace of the previous release
_TAG_BYTES = 10  # a tag can be guessed only online, 1,000 guesses per call

DeliveryPlace = tuple[str, int, int]  # message, batch number, position


class KeyedIds:
    """Makes and verifies ids. Its repr does not show the keys.

    `message_key` is derived from the server's current key: a repeated request is found in the table of requests, not by
    its id. `tag_key` does not change in a rotation, since the platform may return metadata from before it.
    """

    def __init__(self, message_key: bytes, tag_key: bytes) -> None:
        self._message_key = message_key
        self._tag_key = hashlib.blake2b(_DELIVERY_IDS, key=tag_key, digest_size=32).digest()

    def message_of(self, sql: Sql, owner: str, method: str, request_id: str) -> str:
        """Return the id of the message that a request created, or of the message that it will create.

        While a server of the previous release runs, the new id has the form of that release: both servers then write to
        one stream, and each finds the message of the other.
        """
        if request_id and (answered := requests.find(sql, owner, method, request_id)) is not None:
            return self.message_answered(answered, owner, request_id)
        return (
            older_message_id(owner, request_id)
            if older_release_is_running(sql)
            else self.new_message(owner, request_id)
        )

    def message_answered(self, answered: AnsweredRequest, owner: str, request_id: str) -> str:
        """Return the id of the message that a request created; the previous release did not store it in the answer."""
        return str(answered.answer.get("message_id") or older_message_id(owner, request_id))

    def new_message(self, owner: str, request_id: str) -> str:
        """Return the id of a message to be created; random without a request_id."""
        if not request_id:
            return keyed_message_id(os.urandom(16))
        return keyed_message_id(_keyed(self._message_key, f"{owner}\x00{request_id}", 16))

    def delivery(self, message_id: str, batch_number: int, position: int) -> str:
        """Return the id of a delivery, with its tag; without one for a message of the previous release."""
        if not is_keyed(message_id):
            return delivery_id(message_id, batch_number, position)
        untagged = delivery_id(message_id, batch_number, position)
        return delivery_id(message_id, batch_number, position, _keyed(self._tag_key, untagged, _TAG_BYTES).hex())

    def verified_place(self, metadata: str) -> DeliveryPlace | None:
        """Return the place of a delivery from its id; None if the id was not made with this server's key."""
        place = parse_delivery_id(metadata)
        if place is None or not hmac.compare_digest(self.delivery(*place).encode(), metadata.encode()):
            return None
        return place


def older_message_id(owner: str, request_id: str) -> str:
    """Return a message id as the previous release makes it; random without a request_id."""
    return str(uuid5(_OLDER_MESSAGES, f"{owner}\x00{request_id}") if request_id else uuid4())


def _keyed(key: bytes, text: str, size: int) -> bytes:
    return hashlib.blake2b(text.encode(), key=key, digest_size=size).digest()
