"""Checks of the server's secret key: that it exists, is private, and decrypts the database."""

import stat
from collections.abc import Sequence

from projections.sql import Row, Sql
from server.bootstrap import key_file
from server.cli.doctor.database import NO_TABLE
from server.cli.doctor.finding import Finding, ok, problem, warning
from server.crypto import rotation, server_keys
from server.crypto.key_ring import SealingKey, SecretKeyError, parse_key
from server.settings import Settings

ROWS = 1_000  # decrypted per table

_OWN = "set REDRIVE_SECRET_KEY to 32 bytes in base64, as from `openssl rand -base64 32`, the same for every server"


def examine(settings: Settings, sql: Sql | None) -> Sequence[Finding]:
    """Check the key; nothing is created."""
    try:
        key = read(settings)
    except (SecretKeyError, OSError) as error:
        return [problem("key", str(error), "restore the key from its copy")]
    if key is None:
        return [_missing(settings, sql)]
    return [*_examine_file(settings), _examine_rows(key, sql)]


def read(settings: Settings) -> SealingKey | None:
    """Return the key, or None; raises SecretKeyError, OSError."""
    if settings.secret_key is not None:
        return parse_key(settings.secret_key.get_secret_value())
    file = key_file(settings)
    return parse_key(file.read_text().strip(), str(file)) if settings.is_embedded and file.exists() else None


def _missing(settings: Settings, sql: Sql | None) -> Finding:
    if not settings.is_embedded:
        return problem("key", "the key that all servers of a PostgreSQL database share is not set", _OWN)
    if sql is not None and any(_rows(sql, table, 1) for table in rotation.TABLES):
        return problem(
            "key", f"{key_file(settings)} is missing", "restore it, or set REDRIVE_SECRET_KEY to its content"
        )
    return ok("key", f"there is none yet: the first start creates {key_file(settings)}; keep a copy of it")


def _examine_file(settings: Settings) -> Sequence[Finding]:
    file = key_file(settings)
    if settings.secret_key is not None or not stat.S_IMODE(file.stat().st_mode) & 0o077:
        return []
    return [warning("key", f"other users can read {file}", f"chmod 600 {file}")]


def _examine_rows(key: SealingKey, sql: Sql | None) -> Finding:
    if sql is None:
        return ok("key", "it is well-formed")
    if _is_rotating(sql):
        return problem("key", "a rotation was interrupted", "run `redrive-server keys rotate` again with the same keys")
    for table in rotation.TABLES:
        rows = _rows(sql, table, ROWS)
        if not all(rotation.opens(table, row, key) for row in rows):
            message = f"it does not decrypt all of {table.name}, which was encrypted with another key"
            return problem("key", message, "set REDRIVE_SECRET_KEY to the key of this database")
    return ok("key", "it decrypts the database")


def _is_rotating(sql: Sql) -> bool:
    try:
        return server_keys.is_rotating(sql)
    except NO_TABLE:
        return False


def _rows(sql: Sql, table: rotation.SealedTable, limit: int) -> Sequence[Row]:
    """Return rows of a table; none if the table does not exist yet."""
    try:
        return rotation.rows_after(sql, table, "", limit)
    except NO_TABLE:
        return ()
