"""The messages table: a row for each message, with the counts of its recipients, and how events change it."""

from collections.abc import Mapping, Sequence

import msgspec

from domain.batch_events import RecordedOutcome
from domain.delivery import DeliveryStatus
from domain.event import Event, RecordedEvent
from domain.message_events import (
    MessageAbandoned,
    MessageCancelled,
    MessageCompleted,
    MessageEvent,
    MessagePaused,
    MessageResumed,
    MessageStaged,
    MessageStopped,
    MessageSubmitted,
    RetryRequested,
    RetryStopped,
)
from domain.outcome import Sent
from domain.retry import RetryTrigger
from domain.stop_policy import is_counted
from projections.policy_columns import delay_column, policy_of, stop_column, stop_policy_column
from projections.sql import Micros, Sql, micros

TABLES = (
    """
    CREATE TABLE IF NOT EXISTS messages (
        message_id TEXT PRIMARY KEY,
        owner TEXT NOT NULL,
        page_id TEXT NOT NULL,
        title TEXT NOT NULL,
        status TEXT NOT NULL,
        is_visible INTEGER NOT NULL,
        is_started INTEGER NOT NULL DEFAULT 0,
        is_cancelled INTEGER NOT NULL DEFAULT 0,
        is_completed INTEGER NOT NULL DEFAULT 0,
        worker TEXT NOT NULL,
        retry_type TEXT NOT NULL,
        max_retry_attempts INTEGER NOT NULL,
        on_unconfirmed TEXT NOT NULL,
        round INTEGER NOT NULL DEFAULT 0,
        retry_count INTEGER NOT NULL DEFAULT 0,
        total INTEGER NOT NULL DEFAULT 0,
        pending INTEGER NOT NULL DEFAULT 0,
        sending INTEGER NOT NULL DEFAULT 0,
        sent INTEGER NOT NULL DEFAULT 0,
        failed INTEGER NOT NULL DEFAULT 0,
        unconfirmed INTEGER NOT NULL DEFAULT 0,
        cancelled INTEGER NOT NULL DEFAULT 0,
        batches_total INTEGER NOT NULL DEFAULT 0,
        batches_completed INTEGER NOT NULL DEFAULT 0,
        create_time BIGINT NOT NULL,
        update_time BIGINT NOT NULL,
        end_time BIGINT,
        sequence BIGINT NOT NULL,
        is_paused INTEGER NOT NULL DEFAULT 0,
        schedule_time BIGINT NOT NULL DEFAULT 0,
        retry_delay TEXT NOT NULL DEFAULT '',
        next_retry_time BIGINT,
        is_cleaned INTEGER NOT NULL DEFAULT 0,
        canary_round INTEGER NOT NULL DEFAULT 0,
        is_archived INTEGER NOT NULL DEFAULT 0,
        stop_policy TEXT NOT NULL DEFAULT '',
        recent_attempts BIGINT NOT NULL DEFAULT 0,
        recent_failures BIGINT NOT NULL DEFAULT 0,
        stop TEXT NOT NULL DEFAULT '',
        stop_time BIGINT,
        replaced_round INTEGER NOT NULL DEFAULT 0,
        automatic_from_batch INTEGER NOT NULL DEFAULT 0,
        is_suspended INTEGER NOT NULL DEFAULT 0
    )
    """,
    "CREATE INDEX IF NOT EXISTS messages_newest ON messages (owner, create_time, message_id) WHERE is_visible = 1",
    "CREATE INDEX IF NOT EXISTS messages_of_page ON messages (page_id, create_time, message_id) WHERE is_visible = 1",
    "CREATE INDEX IF NOT EXISTS messages_with_canary ON messages (message_id) WHERE canary_round > 0",
    "CREATE INDEX IF NOT EXISTS messages_unfinished ON messages (message_id) WHERE is_completed = 0",
    """
    CREATE INDEX IF NOT EXISTS messages_for_timer ON messages (message_id)
    WHERE retry_type = 'CRON' AND is_completed = 1
    """,
    """
    CREATE INDEX IF NOT EXISTS messages_changed_late ON messages (message_id)
    WHERE retry_type = 'AUTO' AND is_completed = 1 AND update_time > end_time
    """,
    """
    CREATE INDEX IF NOT EXISTS messages_next_retry ON messages (next_retry_time, message_id)
    WHERE next_retry_time IS NOT NULL AND failed + unconfirmed > 0
    """,
)


_ASSIGNMENTS: Mapping[type[Event], str] = {
    MessagePaused: "is_paused = 1, is_completed = 0, end_time = NULL, next_retry_time = NULL",
    MessageResumed: "is_paused = 0, is_suspended = 0, stop = '', stop_time = NULL,"
    " automatic_from_batch = CASE WHEN is_suspended = 1 THEN 0 ELSE automatic_from_batch END",
    MessageCancelled: "is_cancelled = 1, is_suspended = 0, next_retry_time = NULL, canary_round = 0,"
    " stop = '', stop_time = NULL",
    MessageCompleted: "is_completed = 1, is_paused = 0, end_time = :time, stop = '', stop_time = NULL",
}


