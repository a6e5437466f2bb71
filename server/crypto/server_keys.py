"""What the server's key says of itself beside what it seals: keys that outlive it, and whether it is being replaced.

Repeated requests are recognised by a hash under a key that is derived from the server's first key; a new key keeps it,
sealed, so that a request from before gets its first answer also after a rotation.
"""

from projections.sql import Sql
from server.crypto.key_ring import SealingKey, new_key

PAYLOAD_HASHES = "payload hashes"
LABELS = "labels"
ROTATION = "rotation"


def context_of(name: str) -> str:
    """What a row of the table is bound to."""
    return f"server/{name}"


def payload_key(sql: Sql, key: SealingKey) -> bytes:
    """The key of payload hashes; raises cryptography's InvalidTag when the server's key is another one."""
    kept = _kept(sql, PAYLOAD_HASHES)
    return key.derived(PAYLOAD_HASHES) if kept is None else key.open(kept, context_of(PAYLOAD_HASHES))


def label_key(sql: Sql, key: SealingKey) -> SealingKey | None:
    """Return the key of labels (see labels.py), None before `make_label_key`; raises cryptography's InvalidTag."""
    kept = _kept(sql, LABELS)
    return None if kept is None else SealingKey(key.open(kept, context_of(LABELS)))


def make_label_key(sql: Sql, key: SealingKey) -> None:
    """Keep a random key of labels, unless there is one; it outlives the server's key, which seals it."""
    _keep(sql, LABELS, new_key().sealed_with(key, context_of(LABELS)))


def is_rotating(sql: Sql) -> bool:
    """A rotation began, and has not come to its end: some rows are sealed with one key, some with the other."""
    return _kept(sql, ROTATION) is not None


def begin_rotation(sql: Sql, old: SealingKey, new: SealingKey) -> None:
    """Keeps servers from starting until the end, and the key of payload hashes for good."""
    _keep(sql, ROTATION, new.seal(b"", context_of(ROTATION)))
    _keep(sql, PAYLOAD_HASHES, new.seal(old.derived(PAYLOAD_HASHES), context_of(PAYLOAD_HASHES)))


def end_rotation(sql: Sql) -> None:
    """Everything is sealed with the new key."""
    sql.execute("DELETE FROM server_keys WHERE name = :name", {"name": ROTATION})


def _kept(sql: Sql, name: str) -> bytes | None:
    row = sql.row("SELECT sealed FROM server_keys WHERE name = :name", {"name": name})
    return None if row is None else bytes(row["sealed"])


def _keep(sql: Sql, name: str, sealed: bytes) -> None:
    """What is there already stays."""
    statement = "INSERT INTO server_keys (name, sealed) VALUES (:name, :sealed) ON CONFLICT (name) DO NOTHING"
    sql.execute(statement, {"name": name, "sealed": sealed})
