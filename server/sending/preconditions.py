"""Preconditions of a dispatch and of a claim, checked in the transaction that records it (protocol rule 3)."""

from collections.abc import Callable, Sequence
from enum import StrEnum

import msgspec

from domain.batch import Batch
from projections import dispatch_state, erasures
from projections.dispatch_state import DispatchState
from projections.retry_groups import sent_positions
from projections.sql import Sql
from server.cluster.page_leases import owns_page


class BlockReason(StrEnum):
    """Why no delivery of a batch may leave now."""

    MESSAGE_STOPPED = "the message is cancelled"
    MESSAGE_PAUSED = "the message is paused"
    PAGE_HELD = "the page is on hold"
    PAGE_LOST = "another process owns the page"
    CONTENT_REPLACED = "a corrected content replaced the one that was rendered"


class ErasedRecipients(msgspec.Struct, frozen=True):
    """Positions of recipients erased after the batch was rendered; `until` is the position of the last erasure."""

    positions: tuple[int, ...]
    until: int


class AlreadySent(msgspec.Struct, frozen=True):
    """Positions of recipients whom the message has reached, by an earlier attempt or a receipt (invariant 2)."""

    positions: tuple[int, ...]


BlockCause = BlockReason | AlreadySent | ErasedRecipients


def dispatch_guard(
    batch: Batch, positions: Sequence[int], *, worker: str, generation: int, erased_until: int, replaced_round: int
) -> Callable[[Sql], BlockCause | None]:
    """Return the guard of a dispatch, which returns what blocks these deliveries, or None.

    `erased_until` and `replaced_round` say what the deliveries were rendered with: the position of the last erasure,
    and the last round whose content replaced the older ones.
    """

    def guard(sql: Sql) -> BlockCause | None:
        state = dispatch_state.of_batch(sql, batch, worker, generation)
        if (reason := _block_reason(state)) is not None:
            return reason
        if state.replaced_round != replaced_round:
            return BlockReason.CONTENT_REPLACED
        if state.erased_until != erased_until:
            return _erased_recipients(sql, batch, state.erased_until)
        may_be_sent = batch.round or state.has_receipts
        sent = sent_positions(sql, batch.message_id, batch.number, positions) if may_be_sent else ()
        return AlreadySent(sent) if sent else None

    return guard


def claim_guard(page_id: str, *, worker: str, generation: int) -> Callable[[Sql], BlockCause | None]:
    """Return the guard of a claim: only the page's owner may claim its batches."""
    return lambda sql: None if owns_page(sql, page_id, worker, generation) else BlockReason.PAGE_LOST


def _block_reason(state: DispatchState) -> BlockReason | None:
    if state.is_cancelled:
        return BlockReason.MESSAGE_STOPPED
    if state.is_paused:
        return BlockReason.MESSAGE_PAUSED
    if state.is_held:
        return BlockReason.PAGE_HELD
    return None if state.is_owned else BlockReason.PAGE_LOST


def _erased_recipients(sql: Sql, batch: Batch, until: int) -> ErasedRecipients:
    """Return the erased recipients of the whole batch: later chunks are queried again only after another erasure."""
    positions = {recipient.id: position for position, recipient in enumerate(batch.recipients)}
    erased = erasures.erased_recipients(sql, batch.message_id, list(positions))
    return ErasedRecipients(tuple(positions[recipient_id] for recipient_id in erased), until)
