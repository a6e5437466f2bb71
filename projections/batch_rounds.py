"""What became of rounds, by the counts of their batches."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from domain.delivery import DeliveryStatus
from projections.sql import Sql, one_of


class Ends(NamedTuple):
    """What became of some batches: whether all have come to their end, and how many deliveries did not succeed."""

    are_over: bool
    failed: int
    unconfirmed: int


def ends_of(sql: Sql, message_id: str, *, first: int, count: int) -> Ends:
    """What became of some of a message's batches, by number."""
    row = sql.row(
        """
        SELECT COUNT(end_time) AS ended, SUM(failed) AS failed, SUM(unconfirmed) AS unconfirmed
        FROM batches WHERE message_id = :message_id AND number BETWEEN :first AND :last
        """,
        {"message_id": message_id, "first": first, "last": first + count - 1},
    )
    if row is None or row["ended"] < count:
        return Ends(are_over=False, failed=0, unconfirmed=0)
    return Ends(are_over=True, failed=row["failed"], unconfirmed=row["unconfirmed"])


_SUMS = ", ".join(f"SUM({status.value.lower()}) AS {status.value.lower()}" for status in DeliveryStatus)


def attempts_of_rounds(sql: Sql, message_id: str, rounds: Sequence[int]) -> Mapping[int, Mapping[DeliveryStatus, int]]:
    """How many attempts of a message's rounds stand at each status."""
    in_rounds, parameters = one_of("round", "round", rounds)
    rows = sql.rows(
        f"SELECT round, {_SUMS} FROM batches WHERE message_id = :message_id AND {in_rounds} GROUP BY round",  # noqa: S608
        {**parameters, "message_id": message_id},
    )
    return {row["round"]: {status: row[status.value.lower()] for status in DeliveryStatus} for row in rows}
