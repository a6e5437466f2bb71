"""Person keys: one key per recipient of a message seals that recipient's name and variables.

To erase a person is to destroy all keys of that person's deliveries.

The keys of a batch are in one row, sealed with the server's key. One sealed row per person was measured first: it added
more than 20 microseconds per recipient to a Send, a quarter of the total; one row per batch adds 6. With keys per
message, a Send looks up no key, and two concurrent Sends to one person do not wait for each other.

A key seals one name and one set of variables, so its two nonces can be constants. A destroyed key is all zeros.
"""

import os
from collections.abc import Callable, Collection, Mapping, Sequence

import msgspec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from projections.sealed_names import BatchKey
from projections.sql import BulkRows, Sql
from server.crypto.key_ring import KEY_BYTES
from server.crypto.vault import Vault

_NAME_NONCE = bytes(12)
_VARIABLES_NONCE = bytes(11) + b"\1"
_DESTROYED = bytes(KEY_BYTES)

Write = Callable[[Sql], None]


class PersonErasedError(Exception):
    """The person's key was destroyed: the name and the variables cannot be opened."""


class PersonKey:
    """Seals and opens one recipient's name and variables; raises cryptography's InvalidTag for anything else."""

    __slots__ = ("_cipher",)

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    def seal_name(self, name: str) -> bytes:
        """Return the sealed name; empty for an empty name."""
        return self._cipher.encrypt(_NAME_NONCE, name.encode(), None) if name else b""

    def name(self, sealed: bytes) -> str:
        """Return the name that was sealed."""
        return self._cipher.decrypt(_NAME_NONCE, sealed, None).decode() if sealed else ""

    def seal_variables(self, variables: Mapping[str, str]) -> bytes:
        """Return the sealed variables; empty for none."""
        return self._cipher.encrypt(_VARIABLES_NONCE, msgspec.json.encode(variables), None) if variables else b""

    def variables(self, sealed: bytes) -> Mapping[str, str]:
        """Return the variables that were sealed."""
        if not sealed:
            return {}
        return msgspec.json.decode(self._cipher.decrypt(_VARIABLES_NONCE, sealed, None), type=dict[str, str])


class BatchKeys:
    """The person keys of a batch, by position. Its repr does not show them."""

    def __init__(self, keys: bytes) -> None:
        self._keys = keys

    def key_at(self, position: int) -> PersonKey:
        """Return the key of the recipient at a position; raises PersonErasedError if it was destroyed."""
        key = self._keys[position * KEY_BYTES : (position + 1) * KEY_BYTES]
        if key == _DESTROYED:
            raise PersonErasedError
        return PersonKey(key)

    def without(self, positions: Collection[int]) -> "BatchKeys":
        """Return the keys with those at some positions destroyed; the others keep their positions."""
        keys = bytearray(self._keys)
        for position in positions:
            keys[position * KEY_BYTES : (position + 1) * KEY_BYTES] = _DESTROYED
        return BatchKeys(bytes(keys))

    def seal(self, vault: Vault, place: BatchKey) -> str:
        """Return the text to store: the keys, sealed with the server's key."""
        return vault.seal_person_keys(_row_name(place), self._keys)


def new_keys(recipients: int) -> BatchKeys:
    """Return random keys for a number of recipients."""
    return BatchKeys(os.urandom(recipients * KEY_BYTES))


def pack(sealed: Sequence[bytes]) -> bytes:
    """Pack the sealed values of a batch, by position, into one; empty if all of them are empty."""
    return msgspec.msgpack.encode(sealed) if any(sealed) else b""


def unpack(sealed: bytes) -> Sequence[bytes]:
    """Return the sealed values of a batch, by position; the reverse of `pack`."""
    return msgspec.msgpack.decode(sealed, type=list[bytes]) if sealed else ()


def save_keys(vault: Vault, keys: Mapping[BatchKey, BatchKeys]) -> Write:
    """Return the write that stores the keys of some batches, in place of earlier ones."""
    rows = [(_row_name(place), place[0], one.seal(vault, place)) for place, one in keys.items()]
    statement = """
        INSERT INTO person_keys (batch, message_id, sealed) SELECT batch, message_id, sealed FROM given
        WHERE 1 = 1 ON CONFLICT (batch) DO UPDATE SET sealed = excluded.sealed
    """

    def write(sql: Sql) -> None:
        if rows:
            sql.execute(statement, given=BulkRows((("batch", str), ("message_id", str), ("sealed", str)), rows))

    return write


def load_sealed_keys(sql: Sql, places: Collection[BatchKey]) -> Mapping[BatchKey, str]:
    """Return the sealed keys of some batches; a batch without keys is left out."""
    names = {_row_name(place): place for place in places}
    rows = sql.rows(
        "SELECT person_keys.* FROM given CROSS JOIN person_keys WHERE person_keys.batch = given.batch",
        given=BulkRows((("batch", str),), [(name,) for name in names]),
    )
    return {names[row["batch"]]: row["sealed"] for row in rows}


def _row_name(place: BatchKey) -> str:
    """Return a batch's value of the column `batch`."""
    message_id, number = place
    return f"{message_id}/{number}"


def open_keys(vault: Vault, place: BatchKey, sealed: str) -> BatchKeys:
    """Return the keys of a batch; raises cryptography's InvalidTag if another server's key sealed them."""
    return BatchKeys(vault.open_person_keys(_row_name(place), sealed))


def delete_message_keys(message_id: str) -> Write:
    """Return the write that deletes all keys of a message: its own, and its recipients' person keys."""

    def write(sql: Sql) -> None:
        sql.execute("DELETE FROM person_keys WHERE message_id = :message_id", {"message_id": message_id})
        sql.execute("DELETE FROM message_keys WHERE message_id = :message_id", {"message_id": message_id})

    return write
