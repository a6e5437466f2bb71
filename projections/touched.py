"""The deliveries that an event changes, and what their recipients come to by it (protocol rule 8)."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from domain.batch import BATCH_SIZE
from domain.delivery import DeliveryStatus
from projections.sql import Given, Parameters, Row, Sql

_OPEN = frozenset((DeliveryStatus.PENDING, DeliveryStatus.SENDING))


class Standing(NamedTuple):
    """What attempts, or recipients, are counted by."""

    state: DeliveryStatus
    error_type: str | None


class Change(NamedTuple):
    """How many there were of each standing before, and how many there are after."""

    before: Counter[Standing]
    after: Counter[Standing]

    @property
    def by_state(self) -> Mapping[DeliveryStatus, int]:
        """How many more there are of each state, or less."""
        changes: Counter[DeliveryStatus] = Counter()
        for standing, change in self._changes():
            changes[standing.state] += change
        return changes

    @property
    def by_error_type(self) -> Mapping[str, int]:
        """The same of each error type."""
        changes: Counter[str] = Counter()
        for standing, change in self._changes():
            if standing.error_type is not None:
                changes[standing.error_type] += change
        return changes

    def _changes(self) -> Iterator[tuple[Standing, int]]:
        for standings, sign in ((self.after, 1), (self.before, -1)):
            for standing, how_many in standings.items():
                yield standing, sign * how_many


class Touched(NamedTuple):
    """Some deliveries of one batch."""

    place: Parameters
    positions: Given

    def attempts(self, sql: Sql) -> Counter[Standing]:
        """How many there are of each standing."""
        return counted(sql.rows(_ATTEMPTS, self.place, self.positions))

    def fold_only_attempt(self, sql: Sql) -> None:
        """Their recipients, where none has another attempt."""
        sql.execute(_FOLD_ONLY_ATTEMPT, self.place, self.positions)

    def fold(self, sql: Sql, attempts: Change, *, is_cleaned: bool) -> Change:
        """Their recipients, whatever attempts they have; `attempts` is what the event changes of the touched ones."""
        rows = sql.rows(_RECIPIENTS, self.place, self.positions)
        before = counted(rows)
        if all(row["is_last"] for row in rows) and _decide(attempts, before):
            sql.execute(_FOLD_LAST_ATTEMPT, self.place, self.positions)
            return Change(before, attempts.after)
        return Change(before, self._fold_all(sql, is_cleaned=is_cleaned))

    def fold_new(self, sql: Sql, *, is_cleaned: bool) -> Change:
        """The same of attempts that are new."""
        before = counted(sql.rows(_RECIPIENTS, self.place, self.positions))
        return Change(before, self._fold_all(sql, is_cleaned=is_cleaned))

    def _fold_all(self, sql: Sql, *, is_cleaned: bool) -> Counter[Standing]:
        """From all of their attempts; of a message that was cleaned, who was reached stays so."""
        sql.execute(_FOLD_WHAT_IS_LEFT if is_cleaned else _FOLD, self.place, self.positions)
        return counted(sql.rows(_RECIPIENTS, self.place, self.positions))


def counted(rows: Iterable[Row]) -> Counter[Standing]:
    """What rows say of how many there are of each standing."""
    standings: Counter[Standing] = Counter()
    for row in rows:
        standings[Standing(DeliveryStatus(row["state"]), row["error_type"])] += row["how_many"]
    return standings


def _decide(attempts: Change, recipients: Counter[Standing]) -> bool:
    """The touched attempts are what their recipients stand by, if each is its recipient's last.

    True of attempts that were open: a recipient has one open attempt at most.
    """
    if any(standing.state is DeliveryStatus.CANCELLED for standing in attempts.after):
        return False
    return {standing.state for standing in (*attempts.before, *recipients)} <= _OPEN


# CROSS JOIN keeps SQLite's planner from walking through all of the message instead of what belongs to 100 people.
_TOUCHED = """
    FROM given CROSS JOIN deliveries touched
    WHERE touched.message_id = :message_id AND touched.batch_number = :batch_number
      AND touched.position = given.position
