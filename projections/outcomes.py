"""Outcomes: how many attempts ended how, by the hour, of each message and of each page; what reports are made of.

A report reads a row for each hour, attempt number and error, however many attempts there are.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, NamedTuple

from domain.batch_events import BatchEvent, LateOutcomesRecorded, OutcomesRecorded, RecordedOutcome
from domain.delivery import status_of
from domain.outcome import Outcome, Sent
from domain.receipt_events import ReceiptsRecorded
from projections.sql import Columns, Given, Micros, Parameters, Sql, micros

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


class Ending(NamedTuple):
    """What attempts have in common that ended alike; without an error its fields are empty and 0."""

    hour: Micros
    attempt_number: int
    status: str
    error_type: str
    error_code: int
    error_subcode: int


Endings = Iterable[tuple[Ending, str, int]]  # with the text of each, and how many ended so
Subject = tuple[str, ...]  # whose attempts: a message's, or an owner's on a page


class OutcomeTally:
    """What one transaction changes of outcomes: written at its end, a statement a table.

    An ending keeps the text that it was met with first, in the order of the log. One that adds up to 0 is written too:
    how events are put together makes no difference.
    """

    def __init__(self) -> None:
        self._deliveries: Counter[tuple[str, Ending]] = Counter()
        self._texts: dict[tuple[str, Ending], str] = {}

    def add(self, message_id: str, endings: Endings, *, sign: int = 1) -> None:
        """So many more of the message's attempts ended like this, or so many less."""
        for ending, text, deliveries in endings:
            self._deliveries[message_id, ending] += sign * deliveries
            self._texts.setdefault((message_id, ending), text)

    def write(self, sql: Sql) -> None:
        """Brings the tables up to date."""
        if not self._deliveries:
            return
        _add(sql, "outcomes", ("message_id",), self._summed({one: (one,) for one, _ in self._deliveries}))
        _add(sql, "page_outcomes", ("owner", "page_id"), self._summed(self._pages(sql)))

    def _pages(self, sql: Sql) -> Mapping[str, Subject]:
        messages = dict.fromkeys(message_id for message_id, _ in self._deliveries)
        found = sql.rows(
            """
            SELECT messages.message_id, messages.owner, messages.page_id FROM given CROSS JOIN messages
            WHERE messages.message_id = given.message_id
            """,
            given=Given((("message_id", str),), [(message_id,) for message_id in messages]),
        )
        return {row["message_id"]: (row["owner"], row["page_id"]) for row in found}

    def _summed(self, subjects: Mapping[str, Subject]) -> Sequence[Sequence[Any]]:
        """The rows of a table, by the subject of each message."""
        rows: dict[tuple[Subject, Ending], list[Any]] = {}
        for (message_id, ending), deliveries in self._deliveries.items():
            if (subject := subjects.get(message_id)) is not None:
                row = rows.setdefault((subject, ending), [*subject, *ending, self._texts[message_id, ending], 0])
                row[-1] += deliveries
        return list(rows.values())


_ENDING: Columns = (
    *(("hour", int), ("attempt_number", int), ("status", str), ("error_type", str)),
    *(("error_code", int), ("error_subcode", int), ("error_message", str), ("deliveries", int)),
)


def _add(sql: Sql, table: str, subject: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    columns: Columns = (*((name, str) for name in subject), *_ENDING)
    names = ", ".join(name for name, _ in columns)
    key = ", ".join((*subject, *Ending._fields))
    sql.execute(
        f"""
        INSERT INTO {table} ({names}) SELECT {names} FROM given WHERE 1 = 1
        ON CONFLICT ({key}) DO UPDATE SET deliveries = {table}.deliveries + excluded.deliveries
        """,  # noqa: S608 - our own words
        given=Given(columns, rows),
    )


@contextmanager
def counting(
    sql: Sql, event: BatchEvent, place: Parameters, positions: Given, tally: OutcomeTally, *, are_first: bool
) -> Iterator[None]:
    """Counts how attempts end while their rows are changed; `are_first`: first attempts, and no receipts about them."""
    if isinstance(event, OutcomesRecorded) and are_first:
        yield
        tally.add(event.message_id, _first_endings(event.outcomes))
    elif isinstance(event, OutcomesRecorded | LateOutcomesRecorded | ReceiptsRecorded):
        tally.add(event.message_id, _known_endings(sql, place, positions), sign=-1)
        yield
        tally.add(event.message_id, _known_endings(sql, place, positions))
    else:
        yield


def _first_endings(outcomes: Sequence[RecordedOutcome]) -> Endings:
    """How first attempts ended that had not ended before, by what an event says of them."""
    for hour, of_hour in _by_hour(outcomes).items():
        for (status, kind, code, subcode, text), how_many in Counter(map(_told, of_hour)).items():
            yield Ending(hour, 1, status, kind, code, subcode), text, how_many


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


def _told(outcome: Outcome) -> tuple[str, str, int, int, str]:
    if isinstance(outcome, Sent):
        return _SENT
    fault = outcome.fault
    return status_of(outcome).value, fault.type.value, fault.code, fault.subcode, fault.message


_KNOWN = f"""
    SELECT COALESCE(touched.sent_time, touched.failed_time) / {HOUR} * {HOUR} AS hour, touched.attempt_number,
           touched.status, COALESCE(touched.error_type, '') AS error_type, touched.error_code, touched.error_subcode,
           touched.error_message, COUNT(*) AS how_many
    FROM given CROSS JOIN deliveries touched
    WHERE touched.message_id = :message_id AND touched.batch_number = :batch_number
      AND touched.position = given.position AND touched.status IN ('SENT', 'FAILED', 'UNCONFIRMED')
    GROUP BY COALESCE(touched.sent_time, touched.failed_time) / {HOUR} * {HOUR}, touched.attempt_number, touched.status,
             touched.error_type, touched.error_code, touched.error_subcode, touched.error_message
    ORDER BY MIN(touched.position)
"""  # noqa: S608 - our own words


def _known_endings(sql: Sql, place: Parameters, positions: Given) -> Endings:
    """How those of a batch's deliveries ended that have, by what stands in the database."""
    for row in sql.rows(_KNOWN, place, positions):
        yield Ending(*(row[column] for column in Ending._fields)), row["error_message"], row["how_many"]
