"""The server's key: is it there, is it nobody else's to read, does it open what is there?"""

import stat
from collections.abc import Sequence

from projections.sql import Row, Sql
from server.bootstrap import key_file
from server.cli.doctor.database import NOT_THERE
from server.cli.doctor.finding import Finding, ok, problem, warning
from server.crypto import rotation, server_keys
from server.crypto.key_ring import SealingKey, SecretKeyError, parse_key
from server.settings import Settings

ROWS = 1_000  # of each table that are tried

_OWN = "set REDRIVE_SECRET_KEY to 32 bytes in base64, as from `openssl rand -base64 32`, the same for every server"


def examine(settings: Settings, sql: Sql | None) -> Sequence[Finding]:
    """All about the key; nothing is made."""
    try:
        key = read(settings)
    except (SecretKeyError, OSError) as error:
        return [problem("key", str(error), "put the key back that was there, from where you keep it")]
    if key is None:
        return [_missing(settings, sql)]
    return [*_examine_file(settings), _examine_rows(key, sql)]


def read(settings: Settings) -> SealingKey | None:
    """The key, if there is one; raises SecretKeyError, OSError."""
    if settings.secret_key is not None:
        return parse_key(settings.secret_key.get_secret_value())
    file = key_file(settings)
    return parse_key(file.read_text().strip(), str(file)) if settings.is_embedded and file.exists() else None


def _missing(settings: Settings, sql: Sql | None) -> Finding:
    if not settings.is_embedded:
        return problem("key", "PostgreSQL is for many servers, and there is no key that they share", _OWN)
    if sql is not None and any(_rows(sql, table, 1) for table in rotation.TABLES):
        return problem(
            "key", f"{key_file(settings)} is missing", "put it back, or set REDRIVE_SECRET_KEY to what it held"
        )
    return ok("key", f"there is none yet: the first start makes {key_file(settings)}; keep a copy of it")


def _examine_file(settings: Settings) -> Sequence[Finding]:
    file = key_file(settings)
    if settings.secret_key is not None or not stat.S_IMODE(file.stat().st_mode) & 0o077:
        return []
    return [warning("key", f"others than its owner can read {file}", f"chmod 600 {file}")]


def _examine_rows(key: SealingKey, sql: Sql | None) -> Finding:
    if sql is None:
        return ok("key", "it is well-formed")
    if _is_rotating(sql):
        return problem("key", "a rotation was cut off", "run `redrive-server keys rotate` again, as before")
    for table in rotation.TABLES:
        rows = _rows(sql, table, ROWS)
        if not all(rotation.opens(table, row, key) for row in rows):
            words = f"it does not open all of {table.name}: another key sealed it"
            return problem("key", words, "set REDRIVE_SECRET_KEY to the key that the database was written with")
    return ok("key", "it opens what is there")


def _is_rotating(sql: Sql) -> bool:
    try:
        return server_keys.is_rotating(sql)
    except NOT_THERE:
        return False


def _rows(sql: Sql, table: rotation.SealedTable, limit: int) -> Sequence[Row]:
    """None of a table that a release before had not made yet."""
    try:
        return rotation.chunk(sql, table, "", limit)
    except NOT_THERE:
        return ()
