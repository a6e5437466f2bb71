"""Operational tables: secrets, leases, timers. Their data is in no event, so a rebuild cannot restore it."""

from projections import page_pauses
from projections.sql import Sql

TABLES = (
    """
    CREATE TABLE IF NOT EXISTS page_secrets (
        page_id TEXT PRIMARY KEY,
        token_generation INTEGER NOT NULL,
        sealed BYTEA NOT NULL
    )
    """,
    """
    CREATE TABLE IF NOT EXISTS access_tokens (
        token_id TEXT PRIMARY KEY,
        owner TEXT NOT NULL,
        scopes TEXT NOT NULL,
        sha256 TEXT NOT NULL,
        create_time BIGINT NOT NULL,
        expire_time BIGINT NOT NULL
    )
    """,
    "CREATE TABLE IF NOT EXISTS message_keys (message_id TEXT PRIMARY KEY, sealed BYTEA NOT NULL)",
    """
    CREATE TABLE IF NOT EXISTS person_keys (
        batch TEXT PRIMARY KEY,
        message_id TEXT NOT NULL,
        sealed TEXT NOT NULL
    )
    """,
    "CREATE INDEX IF NOT EXISTS person_keys_of_message ON person_keys (message_id)",
    "CREATE TABLE IF NOT EXISTS server_keys (name TEXT PRIMARY KEY, sealed BYTEA NOT NULL)",
    """
    CREATE TABLE IF NOT EXISTS workers (
        worker TEXT PRIMARY KEY,
        lease_expire_time BIGINT NOT NULL,
        release INTEGER NOT NULL DEFAULT 0
    )
    """,
    """
    CREATE TABLE IF NOT EXISTS page_owners (
        page_id TEXT PRIMARY KEY,
        worker TEXT NOT NULL,
        generation INTEGER NOT NULL,
        closed_until BIGINT NOT NULL DEFAULT 0
    )
    """,
    page_pauses.TABLE,
    """
    CREATE TABLE IF NOT EXISTS retry_timer (
        timer TEXT PRIMARY KEY,
        last_run_time BIGINT NOT NULL,
        results TEXT NOT NULL
    )
    """,
    """
    CREATE TABLE IF NOT EXISTS retry_runs (
        time BIGINT PRIMARY KEY,
        eligible INTEGER NOT NULL,
        started INTEGER NOT NULL,
        recipients INTEGER NOT NULL,
        results TEXT NOT NULL
    )
    """,
    "CREATE TABLE IF NOT EXISTS outcomes_counted (since BIGINT NOT NULL)",
)


def create(sql: Sql) -> None:
    """Create the tables that are missing."""
    for statement in TABLES:
        sql.execute(statement)