def apply(sql: Sql, recorded: RecordedEvent) -> None:
    """Apply a message's own events, except for the counts (see settle)."""
    event = recorded.event
    if isinstance(event, MessageEvent) and type(event) in _ASSIGNMENTS:
        _set(sql, event, _ASSIGNMENTS[type(event)])
    match event:
        case MessageStaged() | MessageSubmitted() | MessageAbandoned():
            _begin_or_abandon(sql, event)
        case MessageStopped():
            _stop(sql, event)
        case RetryRequested():
            _request_retry(sql, event)
        case RetryStopped():
            _set(sql, event, f"canary_round = 0{', is_suspended = 1' if event.suspends_automatic_rounds else ''}")
        case MessageCompleted() | MessageResumed():
            _plan_next_round(sql, event)


def _begin_or_abandon(sql: Sql, event: MessageStaged | MessageSubmitted | MessageAbandoned) -> None:
    match event:
        case MessageStaged():
            _insert(sql, event, visible=False)
        case MessageSubmitted():
            _submit(sql, event)
        case MessageAbandoned():
            sql.execute("DELETE FROM messages WHERE message_id = :message_id", {"message_id": event.message_id})


def _insert(sql: Sql, event: MessageStaged | MessageSubmitted, *, visible: bool) -> None:
    sql.execute(
        """
        INSERT INTO messages (message_id, owner, page_id, title, status, is_visible, worker, retry_type,
                              max_retry_attempts, on_unconfirmed, create_time, update_time, sequence)
        VALUES (:message_id, :owner, :page_id, '', 'PENDING', :visible, :worker, 'MANUAL', 0, 'HOLD', :time, :time, 0)
        """,
        {
            "message_id": event.message_id,
            "owner": event.owner,
            "page_id": event.page_id,
            "visible": int(visible),
            "worker": event.worker if isinstance(event, MessageStaged) else "",
            "time": micros(event.time),
        },
    )


def _is_staged(sql: Sql, message_id: str) -> bool:
    """Return whether a stream inserted the message before it was submitted."""
    return sql.row("SELECT 1 FROM messages WHERE message_id = :message_id", {"message_id": message_id}) is not None


def _submit(sql: Sql, event: MessageSubmitted) -> None:
    if not _is_staged(sql, event.message_id):
        _insert(sql, event, visible=True)
    sql.execute(
        """
        UPDATE messages SET title = :title, is_visible = 1, worker = '', retry_type = :retry_type,
               max_retry_attempts = :max_retry_attempts, retry_delay = :retry_delay, on_unconfirmed = :on_unconfirmed,
               stop_policy = :stop_policy,
               batches_total = :batches, schedule_time = :schedule_time, create_time = :time, update_time = :time
        WHERE message_id = :message_id
        """,
        {
            "message_id": event.message_id,
            "title": event.title,
            "retry_type": event.retry_policy.type.value,
            "max_retry_attempts": event.retry_policy.max_retry_attempts,
            "retry_delay": delay_column(event.retry_policy.delay),
            "on_unconfirmed": event.on_unconfirmed.value,
            "stop_policy": stop_policy_column(event.stop_policy),
            "batches": event.batches,
            "schedule_time": 0 if event.schedule_time is None else max(0, micros(event.schedule_time)),
            "time": micros(event.time),
        },
    )


def _request_retry(sql: Sql, event: RetryRequested) -> None:
    """Apply a slice of a round; slices of two rounds may alternate.

    `canary_round` is the open round, see domain.canary.OpenRound.
    """
    sql.execute(
        """
        UPDATE messages SET round = CASE WHEN round > :round THEN round ELSE :round END,
               canary_round = CASE WHEN :opens = 1 THEN :round WHEN canary_round = :round AND :is_last = 1 THEN 0
                                   ELSE canary_round END,
               replaced_round = CASE WHEN :replaces = 1 THEN :round ELSE replaced_round END,
               retry_count = :retry_count, batches_total = :batches_total,
               is_completed = 0, end_time = NULL, next_retry_time = NULL, update_time = :time,
               automatic_from_batch = :automatic_from_batch,
               is_suspended = CASE WHEN :is_manual = 1 AND round < :round THEN 0 ELSE is_suspended END
        WHERE message_id = :message_id
        """,
        {
            "message_id": event.message_id,
            "automatic_from_batch": event.automatic_from_batch,
            "is_manual": int(event.trigger is RetryTrigger.MANUAL),
            "round": event.round,
            "retry_count": event.retry_count,
            "batches_total": event.first_batch + event.batches - 1,
            "opens": int(event.trial is not None or event.goes_on),
            "is_last": int(not event.last_recipient),
            "replaces": int(event.replaces_content),
            "time": micros(event.time),
        },
    )


