"""What PostgreSQL knows of its tables, kept fresh while they grow.

A statement's plan is kept until its tables are looked at again. Made while they were empty, it goes through all of a
message for each recipient: measured, a batch of 50 took minutes where it takes a millisecond. Autovacuum looks once a
minute, if at all.
"""

from collections.abc import Sequence

import psycopg
import structlog
from psycopg.rows import DictRow

from domain.batch_events import BatchCreated
from server.log.group_commit import Written

logger = structlog.get_logger()

FIRST_ROWS = 1_000  # until then a bad plan costs little
MOST_ROWS = 200_000  # a look takes a tenth of a second: at full speed, less than 1 % of the time
_LOOK = "ANALYZE (SKIP_LOCKED) batches, deliveries, recipients, sealed_names, person_keys"


class PostgresStatistics:
    """Has the tables looked at when this process has put 1,000 rows into them, then 2,000, 4,000 and so on."""

    def __init__(self) -> None:
        self._rows = 0
        self._next = FIRST_ROWS

    def count(self, written: Sequence[Written]) -> bool:
        """Counts the recipients that were written; says whether it is time to look."""
        events = (recorded.event for one in written for recorded in one.recorded)
        self._rows += sum(len(event.recipients) for event in events if isinstance(event, BatchCreated))
        if self._rows < self._next:
            return False
        self._rows, self._next = 0, min(2 * self._next, MOST_ROWS)
        return True

    def look(self, connection: psycopg.Connection[DictRow]) -> None:
        """Looks at the tables. What was written stays written if that fails, so nobody hears of it but the log."""
        try:
            connection.execute(_LOOK)
        except psycopg.Error as error:
            logger.warning("statistics_not_taken", error=type(error).__name__)
