"""Who of a message failed, and who may be tried again: computed on reading, never stored (protocol rule 9).

Recipients are grouped by all that the verdict depends on; the domain judges the groups, and SQL only finds them again.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache

import msgspec

from domain.batch_events import BatchRecipient
from domain.delivery import DeliveryStatus
from domain.fault import ErrorType, RetryRule
from domain.graph_codes import OUTSIDE_WINDOW
from domain.retry import Standing
from projections.sql import Given, Micros, Row, Sql

_FAILED = "message_id = :message_id AND state IN ('FAILED', 'UNCONFIRMED')"
_ATTEMPTED_SINCE = """
    EXISTS (SELECT 1 FROM deliveries
            WHERE deliveries.message_id = recipients.message_id AND deliveries.recipient_id = recipients.recipient_id
              AND deliveries.batch_number >= :from_batch)
"""
_OUTSIDE_WINDOW = " OR ".join(f"(error_code = {code} AND error_subcode = {sub})" for code, sub in OUTSIDE_WINDOW)
_PERMANENTLY_OUTSIDE = f"state = 'FAILED' AND error_type = 'PERMISSION' AND retry = 'NEVER' AND ({_OUTSIDE_WINDOW})"
_GROUP = "state, error_type, retry, maybe_sent, attempts, token_generation"  # what an index is sorted by


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """What a message's standings are measured by: its limit of attempts, and its page's token.

    With `from_batch` only recipients with an attempt in this batch or a later one are found.
    """

    message_id: str
    max_attempts: int
    token_generation: int
    from_batch: int = 0

    @property
    def failed(self) -> str:
        """The condition for the failed and unconfirmed recipients that are found."""
        return f"{_FAILED} AND {_ATTEMPTED_SINCE}" if self.from_batch else _FAILED

    def parameters(self) -> dict[str, object]:
        """As the statements name them."""
        return msgspec.structs.asdict(self)


class FailedRow(msgspec.Struct, frozen=True, kw_only=True):
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
    standing: Standing
    content_round: int = 0


def groups(sql: Sql, judged: Judged) -> Mapping[Standing, int]:
    """How many failed and unconfirmed recipients a message has of each standing."""
    rows = sql.rows(
        f"""
        SELECT state, error_type, retry, maybe_sent, attempts >= :max_attempts AS used_up,
               token_generation < :token_generation AS token_replaced, COUNT(*) AS recipients
        FROM recipients WHERE {judged.failed} GROUP BY {_GROUP}
        """,  # noqa: S608 - our own words
        judged.parameters(),
    )
    found: Counter[Standing] = Counter()
    for row in rows:
        found[_standing(row)] += row["recipients"]
    return found


def outside_window(sql: Sql, judged: Judged) -> Mapping[Standing, int]:
    """How many of each standing failed outside the platform's window: each permanent permission error is looked up."""
    rows = sql.rows(
        f"""
        SELECT state, error_type, retry, maybe_sent, attempts >= :max_attempts AS used_up,
               token_generation < :token_generation AS token_replaced, COUNT(*) AS recipients
        FROM recipients
        WHERE {judged.failed} AND {_PERMANENTLY_OUTSIDE}
        GROUP BY {_GROUP}
        """,  # noqa: S608 - our own words
        judged.parameters(),
    )
    found: Counter[Standing] = Counter()
    for row in rows:
        found[_standing(row)] += row["recipients"]
    return found


def groups_among(sql: Sql, judged: Judged, recipient_ids: Collection[str]) -> Mapping[tuple[Standing, bool], int]:
    """Count the failed and unconfirmed of these recipients by standing, and by whether it was outside the window."""
    rows = sql.rows(
        f"""
        SELECT state, error_type, retry, maybe_sent, attempts >= :max_attempts AS used_up,
               token_generation < :token_generation AS token_replaced,
               CASE WHEN {_PERMANENTLY_OUTSIDE} THEN 1 ELSE 0 END AS is_outside,
               COUNT(*) AS recipients
        FROM given CROSS JOIN recipients
        WHERE recipients.message_id = :message_id AND recipients.recipient_id = given.recipient_id
          AND state IN ('FAILED', 'UNCONFIRMED')
        GROUP BY {_GROUP}, is_outside
        """,  # noqa: S608 - our own words
        judged.parameters(),
        Given((("recipient_id", str),), [(recipient_id,) for recipient_id in recipient_ids]),
    )
    found: Counter[tuple[Standing, bool]] = Counter()
    for row in rows:
        found[_standing(row), bool(row["is_outside"])] += row["recipients"]
    return found


def failed(
    sql: Sql, judged: Judged, wanted: Sequence[Standing], *, after: str, limit: int, are_few: bool = False
) -> Sequence[FailedRow]:
    """Failed and unconfirmed recipients of the wanted standings, by id, after the last one seen.

    `are_few` of all who failed: they are gathered and sorted then, else looked for in the order of all.
    """
    columns = "*, attempts >= :max_attempts AS used_up, token_generation < :token_generation AS token_replaced"
    return [_failed_row(row) for row in _of_standings(sql, columns, judged, wanted, after, limit, are_few=are_few)]