def _stop(sql: Sql, event: MessageStopped) -> None:
    sql.execute(
        """
        UPDATE messages SET is_paused = 1, is_completed = 0, end_time = NULL, next_retry_time = NULL, stop = :stop,
               stop_time = :time, update_time = :time
        WHERE message_id = :message_id
        """,
        {"message_id": event.message_id, "stop": stop_column(event.stop), "time": micros(event.time)},
    )


def _set(sql: Sql, event: MessageEvent, assignments: str) -> None:
    sql.execute(
        f"UPDATE messages SET {assignments}, update_time = :time WHERE message_id = :message_id",  # noqa: S608 - constants
        {"message_id": event.message_id, "time": micros(event.time)},
    )


def _plan_next_round(sql: Sql, event: MessageCompleted | MessageResumed) -> None:
    """Set the due time of the next round, if the message is completed and has its own schedule."""
    row = sql.row(
        """
        SELECT retry_type, max_retry_attempts, retry_delay, retry_count FROM messages
        WHERE message_id = :message_id AND retry_delay <> '' AND is_completed = 1 AND is_cancelled = 0
          AND is_suspended = 0
        """,
        {"message_id": event.message_id},
    )
    due = row and policy_of(row).next_round(event.message_id, row["retry_count"], event.time)
    if due:
        statement = "UPDATE messages SET next_retry_time = :due WHERE message_id = :message_id"
        sql.execute(statement, {"message_id": event.message_id, "due": micros(due)})


class RecentAttempts(msgspec.Struct):
    """The changes of one transaction to the attempts that a message's stop policy counts.

    They are counted since the message was sent, resumed or resent manually, or since its page was released. An attempt
    counts with its first outcome: a later receipt for an unconfirmed attempt changes nothing here.
    """

    is_reset: bool = False
    attempts: int = 0
    failures: int = 0

    def reset(self) -> None:
        """Restart the counts at 0."""
        self.is_reset, self.attempts, self.failures = True, 0, 0

    def add(self, outcomes: Sequence[RecordedOutcome]) -> None:
        """Count attempts; unconfirmed ones count as failures."""
        counted = [known.outcome for known in outcomes if is_counted(known.outcome)]
        self.attempts += len(counted)
        self.failures += sum(not isinstance(outcome, Sent) for outcome in counted)


_UPDATE_COUNTS = """
    UPDATE messages SET
        sequence = :position,
        update_time = COALESCE(:time, update_time),
        total = total + :TOTAL,
        pending = pending + :PENDING,
        sending = sending + :SENDING,
        sent = sent + :SENT,
        failed = failed + :FAILED,
        unconfirmed = unconfirmed + :UNCONFIRMED,
        cancelled = cancelled + :CANCELLED,
        batches_completed = batches_completed + :completed_batches,
        recent_attempts = CASE WHEN :resumed = 1 THEN 0 ELSE recent_attempts END + :attempts,
        recent_failures = CASE WHEN :resumed = 1 THEN 0 ELSE recent_failures END + :failures,
        is_started = CASE WHEN :started = 1 THEN 1 ELSE is_started END,
        status = CASE
            WHEN is_cancelled = 1 THEN 'CANCELLED'
            WHEN is_paused = 1 THEN 'PAUSED'
            WHEN is_completed = 1 AND sent + :SENT = total + :TOTAL THEN 'SENT'
            WHEN is_completed = 1 AND sent + :SENT = 0 THEN 'FAILED'
            WHEN is_completed = 1 THEN 'PARTIALLY_SENT'
            WHEN is_started = 1 OR :started = 1 THEN 'SENDING'
            ELSE 'PENDING' END
    WHERE message_id = :message_id
"""


def add_counts(
    sql: Sql,
    message_id: str,
    changes: Mapping[DeliveryStatus, int],
    *,
    completed_batches: int,
    attempts: RecentAttempts,
    is_started: bool,
    update_time: Micros | None,
    position: int,
) -> None:
    """Add to the counts of a message's recipients, and update its status and sequence."""
    sql.execute(
        _UPDATE_COUNTS,
        {
            **{status.value: changes.get(status, 0) for status in DeliveryStatus},
            "TOTAL": sum(changes.values()),
            "completed_batches": completed_batches,
            "resumed": int(attempts.is_reset),
            "attempts": attempts.attempts,
            "failures": attempts.failures,
            "started": int(is_started),
            "time": update_time,
            "position": position,
            "message_id": message_id,
        },
    )


def raise_update_time(sql: Sql, message_id: str, time: Micros) -> Micros:
    """Set a message's update time to this time if that is later; return the later one."""
    row = sql.row("SELECT update_time FROM messages WHERE message_id = :message_id", {"message_id": message_id})
    latest = max(time, row["update_time"] if row else 0)
    sql.execute(
        "UPDATE messages SET update_time = :time WHERE message_id = :message_id",
        {"message_id": message_id, "time": latest},
    )
    return latest
