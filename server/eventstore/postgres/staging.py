"""Staging read models on PostgreSQL: a second schema of the database."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg.rows import DictRow

from projections.sql import Sql
from server.eventstore.postgres.sql import PostgresSql
from server.eventstore.store import StagingInUseError

STAGING_LOCK = 0x72656473  # "reds": the connection that builds staging read models holds this advisory lock


class PostgresStaging:
    """See StagingReadModels. Takes over an autocommit connection; `writer_lock` is the number of the log's lock."""

    def __init__(self, connection: psycopg.Connection[DictRow], schema: str, writer_lock: int) -> None:
        self.own = schema
        self._connection = connection
        self._writer_lock = writer_lock
        self._lock()
        self.live = self._live_schema()
        connection.execute(f"SET search_path TO {self.own}")
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {self.own}")

    def _lock(self) -> None:
        try:
            self._connection.execute("SELECT pg_advisory_lock(%s)", (STAGING_LOCK,))
        except psycopg.errors.LockNotAvailable as error:
            self.close()
            raise StagingInUseError("another rebuild runs on this database") from error

    def _live_schema(self) -> str:
        row = self._connection.execute("SELECT quote_ident(current_schema()) AS live").fetchone()
        return row["live"] if row else ""

    @contextmanager
    def building(self) -> Iterator[Sql]:
        """Open a transaction that sees the staging tables only."""
        with self._connection.transaction():
            yield PostgresSql(self._connection)

    @contextmanager
    def comparing(self) -> Iterator[Sql]:
        """Open a transaction that sees the live database too, and holds the log's lock: no other process writes."""
        with self.building() as sql:
            sql.execute(f"SET LOCAL search_path TO {self.own}, {self.live}")
            sql.execute("SELECT pg_advisory_xact_lock(:lock)", {"lock": self._writer_lock})
            yield sql

    def replace(self, sql: Sql, table: str) -> None:
        """Replace the live table by moving the staging table with its indexes; no row is copied."""
        sql.execute(f"DROP TABLE {self.live}.{table}")
        sql.execute(f"ALTER TABLE {self.own}.{table} SET SCHEMA {self.live}")

    def clear(self) -> None:
        """Delete all staging tables."""
        with self.building() as sql:
            sql.execute(f"DROP SCHEMA {self.own} CASCADE")
            sql.execute(f"CREATE SCHEMA {self.own}")

    def remove(self) -> None:
        """Delete the schema and close."""
        self._connection.execute(f"DROP SCHEMA {self.own} CASCADE")
        self.close()

    def close(self) -> None:
        """Close; the staging tables are there when it is opened again."""
        self._connection.close()
