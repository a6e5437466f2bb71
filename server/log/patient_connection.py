"""A connection that gives up on a database that gives no sign of life: stopped, cut off, or on a dead machine.

libpq itself waits for an answer as long as the kernel keeps the connection, which may be for ever.
"""

import time
from collections.abc import Generator
from typing import Any, TypeVar

import psycopg
from psycopg.rows import DictRow
from psycopg_pool import ConnectionPool

T = TypeVar("T")

WRITE_SECONDS = 3.0  # a statement of the writer takes milliseconds, and waits for a lock for 2 s
CHECK_SECONDS = 1.0
READ_SECONDS = 10.0  # a query may have to count a million rows


class PatientConnection(psycopg.Connection[DictRow]):
    """Raises psycopg.OperationalError after `patience` seconds without an answer, and is closed then.

    What becomes of the statement is not known: the database may carry it out when it goes on.
    """

    patience = READ_SECONDS

    def wait(self, gen: Generator[Any, Any, T], *args: Any, **options: Any) -> T:
        """Every statement of the connection waits here."""
        return super().wait(self._answered(gen), *args, **options)

    def _answered(self, gen: Generator[Any, Any, T]) -> Generator[Any, Any, T]:
        gives_up = time.monotonic() + self.patience
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted
                if not ready and time.monotonic() > gives_up:
                    self.pgconn.finish()
                    raise psycopg.OperationalError(f"the database has given no answer for {self.patience:g} s")
                wanted = gen.send(ready)
        except StopIteration as end:
            result: T = end.value
            return result


def check(connection: PatientConnection) -> None:
    """Finds out quickly whether a connection is of use still."""
    connection.patience = CHECK_SECONDS
    ConnectionPool.check_connection(connection)
    connection.patience = READ_SECONDS
