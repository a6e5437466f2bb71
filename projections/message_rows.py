"""Queries of the messages table."""

from collections.abc import Collection, Mapping, Sequence

import msgspec

from domain.delivery import DeliveryStatus
from domain.owner import ANY_OWNER
from domain.retry import OnUnconfirmed, RetryPolicy, RetryType
from domain.stop_policy import Stop
from projections import pages
from projections.page_pauses import PauseRow
from projections.pages import HoldRow, PageBlocks
from projections.policy_columns import policy_of, stop_of
from projections.sql import BulkRows, Micros, Row, Sql, in_condition

# A condition for queries of the log: no row says that the message `:message_id` is another owner's than `:owner`.
NOT_OF_ANOTHER_OWNER = "NOT EXISTS (SELECT 1 FROM messages WHERE message_id = :message_id AND owner <> :owner)"


class MessageRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the messages table, with the hold and pause of its page.

    - `next_retry_time`: when the next round is due, while a message with its own retry schedule waits for it.
    - `canary_round`: the round that is not completely planned, for example because its canary is undecided; 0 for none.
    - `automatic_from_batch`: automatic rounds take recipients of this batch and later ones; 0 for all.
    - `suspended`: no automatic round starts.
    """

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
    paused: bool = False
    schedule_time: Micros | None = None
    next_retry_time: Micros | None = None
    page_hold: HoldRow | None = None
    page_pause: PauseRow | None = None
    stop: Stop | None = None
    stop_time: Micros | None = None
    canary_round: int = 0
    automatic_from_batch: int = 0
    suspended: bool = False

    @property
    def is_open(self) -> bool:
        """Whether a delivery or a batch is open: a batch may still be open when all its recipients are SENT."""
        return self.open_deliveries > 0 or self.batches_completed < self.batches_total

    @property
    def automatic_rounds_suspended(self) -> bool:
        """Whether the policy has automatic rounds that a stopped canary suspends."""
        return self.suspended and self.retry_policy.type is not RetryType.MANUAL

    @property
    def open_deliveries(self) -> int:
        """The number of recipients that are pending or sending."""
        return self.counts[DeliveryStatus.PENDING] + self.counts[DeliveryStatus.SENDING]


_COUNTS = {status: status.value.lower() for status in DeliveryStatus}  # the column of each


def message_row(row: Row) -> MessageRow:
    """Return the MessageRow for a database row."""
    return MessageRow(
        message_id=row["message_id"],
        owner=row["owner"],
        page_id=row["page_id"],
        title=row["title"],
        status=row["status"],
        retry_policy=policy_of(row),
        on_unconfirmed=OnUnconfirmed(row["on_unconfirmed"]),
        round=row["round"],
        retry_count=row["retry_count"],
        counts={status: row[column] for status, column in _COUNTS.items()},
        total=row["total"],
        batches_total=row["batches_total"],
        batches_completed=row["batches_completed"],
        cancelled=bool(row["is_cancelled"]),
        completed=bool(row["is_completed"]),
        create_time=row["create_time"],
        update_time=row["update_time"],
        end_time=row["end_time"],
        sequence=row["sequence"],
        paused=bool(row["is_paused"]),
        schedule_time=row["schedule_time"] or None,
        next_retry_time=row["next_retry_time"],
        canary_round=row["canary_round"],
        stop=stop_of(row["stop"]),
        stop_time=row["stop_time"],
        automatic_from_batch=row["automatic_from_batch"],
        suspended=bool(row["is_suspended"]),
    )


class MessageFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which messages a list returns; an empty field and the owner ANY_OWNER do not filter."""

    owner: str
    page_id: str = ""
    statuses: tuple[str, ...] = ()
    with_failures: bool = False


def find(sql: Sql, message_id: str) -> MessageRow | None:
    """Return a submitted message; None if there is none with this id."""
    row = sql.row(
        "SELECT * FROM messages WHERE message_id = :message_id AND is_visible = 1", {"message_id": message_id}
    )
    return _with_page_states(sql, [message_row(row)])[0] if row else None


def find_owned(sql: Sql, owner: str, message_id: str) -> MessageRow | None:
    """Return a submitted message of an owner (or ANY_OWNER); None if there is none with this id.

    The database compares the owner: another owner's message takes as long as an unknown id, and its row is not read.
    """
    row = sql.row(
        f"""
        SELECT * FROM messages WHERE message_id = :message_id AND is_visible = 1
          {"" if owner == ANY_OWNER else "AND owner = :owner"}
        """,  # noqa: S608 - a constant condition
        {"message_id": message_id, "owner": owner},
    )
    return _with_page_states(sql, [message_row(row)])[0] if row else None


def find_each(sql: Sql, message_ids: Collection[str]) -> Mapping[str, MessageRow]:
    """Return those of the messages that were submitted, by id."""
    rows = sql.rows(
        """
        SELECT messages.* FROM given CROSS JOIN messages
        WHERE messages.message_id = given.message_id AND messages.is_visible = 1
        """,
        given=BulkRows((("message_id", str),), [(message_id,) for message_id in message_ids]),
    )
    return {found.message_id: found for found in _with_page_states(sql, [message_row(row) for row in rows])}


def _with_page_states(sql: Sql, found: Sequence[MessageRow]) -> Sequence[MessageRow]:
    states = pages.states(sql, {message.page_id for message in found})
    return [_with_state(message, states.get(message.page_id)) for message in found] if states else found


def _with_state(message: MessageRow, state: PageBlocks | None) -> MessageRow:
    return msgspec.structs.replace(message, page_hold=state.hold, page_pause=state.pause) if state else message


