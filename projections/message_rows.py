"""Messages as their readers see them: the row, and the questions asked of it."""

from collections.abc import Mapping, Sequence

import msgspec

from domain.delivery import DeliveryStatus
from domain.retry import OnUnconfirmed, RetryPolicy, RetryType
from projections.sql import Micros, Row, Sql, one_of


class MessageRow(msgspec.Struct, frozen=True, kw_only=True):
    """A message as its readers see it."""

    message_id: str
    owner: str
    page_id: str
    title: str
    status: str
    retry_policy: RetryPolicy
    on_unconfirmed: OnUnconfirmed
    round: int
    retry_count: int
    counts: Mapping[DeliveryStatus, int]
    total: int
    batches_total: int
    batches_completed: int
    cancelled: bool
    completed: bool
    create_time: Micros
    update_time: Micros
    end_time: Micros | None
    sequence: int

    @property
    def is_open(self) -> bool:
        """Something of it may still leave or be answered, even to somebody who turned out to have been reached."""
        return self.open_deliveries > 0 or self.batches_completed < self.batches_total

    @property
    def open_deliveries(self) -> int:
        """Pending and sending."""
        return self.counts[DeliveryStatus.PENDING] + self.counts[DeliveryStatus.SENDING]


def message_row(row: Row) -> MessageRow:
    """A row of the table, as its readers see it."""
    policy = RetryPolicy(type=RetryType(row["retry_type"]), max_retry_attempts=row["max_retry_attempts"])
    return MessageRow(
        message_id=row["message_id"],
        owner=row["owner"],
        page_id=row["page_id"],
        title=row["title"],
        status=row["status"],
        retry_policy=policy,
        on_unconfirmed=OnUnconfirmed(row["on_unconfirmed"]),
        round=row["round"],
        retry_count=row["retry_count"],
        counts={status: row[status.value.lower()] for status in DeliveryStatus},
        total=row["total"],
        batches_total=row["batches_total"],
        batches_completed=row["batches_completed"],
        cancelled=bool(row["is_cancelled"]),
        completed=bool(row["is_completed"]),
        create_time=row["create_time"],
        update_time=row["update_time"],
        end_time=row["end_time"],
        sequence=row["sequence"],
    )


class MessageFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which messages a list shows; what is empty does not filter."""

    owner: str
    page_id: str = ""
    statuses: tuple[str, ...] = ()
    with_failures: bool = False


def find(sql: Sql, message_id: str) -> MessageRow | None:
    """A message that was submitted, or None."""
    row = sql.row(
        "SELECT * FROM messages WHERE message_id = :message_id AND is_visible = 1", {"message_id": message_id}
    )
    return message_row(row) if row else None


def newest(sql: Sql, wanted: MessageFilter, *, before: tuple[Micros, str] | None, limit: int) -> Sequence[MessageRow]:
    """Messages by age, newest first, that come after `before` (creation time and id of the last one seen)."""
    in_statuses, parameters = one_of("status", "status", wanted.statuses)
    time, message_id = before or (2**62, "")
    rows = sql.rows(
        f"""
        SELECT * FROM messages
        WHERE is_visible = 1 AND owner = :owner AND {in_statuses}
          {"AND page_id = :page_id" if wanted.page_id else ""}
          {"AND failed + unconfirmed > 0" if wanted.with_failures else ""}
          AND (create_time < :time OR (create_time = :time AND message_id < :message_id))
        ORDER BY create_time DESC, message_id DESC LIMIT :limit
        """,  # noqa: S608 - conditions of our own words
        {
            **parameters,
            "owner": wanted.owner,
            "page_id": wanted.page_id,
            "time": time,
            "message_id": message_id,
            "limit": limit,
        },
    )
    return [message_row(row) for row in rows]


def unfinished(sql: Sql) -> Sequence[str]:
    """Messages with no open delivery that are not called completed yet: the sweep decides on them."""
    rows = sql.rows(
        "SELECT message_id FROM messages WHERE is_completed = 0 AND is_visible = 1 AND pending + sending = 0"
        " AND batches_completed >= batches_total"
    )
    return [row["message_id"] for row in rows]


def changed_late(sql: Sql) -> Sequence[str]:
    """AUTO messages with failures and rounds left that changed after their end: late news may ask for a round."""
    rows = sql.rows(
        """
        SELECT message_id FROM messages
        WHERE retry_type = 'AUTO' AND is_completed = 1 AND update_time > end_time AND is_cancelled = 0
          AND failed + unconfirmed > 0 AND retry_count < max_retry_attempts
        """
    )
    return [row["message_id"] for row in rows]


def cancelled_with_pending(sql: Sql) -> Sequence[str]:
    """Cancelled messages of which some deliveries still stand as pending."""
    rows = sql.rows("SELECT message_id FROM messages WHERE is_completed = 0 AND is_cancelled = 1 AND pending > 0")
    return [row["message_id"] for row in rows]


def staged(sql: Sql) -> Sequence[tuple[str, str]]:
    """Messages whose stream of recipients is open, each with the worker that takes it."""
    rows = sql.rows("SELECT message_id, worker FROM messages WHERE is_completed = 0 AND is_visible = 0")
    return [(row["message_id"], row["worker"]) for row in rows]


def due_for_timer(sql: Sql, *, after: str, limit: int) -> Sequence[MessageRow]:
    """CRON messages that are done, not cancelled, have failures and automatic rounds left; by id."""
    rows = sql.rows(
        """
        SELECT * FROM messages
        WHERE retry_type = 'CRON' AND is_completed = 1 AND is_cancelled = 0 AND failed + unconfirmed > 0
          AND retry_count < max_retry_attempts AND message_id > :after
        ORDER BY message_id LIMIT :limit
        """,
        {"after": after, "limit": limit},
    )
    return [message_row(row) for row in rows]
