"""What must hold when deliveries are dispatched, asked in that transaction, under the log's lock (protocol rule 3)."""

from collections.abc import Callable, Sequence
from enum import StrEnum

import msgspec

from domain.batch import Batch
from projections.sql import Sql
from projections.standings import sent_among


class Hindrance(StrEnum):
    """Why nothing of a batch may leave now."""

    MESSAGE_STOPPED = "the message is cancelled"
    PAGE_LOST = "another process owns the page"


class AlreadySent(msgspec.Struct, frozen=True):
    """These are known to have been sent the message, by an earlier attempt."""

    positions: tuple[int, ...]


Cause = Hindrance | AlreadySent


def may_leave(batch: Batch, positions: Sequence[int], *, worker: str, generation: int) -> Callable[[Sql], Cause | None]:
    """The guard of a dispatch: what keeps these deliveries from leaving, or None."""

    def guard(sql: Sql) -> Cause | None:
        if _is_stopped(sql, batch.message_id):
            return Hindrance.MESSAGE_STOPPED
        if not _is_owner(sql, batch.page_id, worker, generation):
            return Hindrance.PAGE_LOST
        sent = sent_among(sql, batch.message_id, batch.number, positions) if batch.round else ()
        return AlreadySent(sent) if sent else None

    return guard


def may_claim(page_id: str, *, worker: str, generation: int) -> Callable[[Sql], Cause | None]:
    """The guard of a claim: only the page's owner works on its batches."""
    return lambda sql: None if _is_owner(sql, page_id, worker, generation) else Hindrance.PAGE_LOST


def _is_stopped(sql: Sql, message_id: str) -> bool:
    row = sql.row(
        "SELECT 1 FROM messages WHERE message_id = :message_id AND is_cancelled = 0", {"message_id": message_id}
    )
    return row is None


def _is_owner(sql: Sql, page_id: str, worker: str, generation: int) -> bool:
    row = sql.row(
        "SELECT 1 FROM page_owners WHERE page_id = :page_id AND worker = :worker AND generation = :generation",
        {"page_id": page_id, "worker": worker, "generation": generation},
    )
    return row is not None
