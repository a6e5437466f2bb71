"""Rotation of the server's key: every sealed row is sealed again with the new key, a chunk of rows per transaction.

Before anything changes, every row is opened with the old key, or with the new one after an interrupted rotation. So a
wrong key changes nothing. An interrupted rotation continues when it is run again with the same two keys.
"""

import base64
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple

from cryptography.exceptions import InvalidTag

from projections.sql import Row, Sql
from server.crypto import server_keys
from server.crypto.key_ring import SealingKey
from server.eventstore.rebuild import no_workers, refuse_if_in_use
from server.eventstore.store import Store

ROWS_AT_ONCE = 500

Workers = Callable[[Sql], Collection[str]]


class WrongKeyError(Exception):
    """A row opens with neither of the two keys; nothing was changed. The text is the name of the table."""


class SealedTable(NamedTuple):
    """A table with a column `sealed` that the server's key seals, each row for its own context; bytes or base64."""

    name: str
    key_column: str
    context: Callable[[Row], str]
    is_base64: bool = False

    def sealed(self, row: Row) -> bytes:
        """Return a row's sealed bytes."""
        return base64.b64decode(row["sealed"]) if self.is_base64 else bytes(row["sealed"])


TABLES = (
    SealedTable("page_secrets", "page_id", lambda row: f"page/{row['page_id']}/{row['token_generation']}"),
    SealedTable("message_keys", "message_id", lambda row: f"key/{row['message_id']}"),
    SealedTable("person_keys", "batch", lambda row: f"people/{row['batch']}", is_base64=True),
    SealedTable("server_keys", "name", lambda row: server_keys.context_of(row["name"])),
)


def rotate(store: Store, old: SealingKey, new: SealingKey, workers: Workers = no_workers) -> Mapping[str, int]:
    """Seal every row with the new key, and return the number of changed rows per table.

    Raises DatabaseInUseByWorkersError if servers run on the database, WrongKeyError, or the database's errors.
    """
    with store.transaction(commit=False) as sql:
        refuse_if_in_use(workers(sql))
        for table in TABLES:
            _check(sql, table, old, new)
    with store.transaction(commit=True) as sql:
        refuse_if_in_use(workers(sql))
        server_keys.begin_rotation(sql, old, new)
    found = {table.name: _seal_again(store, table, old, new, workers) for table in TABLES}
    with store.transaction(commit=True) as sql:
        refuse_if_in_use(workers(sql))
        server_keys.end_rotation(sql)
    return found


def opens_first_rows(sql: Sql, key: SealingKey) -> bool:
    """Return whether the key opens the first row of each table: a quick test for a wrong key."""
    rows = [(table, row) for table in TABLES for row in rows_after(sql, table, "", 1)]
    return all(opens(table, row, key) for table, row in rows)


def _check(sql: Sql, table: SealedTable, old: SealingKey, new: SealingKey) -> None:
    after = ""
    while rows := rows_after(sql, table, after, ROWS_AT_ONCE):
        for row in rows:
            if not (opens(table, row, old) or opens(table, row, new)):
                raise WrongKeyError(table.name)
        after = rows[-1][table.key_column]


def _seal_again(store: Store, table: SealedTable, old: SealingKey, new: SealingKey, workers: Workers) -> int:
    after, changed = "", 0
    while True:
        with store.transaction(commit=True) as sql:
            refuse_if_in_use(workers(sql))
            rows = rows_after(sql, table, after, ROWS_AT_ONCE)
            changed += sum(_reseal(sql, table, row, old, new) for row in rows)
        if not rows:
            return changed
        after = rows[-1][table.key_column]


def _reseal(sql: Sql, table: SealedTable, row: Row, old: SealingKey, new: SealingKey) -> bool:
    """Seal a row with the new key; return False if it is sealed with the new key already."""
    clear = _opened(table, row, old)
    if clear is None:
        return False
    sealed = new.seal(clear, table.context(row))
    value = base64.b64encode(sealed).decode() if table.is_base64 else sealed
    statement = f"UPDATE {table.name} SET sealed = :sealed WHERE {table.key_column} = :key"  # noqa: S608 - our own names
    sql.execute(statement, {"sealed": value, "key": row[table.key_column]})
    return True


def opens(table: SealedTable, row: Row, key: SealingKey) -> bool:
    """Return whether this key sealed the row."""
    return _opened(table, row, key) is not None


def rows_after(sql: Sql, table: SealedTable, after: str, limit: int) -> Sequence[Row]:
    """Return the next rows of a table in the order of its key column, after a key."""
    return sql.rows(
        f"SELECT * FROM {table.name} WHERE {table.key_column} > :after ORDER BY {table.key_column} LIMIT :limit",  # noqa: S608
        {"after": after, "limit": limit},
    )


def _opened(table: SealedTable, row: Row, key: SealingKey) -> bytes | None:
    try:
        return key.open(table.sealed(row), table.context(row))
    except InvalidTag:
        return None
