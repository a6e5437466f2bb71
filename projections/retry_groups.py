"""Failed and retryable recipients of a message, computed by each query and never stored (protocol rule 9).

SQL groups recipients by everything that decides whether they are retryable. The domain decides for each group, and SQL
then finds the recipients of the chosen groups.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache

import msgspec

from domain.batch_events import BatchRecipient
from domain.delivery import DeliveryStatus
from domain.fault import ErrorType, RetryRule
from domain.graph_codes import OUTSIDE_WINDOW
from domain.retry import RetryState
from projections.sql import BulkRows, Micros, Row, Sql

_FAILED = "message_id = :message_id AND state IN ('FAILED', 'UNCONFIRMED')"
_ATTEMPTED_SINCE = """
    EXISTS (SELECT 1 FROM deliveries
            WHERE deliveries.message_id = recipients.message_id AND deliveries.recipient_id = recipients.recipient_id
              AND deliveries.batch_number >= :from_batch)
"""
_OUTSIDE_WINDOW = " OR ".join(f"(error_code = {code} AND error_subcode = {sub})" for code, sub in OUTSIDE_WINDOW)
_PERMANENTLY_OUTSIDE = f"state = 'FAILED' AND error_type = 'PERMISSION' AND retry = 'NEVER' AND ({_OUTSIDE_WINDOW})"
_GROUP = "state, error_type, retry, maybe_sent, attempts, token_generation"  # the order of an index


class RetryContext(msgspec.Struct, frozen=True, kw_only=True):
    """A message with the values that decide about retries: its limit of attempts, and its page's token generation.

    With `from_batch` only recipients with an attempt in this batch or a later one are found.
    """

    message_id: str
    max_attempts: int
    token_generation: int
    from_batch: int = 0

    @property
    def failed_condition(self) -> str:
        """The SQL condition for the failed and unconfirmed recipients."""
        return f"{_FAILED} AND {_ATTEMPTED_SINCE}" if self.from_batch else _FAILED

    def parameters(self) -> dict[str, object]:
        """Return the parameters of the SQL statements."""
        return msgspec.structs.asdict(self)


class FailedRecipientRow(msgspec.Struct, frozen=True, kw_only=True):
    """A recipient whose last attempt failed or is unconfirmed."""

    recipient_id: str
    recipient_name: str
    attempts: int
    error_code: int
    error_subcode: int
    error_message: str
    last_attempt_time: Micros
    origin_batch: int
    origin_position: int
    retry_state: RetryState
    content_round: int = 0


def count_groups(sql: Sql, judged: RetryContext) -> Mapping[RetryState, int]:
    """Return the number of failed and unconfirmed recipients of a message by retry_state."""
    rows = sql.rows(
        f"""
        SELECT state, error_type, retry, maybe_sent, attempts >= :max_attempts AS attempts_exhausted,
               token_generation < :token_generation AS token_replaced, COUNT(*) AS recipients
        FROM recipients WHERE {judged.failed_condition} GROUP BY {_GROUP}
        """,  # noqa: S608 - constants of this module
        judged.parameters(),
    )
    found: Counter[RetryState] = Counter()
    for row in rows:
        found[_retry_state(row)] += row["recipients"]
    return found


def count_outside_window(sql: Sql, judged: RetryContext) -> Mapping[RetryState, int]:
    """Return the number of recipients by retry_state that failed outside the platform's 24-hour window.

    It reads the row of each recipient with a permanent permission error.
    """
    rows = sql.rows(
        f"""
        SELECT state, error_type, retry, maybe_sent, attempts >= :max_attempts AS attempts_exhausted,
               token_generation < :token_generation AS token_replaced, COUNT(*) AS recipients
        FROM recipients
        WHERE {judged.failed_condition} AND {_PERMANENTLY_OUTSIDE}
        GROUP BY {_GROUP}
        """,  # noqa: S608 - constants of this module
        judged.parameters(),
    )
    found: Counter[RetryState] = Counter()
    for row in rows:
        found[_retry_state(row)] += row["recipients"]
    return found


def count_groups_among(
    sql: Sql, judged: RetryContext, recipient_ids: Collection[str]
) -> Mapping[tuple[RetryState, bool], int]:
    """Return how many of these recipients failed or are unconfirmed, by retry state and window."""
    rows = sql.rows(
        f"""
        SELECT state, error_type, retry, maybe_sent, attempts >= :max_attempts AS attempts_exhausted,
               token_generation < :token_generation AS token_replaced,
               CASE WHEN {_PERMANENTLY_OUTSIDE} THEN 1 ELSE 0 END AS is_outside,
               COUNT(*) AS recipients
        FROM given CROSS JOIN recipients
        WHERE recipients.message_id = :message_id AND recipients.recipient_id = given.recipient_id
          AND state IN ('FAILED', 'UNCONFIRMED')
        GROUP BY {_GROUP}, is_outside
        """,  # noqa: S608 - constants of this module
        judged.parameters(),
        BulkRows((("recipient_id", str),), [(recipient_id,) for recipient_id in recipient_ids]),
    )
    found: Counter[tuple[RetryState, bool]] = Counter()
    for row in rows:
        found[_retry_state(row), bool(row["is_outside"])] += row["recipients"]
    return found


def list_failed(
    sql: Sql, judged: RetryContext, wanted: Sequence[RetryState], *, after: str, limit: int, are_few: bool = False
) -> Sequence[FailedRecipientRow]:
    """Return failed and unconfirmed recipients with one of these retry_states, ordered by id, after the id `after`.

    `are_few`: the result is a small part of all failed recipients. Then the database collects and sorts it; otherwise
    it scans all failed recipients in order.
    """
    columns = (
        "*, attempts >= :max_attempts AS attempts_exhausted, token_generation < :token_generation AS token_replaced"
    )
    return [_failed_row(row) for row in _with_retry_states(sql, columns, judged, wanted, after, limit, are_few=are_few)]


def next_attempts(
    sql: Sql, judged: RetryContext, wanted: Sequence[RetryState], *, after: str, limit: int
) -> Sequence[BatchRecipient]:
    """Return the same recipients as entries for the batches of a resend."""
    columns = "recipient_id, recipient_name, attempts, origin_batch, origin_position, content_round"
    return [_next_attempt(row) for row in _with_retry_states(sql, columns, judged, wanted, after, limit, are_few=False)]


def _next_attempt(row: Row) -> BatchRecipient:
    """Return the next attempt, with the content of the last one; row access by key is twice as fast as unpacking."""
    return BatchRecipient(
        id=row["recipient_id"],
        name=row["recipient_name"],
        attempt_number=row["attempts"] + 1,
        origin_batch=row["origin_batch"],
        origin_position=row["origin_position"],
        content_round=row["content_round"],
    )


def _with_retry_states(
    sql: Sql, columns: str, judged: RetryContext, wanted: Sequence[RetryState], after: str, limit: int, *, are_few: bool
) -> Sequence[Row]:
    if not wanted:
        return []
    matches, parameters = _any_of(wanted)
    # These expressions steer the planners. For many results: a CASE is opaque, and PostgreSQL expects <> to match most
    # rows, so it scans in index order instead of sorting. For few: an expression instead of the column keeps SQLite
    # from scanning all failed recipients in index order.
    condition = matches if are_few else f"CASE WHEN {matches} THEN 1 ELSE 0 END <> 0"
    recipient = "recipient_id || ''" if are_few else "recipient_id"
    return sql.rows(
        f"""
        SELECT {columns} FROM recipients WHERE {judged.failed_condition} AND {recipient} > :after AND ({condition})
        ORDER BY {recipient} LIMIT :limit
        """,  # noqa: S608 - constants of this module
        {**judged.parameters(), **parameters, "after": after, "limit": limit},
    )


def find_named(sql: Sql, judged: RetryContext, recipient_ids: Sequence[str]) -> Sequence[FailedRecipientRow]:
    """Return those of the recipients that the message has, in any state, in the given order."""
    rows = sql.rows(
        """
        SELECT recipients.*, attempts >= :max_attempts AS attempts_exhausted,
               token_generation < :token_generation AS token_replaced
        FROM given CROSS JOIN recipients
        WHERE recipients.message_id = :message_id AND recipients.recipient_id = given.recipient_id
        ORDER BY given.row_index
        """,
        judged.parameters(),
        BulkRows((("row_index", int), ("recipient_id", str)), list(enumerate(recipient_ids))),
    )
    return [_failed_row(row) for row in rows]


def attempted_since(sql: Sql, message_id: str, from_batch: int, recipient_ids: Collection[str]) -> frozenset[str]:
    """Return those of the recipients with an attempt in this batch or a later one; with 0, all of them."""
    if not from_batch:
        return frozenset(recipient_ids)
    rows = sql.rows(
        f"""
        SELECT recipients.recipient_id FROM given CROSS JOIN recipients
        WHERE recipients.message_id = :message_id AND recipients.recipient_id = given.recipient_id
          AND {_ATTEMPTED_SINCE}
        """,  # noqa: S608 - constants of this module
        {"message_id": message_id, "from_batch": from_batch},
        BulkRows((("recipient_id", str),), [(recipient_id,) for recipient_id in recipient_ids]),
    )
    return frozenset(row["recipient_id"] for row in rows)


def sent_positions(sql: Sql, message_id: str, batch_number: int, positions: Sequence[int]) -> tuple[int, ...]:
    """Return those of a batch's positions whose recipients are SENT, by any attempt."""
    rows = sql.rows(
        """
        SELECT delivery.position FROM deliveries delivery CROSS JOIN recipients
        WHERE recipients.message_id = delivery.message_id AND recipients.recipient_id = delivery.recipient_id
          AND delivery.message_id = :message_id AND delivery.batch_number = :batch_number
          AND delivery.position BETWEEN :low AND :high AND recipients.state = 'SENT'
        """,
        {"message_id": message_id, "batch_number": batch_number, "low": min(positions), "high": max(positions)},
    )
    found = {row["position"] for row in rows}
    return tuple(position for position in positions if position in found)