"""
_ATTEMPTS = f"""
    SELECT touched.status AS state, touched.error_type, COUNT(*) AS how_many
    {_TOUCHED} GROUP BY touched.status, touched.error_type
"""
_RECIPIENTS = f"""
    SELECT recipient.state, recipient.error_type, recipient.attempts <= touched.attempt_number AS is_last,
           COUNT(*) AS how_many
    {_TOUCHED.replace("deliveries touched", "deliveries touched CROSS JOIN recipients recipient")}
      AND recipient.message_id = touched.message_id AND recipient.recipient_id = touched.recipient_id
    GROUP BY 1, 2, 3
"""
_UPDATE = """
    UPDATE recipients SET
        state = folded.status, maybe_sent = {maybe_sent}, attempts = folded.attempts,
        token_generation = folded.token_generation, error_code = folded.error_code,
        error_subcode = folded.error_subcode, error_message = folded.error_message, error_type = folded.error_type,
        retry = folded.retry, last_attempt_time = folded.update_time
"""
# The limit keeps SQLite's planner from looking at all recipients first: a batch has no more. That the message comes
# from the touched rows, not from the parameter, does so for PostgreSQL's.
_BY_TOUCHED_ATTEMPT = f"""
    {_UPDATE} FROM (
        SELECT touched.message_id, touched.recipient_id, touched.status, touched.token_generation, touched.error_code,
               touched.error_subcode, touched.error_message, touched.error_type, touched.retry, touched.update_time,
               touched.attempt_number AS attempts,
               CASE touched.status WHEN 'UNCONFIRMED' THEN 1 ELSE 0 END AS maybe_sent
        {_TOUCHED}
        LIMIT {BATCH_SIZE}
    ) AS folded
    WHERE recipients.message_id = folded.message_id AND recipients.recipient_id = folded.recipient_id
"""
_FOLD_ONLY_ATTEMPT = _BY_TOUCHED_ATTEMPT.format(maybe_sent="folded.maybe_sent")
_FOLD_LAST_ATTEMPT = _BY_TOUCHED_ATTEMPT.format(
    maybe_sent="CASE folded.maybe_sent WHEN 1 THEN 1 ELSE recipients.maybe_sent END"
)
# The order says which attempt a recipient stands by: see domain.delivery.deciding_attempt. Windows, since PostgreSQL
# goes through all of the message to join the deciding attempts to their recipients.
_FOLD = f"""
    {_UPDATE.format(maybe_sent="folded.maybe_sent")} FROM (
        SELECT attempt.message_id, attempt.recipient_id, attempt.status, attempt.token_generation, attempt.error_code,
               attempt.error_subcode, attempt.error_message, attempt.error_type, attempt.retry, attempt.update_time,
               MAX(attempt.attempt_number) OVER of_one AS attempts,
               MAX(CASE attempt.status WHEN 'UNCONFIRMED' THEN 1 ELSE 0 END) OVER of_one AS maybe_sent,
               ROW_NUMBER() OVER (
                   PARTITION BY attempt.recipient_id
                   ORDER BY CASE attempt.status WHEN 'SENT' THEN 1 WHEN 'PENDING' THEN 2 WHEN 'SENDING' THEN 2
                                                WHEN 'CANCELLED' THEN 4 ELSE 3 END,
                            attempt.attempt_number DESC) AS place
        {_TOUCHED.replace("deliveries touched", "deliveries touched CROSS JOIN deliveries attempt")}
          AND attempt.message_id = touched.message_id AND attempt.recipient_id = touched.recipient_id
        WINDOW of_one AS (PARTITION BY attempt.recipient_id)
    ) AS folded
    WHERE folded.place = 1
      AND recipients.message_id = folded.message_id AND recipients.recipient_id = folded.recipient_id
"""
# The attempt by which a recipient stands as sent may have been removed: what is left of him says nothing more.
_FOLD_WHAT_IS_LEFT = f"{_FOLD} AND recipients.state <> 'SENT'"
