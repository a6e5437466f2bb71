"""People's keys: each seals what one message holds of one person. To forget somebody is to destroy all that are theirs.

The keys of a batch stand together in one row, sealed with the server's key. One row for each person, sealed by itself,
was measured first: it cost a send more than 20 microseconds a message, a quarter of all that it costs; so does 6. It
also needs no look-up before a send, and no two sends to one person can be in each other's way.

A key seals a name once and variables once, so that its nonces need not be random. Zeros in its place destroy it.
"""

import os
from collections.abc import Callable, Collection, Mapping, Sequence

import msgspec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from projections.sealed_names import BatchKey
from projections.sql import BulkRows, Sql
from server.crypto.key_ring import KEY_BYTES
from server.crypto.vault import Vault

_NAME = bytes(12)  # nonces
_VARIABLES = bytes(11) + b"\1"
_DESTROYED = bytes(KEY_BYTES)

Write = Callable[[Sql], None]


class PersonErasedError(Exception):
    """The key is destroyed: nobody opens any more what it sealed."""


class PersonKey:
    """Seals and opens what a message holds of one person; raises cryptography's InvalidTag for anything else."""

    __slots__ = ("_cipher",)

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    def seal_name(self, name: str) -> bytes:
        """A name; empty for none."""
        return self._cipher.encrypt(_NAME, name.encode(), None) if name else b""

    def name(self, sealed: bytes) -> str:
        """The name that was sealed."""
        return self._cipher.decrypt(_NAME, sealed, None).decode() if sealed else ""

    def seal_variables(self, variables: Mapping[str, str]) -> bytes:
        """Variables; empty for none."""
        return self._cipher.encrypt(_VARIABLES, msgspec.json.encode(variables), None) if variables else b""

    def variables(self, sealed: bytes) -> Mapping[str, str]:
        """The variables that were sealed."""
        if not sealed:
            return {}
        return msgspec.json.decode(self._cipher.decrypt(_VARIABLES, sealed, None), type=dict[str, str])


class BatchKeys:
    """The keys of a batch's people, by position; its repr shows nothing."""

    def __init__(self, keys: bytes) -> None:
        self._keys = keys

    def of(self, position: int) -> PersonKey:
        """The key of who stands there; raises PersonErasedError once it is destroyed."""
        key = self._keys[position * KEY_BYTES : (position + 1) * KEY_BYTES]
        if key == _DESTROYED:
            raise PersonErasedError
        return PersonKey(key)

    def without(self, positions: Collection[int]) -> "BatchKeys":
        """The others' keys, all in their places."""
        keys = bytearray(self._keys)
        for position in positions:
            keys[position * KEY_BYTES : (position + 1) * KEY_BYTES] = _DESTROYED
        return BatchKeys(bytes(keys))

    def kept(self, vault: Vault, place: BatchKey) -> str:
        """As they are kept: sealed with the server's key."""
        return vault.seal_person_keys(_name(place), self._keys)


def new_keys(people: int) -> BatchKeys:
    """Random keys for so many people."""
    return BatchKeys(os.urandom(people * KEY_BYTES))


def joined(sealed: Sequence[bytes]) -> bytes:
    """What was sealed, by position, as one; empty when there is nothing."""
    return msgspec.msgpack.encode(sealed) if any(sealed) else b""


def parted(sealed: bytes) -> Sequence[bytes]:
    """What was sealed, by position."""
    return msgspec.msgpack.decode(sealed, type=list[bytes]) if sealed else ()


def keep(vault: Vault, keys: Mapping[BatchKey, BatchKeys]) -> Write:
    """The write that keeps the keys of some batches, in place of those before."""
    rows = [(_name(place), place[0], one.kept(vault, place)) for place, one in keys.items()]
    statement = """
        INSERT INTO person_keys (batch, message_id, sealed) SELECT batch, message_id, sealed FROM given
        WHERE 1 = 1 ON CONFLICT (batch) DO UPDATE SET sealed = excluded.sealed
    """

    def write(sql: Sql) -> None:
        if rows:
            sql.execute(statement, given=BulkRows((("batch", str), ("message_id", str), ("sealed", str)), rows))

    return write


def sealed(sql: Sql, places: Collection[BatchKey]) -> Mapping[BatchKey, str]:
    """The keys of some batches, as they are kept; nothing for those that have none."""
    names = {_name(place): place for place in places}
    rows = sql.rows(
        "SELECT person_keys.* FROM given CROSS JOIN person_keys WHERE person_keys.batch = given.batch",
        given=BulkRows((("batch", str),), [(name,) for name in names]),
    )
    return {names[row["batch"]]: row["sealed"] for row in rows}


def _name(place: BatchKey) -> str:
    """A batch, as a key is found by it."""
    message_id, number = place
    return f"{message_id}/{number}"


def opened(vault: Vault, place: BatchKey, sealed: str) -> BatchKeys:
    """The keys of a batch; raises cryptography's InvalidTag where the server's key is another one."""
    return BatchKeys(vault.open_person_keys(_name(place), sealed))


def forget_message(message_id: str) -> Write:
    """The write that destroys the keys of a message: its own, and those of all its people."""

    def write(sql: Sql) -> None:
        sql.execute("DELETE FROM person_keys WHERE message_id = :message_id", {"message_id": message_id})
        sql.execute("DELETE FROM message_keys WHERE message_id = :message_id", {"message_id": message_id})

    return write
