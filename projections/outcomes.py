"""The outcomes tables: the number of attempts by outcome and hour, for each message and each page.

Reports use them: a report reads one row per hour, attempt number and error, not one per attempt.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, NamedTuple

from domain.batch_events import BatchEvent, LateOutcomesRecorded, OutcomesRecorded, RecordedOutcome
from domain.delivery import status_of
from domain.outcome import Outcome, Sent
from domain.receipts import ReceiptsRecorded
from projections.sql import BulkRows, Columns, Micros, Parameters, Sql, micros

_TABLE = """
    CREATE TABLE IF NOT EXISTS {table} (
        {subject},
        hour BIGINT NOT NULL,
        attempt_number INTEGER NOT NULL,
        status TEXT NOT NULL,
        error_type TEXT NOT NULL,
        error_code INTEGER NOT NULL,
        error_subcode INTEGER NOT NULL,
        error_message TEXT NOT NULL,
        deliveries BIGINT NOT NULL,
        PRIMARY KEY ({key}, hour, attempt_number, status, error_type, error_code, error_subcode)
    )
"""
TABLES = (
    _TABLE.format(table="outcomes", subject="message_id TEXT NOT NULL", key="message_id"),
    _TABLE.format(table="page_outcomes", subject="owner TEXT NOT NULL, page_id TEXT NOT NULL", key="owner, page_id"),
)

HOUR = 3_600_000_000  # microseconds


class OutcomeKey(NamedTuple):
    """The key by which attempts are counted; without an error the error fields are empty or 0."""

    hour: Micros
    attempt_number: int
    status: str
    error_type: str
    error_code: int
    error_subcode: int


KeyedCounts = Iterable[tuple[OutcomeKey, str, int]]  # the key, the error text and the number of attempts
Subject = tuple[str, ...]  # (message id), or (owner, page id)


class OutcomeDeltas:
    """The changes of one transaction to the outcomes tables, written at its end with one statement per table.

    Each key keeps the error text of its first event in log order. A change of 0 is written too, so that the rows do not
    depend on how events are grouped into transactions.
    """

    def __init__(self) -> None:
        self._deliveries: Counter[tuple[str, OutcomeKey]] = Counter()
        self._texts: dict[tuple[str, OutcomeKey], str] = {}

    def add(self, message_id: str, endings: KeyedCounts, *, sign: int = 1) -> None:
        """Add these attempts of a message to the counts, or subtract them with `sign` -1."""
        for ending, text, deliveries in endings:
            self._deliveries[message_id, ending] += sign * deliveries
            self._texts.setdefault((message_id, ending), text)

    def write(self, sql: Sql) -> None:
        """Update the tables."""
        if not self._deliveries:
            return
        _upsert(sql, "outcomes", ("message_id",), self._rows({one: (one,) for one, _ in self._deliveries}))
        _upsert(sql, "page_outcomes", ("owner", "page_id"), self._rows(self._pages(sql)))

    def _pages(self, sql: Sql) -> Mapping[str, Subject]:
        messages = dict.fromkeys(message_id for message_id, _ in self._deliveries)
        found = sql.rows(
            """
            SELECT messages.message_id, messages.owner, messages.page_id FROM given CROSS JOIN messages
            WHERE messages.message_id = given.message_id
            """,
            given=BulkRows((("message_id", str),), [(message_id,) for message_id in messages]),
        )
        return {row["message_id"]: (row["owner"], row["page_id"]) for row in found}

    def _rows(self, subjects: Mapping[str, Subject]) -> Sequence[Sequence[Any]]:
        """Return the rows of a table, summed by the subject of each message."""
        rows: dict[tuple[Subject, OutcomeKey], list[Any]] = {}
        for (message_id, ending), deliveries in self._deliveries.items():
            if (subject := subjects.get(message_id)) is not None:
                row = rows.setdefault((subject, ending), [*subject, *ending, self._texts[message_id, ending], 0])
                row[-1] += deliveries
        return list(rows.values())


_ENDING: Columns = (
    *(("hour", int), ("attempt_number", int), ("status", str), ("error_type", str)),
    *(("error_code", int), ("error_subcode", int), ("error_message", str), ("deliveries", int)),
)


def _upsert(sql: Sql, table: str, subject: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    columns: Columns = (*((name, str) for name in subject), *_ENDING)
    names = ", ".join(name for name, _ in columns)
    key = ", ".join((*subject, *OutcomeKey._fields))
    sql.execute(
        f"""
        INSERT INTO {table} ({names}) SELECT {names} FROM given WHERE 1 = 1
        ON CONFLICT ({key}) DO UPDATE SET deliveries = {table}.deliveries + excluded.deliveries
        """,  # noqa: S608 - constants of this module
        given=BulkRows(columns, rows),
    )


@contextmanager
def count_changes(
    sql: Sql, event: BatchEvent, place: Parameters, positions: BulkRows, deltas: OutcomeDeltas, *, are_first: bool
) -> Iterator[None]:
    """Count outcomes while the body changes the delivery rows.

    `are_first`: all are first attempts without receipts, so the event alone has the outcomes, and no rows are read.
    """
    if isinstance(event, OutcomesRecorded) and are_first:
        yield
        deltas.add(event.message_id, _first_endings(event.outcomes))
    elif isinstance(event, OutcomesRecorded | LateOutcomesRecorded | ReceiptsRecorded):
        deltas.add(event.message_id, _stored_endings(sql, place, positions), sign=-1)
        yield
        deltas.add(event.message_id, _stored_endings(sql, place, positions))
    else:
        yield


def _first_endings(outcomes: Sequence[RecordedOutcome]) -> KeyedCounts:
    """Yield the counts of first attempts from an event's outcomes."""
    for hour, of_hour in _by_hour(outcomes).items():
        for (status, kind, code, subcode, text), count in Counter(map(_status_and_error, of_hour)).items():
            yield OutcomeKey(hour, 1, status, kind, code, subcode), text, count


