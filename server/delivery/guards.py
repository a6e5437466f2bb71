"""What must hold when deliveries are dispatched, asked in that transaction, under the log's lock (protocol rule 3)."""

from collections.abc import Callable, Sequence
from enum import StrEnum

import msgspec

from domain.batch import Batch
from projections import erasures, receipts
from projections.sql import Row, Sql
from projections.standings import sent_among


class Hindrance(StrEnum):
    """Why nothing of a batch may leave now."""

    MESSAGE_STOPPED = "the message is cancelled"
    MESSAGE_PAUSED = "the message is paused"
    PAGE_HELD = "the page is on hold"
    PAGE_LOST = "another process owns the page"


class Erased(msgspec.Struct, frozen=True):
    """The people at these were erased after their letters were written; `until` is the last erasure's place."""

    positions: tuple[int, ...]
    until: int


class AlreadySent(msgspec.Struct, frozen=True):
    """These are known to have been sent the message, by an earlier attempt or by a receipt."""

    positions: tuple[int, ...]


Cause = Hindrance | AlreadySent | Erased


def may_leave(
    batch: Batch, positions: Sequence[int], *, worker: str, generation: int, erased_until: int
) -> Callable[[Sql], Cause | None]:
    """The guard of a dispatch: what keeps these deliveries from leaving, or None.

    Their letters know of erasures up to that one.
    """

    def guard(sql: Sql) -> Cause | None:
        state = _state(sql, batch.message_id)
        if state is None:
            return Hindrance.MESSAGE_STOPPED
        if (stopped := _stopped_by(state)) is not None:
            return stopped
        if not _is_owner(sql, batch.page_id, worker, generation):
            return Hindrance.PAGE_LOST
        if state["erased_until"] != erased_until:
            return _erased_of(sql, batch, state["erased_until"])
        may_be_sent = batch.round or receipts.are_there(sql, batch.message_id, batch.number)
        sent = sent_among(sql, batch.message_id, batch.number, positions) if may_be_sent else ()
        return AlreadySent(sent) if sent else None

    return guard


def may_claim(page_id: str, *, worker: str, generation: int) -> Callable[[Sql], Cause | None]:
    """The guard of a claim: only the page's owner works on its batches."""
    return lambda sql: None if _is_owner(sql, page_id, worker, generation) else Hindrance.PAGE_LOST


def _state(sql: Sql, message_id: str) -> Row | None:
    """All that can keep a message from leaving; None when there is none."""
    return sql.row(
        """
        SELECT is_cancelled, is_paused, (SELECT is_held FROM pages WHERE pages.page_id = messages.page_id) AS is_held,
               (SELECT COALESCE(MAX(position), 0) FROM erasures) AS erased_until
        FROM messages WHERE message_id = :message_id
        """,
        {"message_id": message_id},
    )


def _stopped_by(state: Row) -> Hindrance | None:
    if state["is_cancelled"]:
        return Hindrance.MESSAGE_STOPPED
    if state["is_paused"]:
        return Hindrance.MESSAGE_PAUSED
    return Hindrance.PAGE_HELD if state["is_held"] else None


def _erased_of(sql: Sql, batch: Batch, until: int) -> Erased:
    """Of the whole batch: what leaves later is not looked at again, unless somebody else is erased."""
    positions = {recipient.id: position for position, recipient in enumerate(batch.recipients)}
    erased = erasures.erased_among(sql, batch.message_id, list(positions))
    return Erased(tuple(positions[recipient_id] for recipient_id in erased), until)


def _is_owner(sql: Sql, page_id: str, worker: str, generation: int) -> bool:
    row = sql.row(
        "SELECT 1 FROM page_owners WHERE page_id = :page_id AND worker = :worker AND generation = :generation",
        {"page_id": page_id, "worker": worker, "generation": generation},
    )
    return row is not None
