"""What must hold when deliveries are dispatched, asked in that transaction, under the log's lock (protocol rule 3)."""

from collections.abc import Callable, Sequence
from enum import StrEnum

import msgspec

from domain.batch import Batch
from projections import erasures
from projections.retry_groups import sent_positions
from projections.sql import Sql


class BlockReason(StrEnum):
    """Why nothing of a batch may leave now."""

    MESSAGE_STOPPED = "the message is cancelled"
    MESSAGE_PAUSED = "the message is paused"
    PAGE_HELD = "the page is on hold"
    PAGE_LOST = "another process owns the page"
    CONTENT_REPLACED = "a corrected content replaced the one that was rendered"


class Erased(msgspec.Struct, frozen=True):
    """The people at these were erased after their letters were written; `until` is the last erasure's place."""

    positions: tuple[int, ...]
    until: int


class AlreadySent(msgspec.Struct, frozen=True):
    """These are known to have been sent the message, by an earlier attempt or by a receipt (invariant 2)."""

    positions: tuple[int, ...]


Cause = BlockReason | AlreadySent | Erased


class State(msgspec.Struct, frozen=True, kw_only=True):
    """What decides whether a batch may leave: of its message, its page, its worker, and of erasures so far."""

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


_GONE = State(is_cancelled=True)


def may_leave(
    batch: Batch, positions: Sequence[int], *, worker: str, generation: int, erased_until: int, replaced_round: int
) -> Callable[[Sql], Cause | None]:
    """The guard of a dispatch: what keeps these deliveries from leaving, or None.

    Their letters know of erasures up to that one, and were rendered when `replaced_round` was the last that replaced
    older contents.
    """

    def guard(sql: Sql) -> Cause | None:
        state = state_of(sql, batch, worker, generation)
        if (hindrance := _hindrance(state)) is not None:
            return hindrance
        if state.replaced_round != replaced_round:
            return BlockReason.CONTENT_REPLACED
        if state.erased_until != erased_until:
            return _erased_of(sql, batch, state.erased_until)
        may_be_sent = batch.round or state.has_receipts
        sent = sent_positions(sql, batch.message_id, batch.number, positions) if may_be_sent else ()
        return AlreadySent(sent) if sent else None

    return guard


def may_claim(page_id: str, *, worker: str, generation: int) -> Callable[[Sql], Cause | None]:
    """The guard of a claim: only the page's owner works on its batches."""
    return lambda sql: None if _is_owner(sql, page_id, worker, generation) else BlockReason.PAGE_LOST


def state_of(sql: Sql, batch: Batch, worker: str, generation: int) -> State:
    """All that can keep a batch from leaving by a worker, in one look; a message that is not there is cancelled."""
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
    return msgspec.convert(dict(row), State, strict=False) if row else _GONE


def _hindrance(state: State) -> BlockReason | None:
    if state.is_cancelled:
        return BlockReason.MESSAGE_STOPPED
    if state.is_paused:
        return BlockReason.MESSAGE_PAUSED
    if state.is_held:
        return BlockReason.PAGE_HELD
    return None if state.is_owned else BlockReason.PAGE_LOST


def _erased_of(sql: Sql, batch: Batch, until: int) -> Erased:
    """Of the whole batch: what leaves later is not looked at again, unless somebody else is erased."""
    positions = {recipient.id: position for position, recipient in enumerate(batch.recipients)}
    erased = erasures.erased_recipients(sql, batch.message_id, list(positions))
    return Erased(tuple(positions[recipient_id] for recipient_id in erased), until)


def _is_owner(sql: Sql, page_id: str, worker: str, generation: int) -> bool:
    row = sql.row(
        "SELECT 1 FROM page_owners WHERE page_id = :page_id AND worker = :worker AND generation = :generation",
        {"page_id": page_id, "worker": worker, "generation": generation},
    )
    return row is not None