def list_newest(
    sql: Sql,
    wanted: MessageFilter,
    *,
    among: Sequence[str] = (),
    before: tuple[Micros, str] | None,
    limit: int,
) -> Sequence[MessageRow]:
    """Return messages, newest first, older than `before` (creation time and id of the last one listed).

    With `among` only these ids are returned; empty means all.
    """
    in_statuses, statuses = in_condition("status", "status", wanted.statuses)
    in_among, ids = in_condition("message_id", "id", among)
    time, message_id = before or (2**62, "")
    rows = sql.rows(
        f"""
        SELECT * FROM messages
        WHERE is_visible = 1 AND {in_statuses} AND {in_among}
          {"" if wanted.owner == ANY_OWNER else "AND owner = :owner"}
          {"AND page_id = :page_id" if wanted.page_id else ""}
          {"AND failed + unconfirmed > 0" if wanted.with_failures else ""}
          AND (create_time, message_id) < (:time, :message_id)
        ORDER BY create_time DESC, message_id DESC LIMIT :limit
        """,  # noqa: S608 - constant conditions
        {
            **statuses,
            **ids,
            "owner": wanted.owner,
            "page_id": wanted.page_id,
            "time": time,
            "message_id": message_id,
            "limit": limit,
        },
    )
    return _with_page_states(sql, [message_row(row) for row in rows])


def owned_among(sql: Sql, owner: str, message_ids: Collection[str]) -> frozenset[str]:
    """Return those of the messages that belong to the owner."""
    rows = sql.rows(
        """
        SELECT messages.message_id FROM given CROSS JOIN messages
        WHERE messages.message_id = given.message_id AND messages.owner = :owner
        """,
        {"owner": owner},
        BulkRows((("message_id", str),), [(message_id,) for message_id in message_ids]),
    )
    return frozenset(row["message_id"] for row in rows)


def open_of_page(sql: Sql, page_id: str) -> Sequence[str]:
    """Return a page's messages that are not completed."""
    rows = sql.rows(
        "SELECT message_id FROM messages WHERE is_completed = 0 AND page_id = :page_id", {"page_id": page_id}
    )
    return [row["message_id"] for row in rows]


def unfinished(sql: Sql) -> Sequence[str]:
    """Return messages without an open delivery that are not completed yet: the reconciler completes them."""
    rows = sql.rows(
        "SELECT message_id FROM messages WHERE is_completed = 0 AND is_visible = 1 AND pending + sending = 0"
        " AND batches_completed >= batches_total"
    )
    return [row["message_id"] for row in rows]


def with_canary(sql: Sql) -> Sequence[str]:
    """Return messages with a round that is not completely planned: the reconciler continues it."""
    return [row["message_id"] for row in sql.rows("SELECT message_id FROM messages WHERE canary_round > 0")]


def changed_late(sql: Sql) -> Sequence[str]:
    """Return AUTO messages with failures and rounds left that changed after their end, and may be retryable again."""
    rows = sql.rows(
        """
        SELECT message_id FROM messages
        WHERE retry_type = 'AUTO' AND is_completed = 1 AND update_time > end_time AND is_cancelled = 0
          AND retry_delay = '' AND is_suspended = 0
          AND failed + unconfirmed > 0 AND retry_count < max_retry_attempts
        """
    )
    return [row["message_id"] for row in rows]


def cancelled_with_pending(sql: Sql) -> Sequence[str]:
    """Return cancelled messages that still have pending deliveries."""
    rows = sql.rows("SELECT message_id FROM messages WHERE is_completed = 0 AND is_cancelled = 1 AND pending > 0")
    return [row["message_id"] for row in rows]


def staged(sql: Sql) -> Sequence[tuple[str, str]]:
    """Return messages whose stream of recipients is open, each with the worker that receives it."""
    rows = sql.rows("SELECT message_id, worker FROM messages WHERE is_completed = 0 AND is_visible = 0")
    return [(row["message_id"], row["worker"]) for row in rows]


def due_for_timer(sql: Sql, *, after: str, limit: int, own_schedules: bool = True) -> Sequence[MessageRow]:
    """Return CRON messages for the retry timer, ordered by id, after the id `after`.

    They are completed (so not paused), neither cancelled nor suspended, have failures and automatic rounds left, and
    their page is not on hold. `own_schedules=False` leaves out messages with their own schedule.
    """
    rows = sql.rows(
        f"""
        SELECT * FROM messages
        WHERE retry_type = 'CRON' AND is_completed = 1 AND is_cancelled = 0 AND is_suspended = 0
          AND failed + unconfirmed > 0
          AND retry_count < max_retry_attempts AND message_id > :after
          AND NOT EXISTS (SELECT 1 FROM pages WHERE pages.page_id = messages.page_id AND pages.is_held = 1)
          {"" if own_schedules else "AND retry_delay = ''"}
        ORDER BY message_id LIMIT :limit
        """,  # noqa: S608 - a constant condition
        {"after": after, "limit": limit},
    )
    return [message_row(row) for row in rows]


def due_by_own_schedule(sql: Sql, *, after: tuple[Micros, str], until: Micros, limit: int) -> Sequence[MessageRow]:
    """Return messages with failures whose own schedule makes a round due by `until`, ordered by due time and id.

    `after` is the due time and id of the last one listed.
    """
    rows = sql.rows(
        """
        SELECT * FROM messages
        WHERE next_retry_time IS NOT NULL AND next_retry_time <= :until
          AND (next_retry_time, message_id) > (:time, :message_id) AND failed + unconfirmed > 0
        ORDER BY next_retry_time, message_id LIMIT :limit
        """,
        {"until": until, "time": after[0], "message_id": after[1], "limit": limit},
    )
    return [message_row(row) for row in rows]
