"""Read models built anew in a schema of their own."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg.rows import DictRow

from projections.sql import Sql
from server.eventstore.postgres.sql import PostgresSql
from server.eventstore.store import StagingInUseError

SHADOW_LOCK = 0x72656473  # "reds": whoever builds read models anew holds it for as long as it is connected


class PostgresStaging:
    """See StagingReadModels. `connection` commits by itself, and becomes the shadow's; `writer_lock` is the log's."""

    def __init__(self, connection: psycopg.Connection[DictRow], schema: str, writer_lock: int) -> None:
        self.own = schema
        self._connection = connection
        self._writer_lock = writer_lock
        self._be_alone()
        self.live = self._live_schema()
        connection.execute(f"SET search_path TO {self.own}")
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {self.own}")

    def _be_alone(self) -> None:
        try:
            self._connection.execute("SELECT pg_advisory_lock(%s)", (SHADOW_LOCK,))
        except psycopg.errors.LockNotAvailable as error:
            self.close()
            raise StagingInUseError("another rebuild is at work on this database") from error

    def _live_schema(self) -> str:
        row = self._connection.execute("SELECT quote_ident(current_schema()) AS live").fetchone()
        return row["live"] if row else ""

    @contextmanager
    def building(self) -> Iterator[Sql]:
        """A transaction that knows its own tables only."""
        with self._connection.transaction():
            yield PostgresSql(self._connection)

    @contextmanager
    def comparing(self) -> Iterator[Sql]:
        """A transaction that knows the live database too, whose log nobody else writes meanwhile."""
        with self.building() as sql:
            sql.execute(f"SET LOCAL search_path TO {self.own}, {self.live}")
            sql.execute("SELECT pg_advisory_xact_lock(:lock)", {"lock": self._writer_lock})
            yield sql

    def replace(self, sql: Sql, table: str) -> None:
        """Moves the table, with its indexes: nothing is copied."""
        sql.execute(f"DROP TABLE {self.live}.{table}")
        sql.execute(f"ALTER TABLE {self.own}.{table} SET SCHEMA {self.live}")

    def clear(self) -> None:
        """Forgets all that it holds."""
        with self.building() as sql:
            sql.execute(f"DROP SCHEMA {self.own} CASCADE")
            sql.execute(f"CREATE SCHEMA {self.own}")

    def remove(self) -> None:
        """Leaves nothing behind, and closes it."""
        self._connection.execute(f"DROP SCHEMA {self.own} CASCADE")
        self.close()

    def close(self) -> None:
        """Lets it go; what it holds is there when it is opened again."""
        self._connection.close()
