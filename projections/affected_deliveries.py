"""The deliveries that an event changes, and the update of their recipients (protocol rule 8)."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from domain.batch import BATCH_SIZE
from domain.delivery import DeliveryStatus
from projections.sql import BulkRows, Parameters, Row, Sql

_OPEN = frozenset((DeliveryStatus.PENDING, DeliveryStatus.SENDING))


class CountKey(NamedTuple):
    """The key by which attempts and recipients are counted."""

    state: DeliveryStatus
    error_type: str | None


class CountChange(NamedTuple):
    """The counts by count_key before and after an event."""

    before: Counter[CountKey]
    after: Counter[CountKey]

    @property
    def by_state(self) -> Mapping[DeliveryStatus, int]:
        """The changes of the counts by state."""
        changes: Counter[DeliveryStatus] = Counter()
        for count_key, change in self._changes():
            changes[count_key.state] += change
        return changes

    @property
    def by_error_type(self) -> Mapping[str, int]:
        """The changes of the counts by error type."""
        changes: Counter[str] = Counter()
        for count_key, change in self._changes():
            if count_key.error_type is not None:
                changes[count_key.error_type] += change
        return changes

    def _changes(self) -> Iterator[tuple[CountKey, int]]:
        for counts, sign in ((self.after, 1), (self.before, -1)):
            for count_key, count in counts.items():
                yield count_key, sign * count


class AffectedDeliveries(NamedTuple):
    """Some deliveries of one batch."""

    batch: Parameters
    positions: BulkRows

    def count_attempts(self, sql: Sql) -> Counter[CountKey]:
        """Return the counts of the attempts by count_key."""
        return count_rows(sql.rows(_ATTEMPTS, self.batch, self.positions))

    def update_single_attempt_recipients(self, sql: Sql) -> None:
        """Update the recipients, if none has another attempt."""
        sql.execute(_FOLD_ONLY_ATTEMPT, self.batch, self.positions)

    def update_recipients(self, sql: Sql, attempts: CountChange, *, is_cleaned: bool) -> CountChange:
        """Update recipients that may have other attempts; `attempts` is the change of these deliveries' counts."""
        rows = sql.rows(_RECIPIENTS, self.batch, self.positions)
        before = count_rows(rows)
        if all(row["is_last"] for row in rows) and _last_attempts_decide(attempts, before):
            sql.execute(_FOLD_LAST_ATTEMPT, self.batch, self.positions)
            return CountChange(before, attempts.after)
        return CountChange(before, self._fold_all(sql, is_cleaned=is_cleaned))

    def update_new_recipients(self, sql: Sql, *, is_cleaned: bool) -> CountChange:
        """Update the recipients of new attempts."""
        before = count_rows(sql.rows(_RECIPIENTS, self.batch, self.positions))
        return CountChange(before, self._fold_all(sql, is_cleaned=is_cleaned))

    def _fold_all(self, sql: Sql, *, is_cleaned: bool) -> Counter[CountKey]:
        """Update the recipients from all of their attempts; in a cleaned message a SENT recipient stays SENT."""
        sql.execute(_FOLD_UNLESS_SENT if is_cleaned else _FOLD, self.batch, self.positions)
        return count_rows(sql.rows(_RECIPIENTS, self.batch, self.positions))


def count_rows(rows: Iterable[Row]) -> Counter[CountKey]:
    """Return the counts by count_key in grouped rows."""
    counts: Counter[CountKey] = Counter()
    for row in rows:
        counts[CountKey(DeliveryStatus(row["state"]), row["error_type"])] += row["row_count"]
    return counts


def _last_attempts_decide(attempts: CountChange, recipients: Counter[CountKey]) -> bool:
    """Return whether the changed attempts, each the last of its recipient, decide the recipients' states.

    They do if all were open, because a recipient has at most one open attempt.
    """
    if any(count_key.state is DeliveryStatus.CANCELLED for count_key in attempts.after):
        return False
    return {count_key.state for count_key in (*attempts.before, *recipients)} <= _OPEN


# CROSS JOIN sets the join order for SQLite's planner, which would otherwise scan all deliveries of the message.
_AFFECTED = """
    FROM given CROSS JOIN deliveries affected
    WHERE affected.message_id = :message_id AND affected.batch_number = :batch_number
      AND affected.position = given.position
"""
_ATTEMPTS = f"""
    SELECT affected.status AS state, affected.error_type, COUNT(*) AS row_count
    {_AFFECTED} GROUP BY affected.status, affected.error_type
"""
_RECIPIENTS = f"""
    SELECT recipient.state, recipient.error_type, recipient.attempts <= affected.attempt_number AS is_last,
           COUNT(*) AS row_count
    {_AFFECTED.replace("deliveries affected", "deliveries affected CROSS JOIN recipients recipient")}
      AND recipient.message_id = affected.message_id AND recipient.recipient_id = affected.recipient_id
    GROUP BY 1, 2, 3
"""
_UPDATE = """
    UPDATE recipients SET
        state = folded.status, maybe_sent = {maybe_sent}, attempts = folded.attempts,
        token_generation = folded.token_generation, error_code = folded.error_code,
        error_subcode = folded.error_subcode, error_message = folded.error_message, error_type = folded.error_type,
        retry = folded.retry, last_attempt_time = folded.update_time
"""
# Two details keep the planners from scanning all recipients of the message first: for SQLite the limit, which is no
# restriction because a batch has no more deliveries; for PostgreSQL the message id of the joined rows instead of the
# parameter.
_FOLD_AFFECTED_ATTEMPT = f"""
    {_UPDATE} FROM (
        SELECT affected.message_id, affected.recipient_id, affected.status, affected.token_generation,
               affected.error_code, affected.error_subcode, affected.error_message, affected.error_type,
               affected.retry, affected.update_time, affected.attempt_number AS attempts,
               CASE affected.status WHEN 'UNCONFIRMED' THEN 1 ELSE 0 END AS maybe_sent
        {_AFFECTED}
        LIMIT {BATCH_SIZE}
    ) AS folded
    WHERE recipients.message_id = folded.message_id AND recipients.recipient_id = folded.recipient_id
"""
_FOLD_ONLY_ATTEMPT = _FOLD_AFFECTED_ATTEMPT.format(maybe_sent="folded.maybe_sent")
_FOLD_LAST_ATTEMPT = _FOLD_AFFECTED_ATTEMPT.format(
    maybe_sent="CASE folded.maybe_sent WHEN 1 THEN 1 ELSE recipients.maybe_sent END"
)
# ROW_NUMBER numbers a recipient's attempts so that the deciding one is 1: see domain.delivery.deciding_attempt. Window
# functions, because for a join of the deciding attempts with their recipients PostgreSQL scans the whole message.
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
                            attempt.attempt_number DESC) AS deciding_order
        {_AFFECTED.replace("deliveries affected", "deliveries affected CROSS JOIN deliveries attempt")}
          AND attempt.message_id = affected.message_id AND attempt.recipient_id = affected.recipient_id
        WINDOW of_one AS (PARTITION BY attempt.recipient_id)
    ) AS folded
    WHERE folded.deciding_order = 1
      AND recipients.message_id = folded.message_id AND recipients.recipient_id = folded.recipient_id
"""
# A cleanup may have removed the attempt that made a recipient SENT: the remaining attempts must not change that.
_FOLD_UNLESS_SENT = f"{_FOLD} AND recipients.state <> 'SENT'"