def _by_hour(outcomes: Sequence[RecordedOutcome]) -> Mapping[Micros, Sequence[Outcome]]:
    times = [known.time for known in outcomes]
    first, last = _hour(min(times)), _hour(max(times))
    if first == last:
        return {first: [known.outcome for known in outcomes]}
    found: dict[Micros, list[Outcome]] = {}
    for known in outcomes:
        found.setdefault(_hour(known.time), []).append(known.outcome)
    return found


def _hour(time: datetime) -> Micros:
    return micros(time) // HOUR * HOUR


_SENT = ("SENT", "", 0, 0, "")


def _status_and_error(outcome: Outcome) -> tuple[str, str, int, int, str]:
    if isinstance(outcome, Sent):
        return _SENT
    fault = outcome.fault
    return status_of(outcome).value, fault.type.value, fault.code, fault.subcode, fault.message


_STORED_ENDINGS = f"""
    SELECT COALESCE(affected.sent_time, affected.failed_time) / {HOUR} * {HOUR} AS hour, affected.attempt_number,
           affected.status, COALESCE(affected.error_type, '') AS error_type, affected.error_code,
           affected.error_subcode, affected.error_message, COUNT(*) AS attempts
    FROM given CROSS JOIN deliveries affected
    WHERE affected.message_id = :message_id AND affected.batch_number = :batch_number
      AND affected.position = given.position AND affected.status IN ('SENT', 'FAILED', 'UNCONFIRMED')
    GROUP BY COALESCE(affected.sent_time, affected.failed_time) / {HOUR} * {HOUR}, affected.attempt_number,
             affected.status, affected.error_type, affected.error_code, affected.error_subcode, affected.error_message
    ORDER BY MIN(affected.position)
"""  # noqa: S608 - constants of this module


def _stored_endings(sql: Sql, place: Parameters, positions: BulkRows) -> KeyedCounts:
    """Yield the counts of a batch's deliveries at these positions that have an outcome, from the database."""
    for row in sql.rows(_STORED_ENDINGS, place, positions):
        yield OutcomeKey(*(row[column] for column in OutcomeKey._fields)), row["error_message"], row["attempts"]