def next_attempts(
    sql: Sql, judged: Judged, wanted: Sequence[Standing], *, after: str, limit: int
) -> Sequence[BatchRecipient]:
    """The same recipients as they stand in the batches of a resend."""
    columns = "recipient_id, recipient_name, attempts, origin_batch, origin_position, content_round"
    return [_next_attempt(row) for row in _of_standings(sql, columns, judged, wanted, after, limit, are_few=False)]


def _next_attempt(row: Row) -> BatchRecipient:
    """With the content of the attempt before. A row is read by its keys: to unpack it costs twice as much."""
    return BatchRecipient(
        id=row["recipient_id"],
        name=row["recipient_name"],
        attempt_number=row["attempts"] + 1,
        origin_batch=row["origin_batch"],
        origin_position=row["origin_position"],
        content_round=row["content_round"],
    )


def _of_standings(
    sql: Sql, columns: str, judged: Judged, wanted: Sequence[Standing], after: str, limit: int, *, are_few: bool
) -> Sequence[Row]:
    if not wanted:
        return []
    matches, parameters = _any_of(wanted)
    # No planner sees through CASE, and PostgreSQL takes <> to hold for most: else it gathers all, and sorts them. And
    # none finds what an expression says in an index: else SQLite goes through all who failed for the few.
    condition = matches if are_few else f"CASE WHEN {matches} THEN 1 ELSE 0 END <> 0"
    recipient = "recipient_id || ''" if are_few else "recipient_id"
    return sql.rows(
        f"""
        SELECT {columns} FROM recipients WHERE {judged.failed} AND {recipient} > :after AND ({condition})
        ORDER BY {recipient} LIMIT :limit
        """,  # noqa: S608 - our own words
        {**judged.parameters(), **parameters, "after": after, "limit": limit},
    )


def named(sql: Sql, judged: Judged, recipient_ids: Sequence[str]) -> Sequence[FailedRow]:
    """The named recipients that the message has, whatever their state, in the order in which they are named."""
    rows = sql.rows(
        """
        SELECT recipients.*, attempts >= :max_attempts AS used_up,
               token_generation < :token_generation AS token_replaced
        FROM given CROSS JOIN recipients
        WHERE recipients.message_id = :message_id AND recipients.recipient_id = given.recipient_id
        ORDER BY given.place
        """,
        judged.parameters(),
        Given((("place", int), ("recipient_id", str)), list(enumerate(recipient_ids))),
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
        """,  # noqa: S608 - our own words
        {"message_id": message_id, "from_batch": from_batch},
        Given((("recipient_id", str),), [(recipient_id,) for recipient_id in recipient_ids]),
    )
    return frozenset(row["recipient_id"] for row in rows)


def sent_among(sql: Sql, message_id: str, batch_number: int, positions: Sequence[int]) -> tuple[int, ...]:
    """Positions of a batch whose recipients are known to have been sent the message, by whatever attempt."""
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


def _any_of(standings: Sequence[Standing]) -> tuple[str, dict[str, object]]:
    parameters: dict[str, object] = {}
    conditions = []
    for index, standing in enumerate(standings):
        parameters[f"state{index}"] = standing.state.value
        parameters[f"type{index}"] = standing.error_type and standing.error_type.value
        parameters[f"retry{index}"] = standing.retry and standing.retry.value
        parameters[f"maybe{index}"] = int(standing.maybe_sent)
        used_up = "attempts >= :max_attempts" if standing.used_up else "attempts < :max_attempts"
        replaced = "<" if standing.token_replaced else ">="
        conditions.append(
            f"(state = :state{index} AND error_type = :type{index} AND retry = :retry{index}"
            f" AND maybe_sent = :maybe{index}"
            f" AND {used_up} AND token_generation {replaced} :token_generation)"
        )
    return " OR ".join(conditions), parameters


def _standing(row: Row) -> Standing:
    return _standing_of(*(row[column] for column in _STANDING))


_STANDING = ("state", "error_type", "retry", "maybe_sent", "used_up", "token_replaced")


@lru_cache(maxsize=1_000)
def _standing_of(
    state: str, error_type: str | None, retry: str | None, maybe_sent: int, used_up: int, token_replaced: int
) -> Standing:
    """Few are ever seen, each of them by thousands of recipients."""
    return Standing(
        state=DeliveryStatus(state),
        error_type=ErrorType(error_type) if error_type else None,
        retry=RetryRule(retry) if retry else None,
        maybe_sent=bool(maybe_sent),
        used_up=bool(used_up),
        token_replaced=bool(token_replaced),
    )


def _failed_row(row: Row) -> FailedRow:
    return FailedRow(
        recipient_id=row["recipient_id"],
        recipient_name=row["recipient_name"],
        attempts=row["attempts"],
        error_code=row["error_code"],
        error_subcode=row["error_subcode"],
        error_message=row["error_message"],
        last_attempt_time=row["last_attempt_time"],
        origin_batch=row["origin_batch"],
        origin_position=row["origin_position"],
        standing=_standing(row),
        content_round=row["content_round"],
    )