def _any_of(retry_states: Sequence[RetryState]) -> tuple[str, dict[str, object]]:
    parameters: dict[str, object] = {}
    conditions = []
    for index, retry_state in enumerate(retry_states):
        parameters[f"state{index}"] = retry_state.status.value
        parameters[f"type{index}"] = retry_state.error_type and retry_state.error_type.value
        parameters[f"retry{index}"] = retry_state.retry and retry_state.retry.value
        parameters[f"maybe{index}"] = int(retry_state.maybe_sent)
        attempts_exhausted = (
            "attempts >= :max_attempts" if retry_state.attempts_exhausted else "attempts < :max_attempts"
        )
        replaced = "<" if retry_state.token_replaced else ">="
        conditions.append(
            f"(state = :state{index} AND error_type = :type{index} AND retry = :retry{index}"
            f" AND maybe_sent = :maybe{index}"
            f" AND {attempts_exhausted} AND token_generation {replaced} :token_generation)"
        )
    return " OR ".join(conditions), parameters


def _retry_state(row: Row) -> RetryState:
    return _retry_state_of(*(row[column] for column in _STANDING))


_STANDING = ("state", "error_type", "retry", "maybe_sent", "attempts_exhausted", "token_replaced")


@lru_cache(maxsize=1_000)
def _retry_state_of(
    state: str, error_type: str | None, retry: str | None, maybe_sent: int, attempts_exhausted: int, token_replaced: int
) -> RetryState:
    """Return the retry state for these columns; cached, because many recipients have the same few states."""
    return RetryState(
        status=DeliveryStatus(state),
        error_type=ErrorType(error_type) if error_type else None,
        retry=RetryRule(retry) if retry else None,
        maybe_sent=bool(maybe_sent),
        attempts_exhausted=bool(attempts_exhausted),
        token_replaced=bool(token_replaced),
    )


def _failed_row(row: Row) -> FailedRecipientRow:
    return FailedRecipientRow(
        recipient_id=row["recipient_id"],
        recipient_name=row["recipient_name"],
        attempts=row["attempts"],
        error_code=row["error_code"],
        error_subcode=row["error_subcode"],
        error_message=row["error_message"],
        last_attempt_time=row["last_attempt_time"],
        origin_batch=row["origin_batch"],
        origin_position=row["origin_position"],
        retry_state=_retry_state(row),
        content_round=row["content_round"],
    )
