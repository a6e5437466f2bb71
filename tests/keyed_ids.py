"""Ids that a server with the tests' key creates."""

from domain.message import keyed_message_id
from server.crypto.key_ring import SealingKey
from server.crypto.keyed_ids import MESSAGE_IDS, KeyedIds
from server.crypto.vault import Vault

KEY = SealingKey(bytes(range(32)))
IDS: KeyedIds = Vault(KEY).ids


def keyed(number: int) -> str:
    """Return a message id that is keyed with the server's secret."""
    return keyed_message_id(number.to_bytes(16, "big"))


def message_id_for(owner: str, request_id: str, key: SealingKey = KEY) -> str:
    """Return the message id that a new request gets."""
    return KeyedIds(key.derive(MESSAGE_IDS), b"").new_message(owner, request_id)
