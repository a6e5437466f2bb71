"""What decides whether a batch may leave: the state of its message, its page and its owner, and erasures so far."""

import msgspec

from domain.batch import Batch
from projections.sql import Sql


class DispatchState(msgspec.Struct, frozen=True, kw_only=True):
    """The state of a batch's message and page; `is_owned` says whether the asking worker owns the page.

    `erased_until` is the position of the last erasure. `replaced_round` is the last round whose content replaced
    older ones.
    """

    is_cancelled: bool
    is_paused: bool = False
    is_held: bool = False
    is_owned: bool = False
    erased_until: int = 0
    replaced_round: int = 0
    has_receipts: bool = False
    stop_policy: str = ""
    recent_attempts: int = 0
    recent_failures: int = 0


_UNKNOWN_MESSAGE = DispatchState(is_cancelled=True)


def of_batch(sql: Sql, batch: Batch, worker: str, generation: int) -> DispatchState:
    """Return the state for a worker, in one query; an unknown message counts as cancelled.

    `generation` is that of the worker's ownership of the page.
    """
    row = sql.row(
        """
        SELECT is_cancelled, is_paused, replaced_round, stop_policy, recent_attempts, recent_failures,
               COALESCE((SELECT is_held FROM pages WHERE pages.page_id = :page_id), 0) AS is_held,
               (SELECT COUNT(*) FROM page_owners
                WHERE page_id = :page_id AND worker = :worker AND generation = :generation) AS is_owned,
               (SELECT COALESCE(MAX(position), 0) FROM erasures) AS erased_until,
               COALESCE((SELECT 1 FROM receipts WHERE receipts.message_id = :message_id
                                                  AND receipts.batch_number = :batch_number LIMIT 1), 0) AS has_receipts
        FROM messages WHERE message_id = :message_id
        """,
        {
            "message_id": batch.message_id,
            "batch_number": batch.number,
            "page_id": batch.page_id,
            "worker": worker,
            "generation": generation,
        },
    )
    return msgspec.convert(dict(row), DispatchState, strict=False) if row else _UNKNOWN_MESSAGE
