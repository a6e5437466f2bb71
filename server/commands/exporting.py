"""ExportDeliveries: attempts or recipients as a file, part by part, in memory that does not grow."""

from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from functools import partial
from typing import Any, Generic, NamedTuple

import msgspec

from projections import message_rows
from projections.delivery_rows import DeliveryFilter
from projections.message_rows import MessageFilter, MessageRow
from projections.sql import Sql
from server.commands.export_formats import Format
from server.commands.export_rows import R, RowKind
from server.commands.lookup import check_page_is_known, find_message
from server.commands.names import Names
from server.log.commit import EventLog
from server.log.keyed_ids import KeyedIds

ROWS_AT_ONCE = 1_000  # in one snapshot
PART_BYTES = 64 * 1024
_MESSAGES_AT_ONCE = 100
_RECIPIENTS_AT_ONCE = 10_000  # of small messages that are read in one snapshot


class ExportOrder(msgspec.Struct, frozen=True, kw_only=True):
    """What is exported: of a message, or else of a page; what is empty does not filter."""

    owner: str
    message_id: str = ""
    page_id: str = ""
    recipient_id: str = ""
    statuses: tuple[str, ...] = ()
    error_types: tuple[str, ...] = ()

    def of_message(self, message_id: str) -> DeliveryFilter:
        """What is wanted of one message."""
        return DeliveryFilter(
            message_id=message_id,
            recipient_id=self.recipient_id,
            statuses=self.statuses,
            error_types=self.error_types,
        )


class _Read(NamedTuple, Generic[R]):
    """Some rows, and where the next ones begin: in which of the messages, and after which of its rows."""

    rows: Sequence[R]
    place: int
    after: Any


async def export(
    log: EventLog, names: Names, order: ExportOrder, kind: RowKind[R], form: Format
) -> AsyncGenerator[bytes, None]:
    """The parts of the file, as they are read; raises MessageNotFound, PageNotRegistered, Unavailable."""
    await log.read(lambda sql: _check(sql, order))
    if beginning := form.beginning(kind.columns):
        yield beginning
    async for message_ids in _messages(log, order):
        async for rows in _rows(log, order, kind, message_ids):
            written = await log.compute(partial(_written, await names.shown(rows), kind, form, names.ids))
            for start in range(0, len(written), PART_BYTES):
                yield written[start : start + PART_BYTES]


def _check(sql: Sql, order: ExportOrder) -> None:
    if order.message_id:
        find_message(sql, order.owner, order.message_id)
    else:
        check_page_is_known(sql, order.owner, order.page_id)


def _written(rows: Sequence[R], kind: RowKind[R], form: Format, ids: KeyedIds) -> bytes:
    return form.lines(kind.columns, (kind.values(row, ids) for row in rows))


async def _messages(log: EventLog, order: ExportOrder) -> AsyncIterator[Sequence[str]]:
    """The messages in order, small ones together."""
    if order.message_id:
        yield [order.message_id]
        return
    wanted = MessageFilter(owner=order.owner, page_id=order.page_id)
    before = None
    while rows := await log.read(partial(message_rows.newest, wanted=wanted, before=before, limit=_MESSAGES_AT_ONCE)):
        for group in _groups(rows):
            yield group
        before = rows[-1].create_time, rows[-1].message_id


def _groups(rows: Sequence[MessageRow]) -> Iterator[Sequence[str]]:
    group: list[str] = []
    recipients = 0
    for row in rows:
        if group and recipients + row.total > _RECIPIENTS_AT_ONCE:
            yield group
            group, recipients = [], 0
        group.append(row.message_id)
        recipients += row.total
    yield group


async def _rows(
    log: EventLog, order: ExportOrder, kind: RowKind[R], message_ids: Sequence[str]
) -> AsyncIterator[Sequence[R]]:
    """The rows of some messages, a snapshot at a time."""
    wanted = [order.of_message(message_id) for message_id in message_ids]
    place, after = 0, kind.start
    while place < len(wanted):
        read = await log.read(partial(_read, wanted=wanted, kind=kind, place=place, after=after))
        yield read.rows
        place, after = read.place, read.after


def _read(sql: Sql, wanted: Sequence[DeliveryFilter], kind: RowKind[R], place: int, after: Any) -> _Read[R]:
    """The next rows, of as many messages as it takes."""
    rows: list[R] = []
    while place < len(wanted) and len(rows) < ROWS_AT_ONCE:
        limit = ROWS_AT_ONCE - len(rows)
        found = kind.read(sql, wanted[place], after, limit)
        rows += found
        is_over = len(found) < limit
        place, after = (place + 1, kind.start) if is_over else (place, kind.cursor_of(found[-1]))
    return _Read(rows, place, after)
