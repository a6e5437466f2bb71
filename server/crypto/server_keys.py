"""The table server_keys: keys that stay the same when the server's key is rotated, and the mark of a running rotation.

A repeated request is recognised by a hash of its payload. The key of that hash is derived from the server's first key.
A rotation stores it, sealed with the new key, so that a request from before the rotation still gets its first answer.
"""

from projections.sql import Sql
from server.crypto.key_ring import SealingKey, new_key

PAYLOAD_HASHES = "payload hashes"
LABELS = "labels"
ROTATION = "rotation"


def context_of(name: str) -> str:
    """Return the context that a row of the table is sealed for."""
    return f"server/{name}"


def payload_key(sql: Sql, key: SealingKey) -> bytes:
    """Return the key of payload hashes; raises cryptography's InvalidTag if `key` is not the server's key."""
    sealed = _load(sql, PAYLOAD_HASHES)
    return key.derive(PAYLOAD_HASHES) if sealed is None else key.open(sealed, context_of(PAYLOAD_HASHES))


def label_key(sql: Sql, key: SealingKey) -> SealingKey | None:
    """Return the key of labels (see labels.py), None before `make_label_key`; raises cryptography's InvalidTag."""
    sealed = _load(sql, LABELS)
    return None if sealed is None else SealingKey(key.open(sealed, context_of(LABELS)))


def make_label_key(sql: Sql, key: SealingKey) -> None:
    """Store a random key of labels, sealed with the server's key, unless there is one. A rotation keeps it."""
    _insert(sql, LABELS, new_key().sealed_with(key, context_of(LABELS)))


def is_rotating(sql: Sql) -> bool:
    """Return whether a rotation has started and not ended: some rows are sealed with the old key, some with the new."""
    return _load(sql, ROTATION) is not None


def begin_rotation(sql: Sql, old: SealingKey, new: SealingKey) -> None:
    """Mark the rotation as started, which prevents servers from starting, and store the key of payload hashes."""
    _insert(sql, ROTATION, new.seal(b"", context_of(ROTATION)))
    _insert(sql, PAYLOAD_HASHES, new.seal(old.derive(PAYLOAD_HASHES), context_of(PAYLOAD_HASHES)))


def end_rotation(sql: Sql) -> None:
    """Mark the rotation as ended: every row is sealed with the new key."""
    sql.execute("DELETE FROM server_keys WHERE name = :name", {"name": ROTATION})


def _load(sql: Sql, name: str) -> bytes | None:
    row = sql.row("SELECT sealed FROM server_keys WHERE name = :name", {"name": name})
    return None if row is None else bytes(row["sealed"])


def _insert(sql: Sql, name: str, sealed: bytes) -> None:
    """Insert a row, unless the table has one of this name."""
    statement = "INSERT INTO server_keys (name, sealed) VALUES (:name, :sealed) ON CONFLICT (name) DO NOTHING"
    sql.execute(statement, {"name": name, "sealed": sealed})
