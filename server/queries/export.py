"""ExportDeliveries: attempts or recipients as a CSV or JSON Lines file, in parts, so that memory does not grow."""

import csv
import io
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec

from domain.visible_text import escaped_json, shown_lines
from projections import delivery_rows, message_rows, recipient_rows
from projections.delivery_rows import DeliveryFilter, DeliveryRow
from projections.message_rows import MessageFilter, MessageRow
from projections.recipient_rows import RecipientRow
from projections.sql import Micros, Sql, from_micros
from server.commands.lookup import require_known_page, require_message
from server.crypto.keyed_ids import KeyedIds
from server.eventstore.commit import EventLog
from server.queries.formula_guard import guarded
from server.queries.recipient_names import RecipientNames

ROWS_AT_ONCE = 1_000  # read in one snapshot
PART_BYTES = 64 * 1024
_MESSAGES_AT_ONCE = 100
_RECIPIENTS_AT_ONCE = 10_000  # of small messages that are read together

R = TypeVar("R", DeliveryRow, RecipientRow)
Values = tuple[Any, ...]  # one row: texts, numbers, None


class RowKind(NamedTuple, Generic[R]):
    """A kind of rows: its columns, how rows are read after a cursor, and the values of a row."""

    columns: Sequence[str]
    start: Any
    read: Callable[[Sql, DeliveryFilter, Any, int], Sequence[R]]
    cursor_of: Callable[[R], Any]
    values: Callable[[R, KeyedIds], Values]


def _attempt_values(row: DeliveryRow, ids: KeyedIds) -> Values:
    return (
        *(row.message_id, row.recipient_id, row.recipient_name, row.status, row.attempt_number),
        *_error_values(row),
        _time(row.update_time),
        ids.delivery(row.message_id, row.batch_number, row.position),
        row.batch_number,
        row.provider_message_id or None,
        *(_time(row.create_time), _time(row.sent_time), _time(row.failed_time)),
    )


def _recipient_values(row: RecipientRow, _ids: KeyedIds) -> Values:
    return (
        *(row.message_id, row.recipient_id, row.recipient_name, row.state, row.attempts),
        *_error_values(row),
        _time(row.last_attempt_time),
    )


def _error_values(row: DeliveryRow | RecipientRow) -> Values:
    if row.error_type is None:
        return None, None, None, None
    return row.error_type, row.error_code, row.error_subcode, row.error_message


def _time(time: Micros | None) -> str | None:
    return None if time is None else from_micros(time).isoformat().replace("+00:00", "Z")


_COLUMNS = (
    *("message_id", "recipient_id", "recipient_name", "status", "attempt_number"),
    *("error_type", "error_code", "error_subcode", "error_message", "update_time"),
)
ATTEMPTS: RowKind[DeliveryRow] = RowKind(
    columns=(
        *_COLUMNS,
        *("delivery_id", "batch_number", "provider_message_id", "create_time", "sent_time", "failed_time"),
    ),
    start=(0, 0),
    read=lambda sql, wanted, after, limit: delivery_rows.list_attempts(sql, wanted, after=after, limit=limit),
    cursor_of=lambda row: (row.batch_number, row.position),
    values=_attempt_values,
)
RECIPIENTS: RowKind[RecipientRow] = RowKind(
    columns=_COLUMNS,
    start="",
    read=lambda sql, wanted, after, limit: recipient_rows.list_recipients(sql, wanted, after=after, limit=limit),
    cursor_of=lambda row: row.recipient_id,
    values=_recipient_values,
)


class Format(NamedTuple):
    """How a file is written: what comes before the rows, and the lines of some rows."""

    header: Callable[[Sequence[str]], bytes]
    lines: Callable[[Sequence[str], Iterable[Values]], bytes]


def _csv_header(columns: Sequence[str]) -> bytes:
    return f"{','.join(columns)}\r\n".encode()


def _csv_lines(_: Sequence[str], rows: Iterable[Values]) -> bytes:
    """Write rows with every text quoted, so that a delimiter in it does not end the cell."""
    text = io.StringIO(newline="")
    csv.writer(text, quoting=csv.QUOTE_NONNUMERIC).writerows(map(_cell, row) for row in rows)
    return text.getvalue().encode()


def _cell(value: Any) -> Any:
    return guarded(shown_lines(value)) if isinstance(value, str) else value


def _json_lines(columns: Sequence[str], rows: Iterable[Values]) -> bytes:
    lines = b"\n".join(msgspec.json.encode(dict(zip(columns, row, strict=True))) for row in rows)
    return escaped_json(lines.decode()).encode() + b"\n" if lines else b""


CSV = Format(header=_csv_header, lines=_csv_lines)
JSON_LINES = Format(header=lambda _: b"", lines=_json_lines)


class ExportRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What to export: of one message, or else of all messages of a page. An empty field does not filter."""

    owner: str
    message_id: str = ""
    page_id: str = ""
    recipient_id: str = ""
    statuses: tuple[str, ...] = ()
    error_types: tuple[str, ...] = ()

    def of_message(self, message_id: str) -> DeliveryFilter:
        """Return the filter for one message."""
        return DeliveryFilter(
            message_id=message_id,
            recipient_id=self.recipient_id,
            statuses=self.statuses,
            error_types=self.error_types,
        )


class _Read(NamedTuple, Generic[R]):
    """Some rows, and where the next ones begin: the index of the message, and the cursor in it."""

    rows: Sequence[R]
    message_index: int
    after: Any


async def export(
    log: EventLog, names: RecipientNames, request: ExportRequest, kind: RowKind[R], form: Format
) -> AsyncGenerator[bytes, None]:
    """Yield the parts of the file; raises MessageNotFound, PageNotRegistered, Unavailable."""
    await log.read(lambda sql: _check_is_known(sql, request))
    if header := form.header(kind.columns):
        yield header
    async for message_ids in _messages(log, request):
        async for rows in _rows(log, request, kind, message_ids):
            written = await log.compute(partial(_lines, await names.open_in(rows), kind, form, names.ids))
            for start in range(0, len(written), PART_BYTES):
                yield written[start : start + PART_BYTES]


def _check_is_known(sql: Sql, request: ExportRequest) -> None:
    if request.message_id:
        require_message(sql, request.owner, request.message_id)
    else:
        require_known_page(sql, request.owner, request.page_id)


def _lines(rows: Sequence[R], kind: RowKind[R], form: Format, ids: KeyedIds) -> bytes:
    return form.lines(kind.columns, (kind.values(row, ids) for row in rows))


async def _messages(log: EventLog, request: ExportRequest) -> AsyncIterator[Sequence[str]]:
    """Yield message ids in order, several small messages at a time."""
    if request.message_id:
        yield [request.message_id]
        return
    wanted = MessageFilter(owner=request.owner, page_id=request.page_id)
    before = None
    while rows := await log.read(
        partial(message_rows.list_newest, wanted=wanted, before=before, limit=_MESSAGES_AT_ONCE)
    ):
        for group in _groups(rows):
            yield group
        before = rows[-1].create_time, rows[-1].message_id


def _groups(rows: Sequence[MessageRow]) -> Iterator[Sequence[str]]:
    """Yield groups of message ids with at most 10,000 recipients, or one larger message."""
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
    log: EventLog, request: ExportRequest, kind: RowKind[R], message_ids: Sequence[str]
) -> AsyncIterator[Sequence[R]]:
    """Yield the rows of some messages, 1,000 at a time, each in a snapshot of its own."""
    wanted = [request.of_message(message_id) for message_id in message_ids]
    index, after = 0, kind.start
    while index < len(wanted):
        read = await log.read(partial(_read, wanted=wanted, kind=kind, index=index, after=after))
        yield read.rows
        index, after = read.message_index, read.after


def _read(sql: Sql, wanted: Sequence[DeliveryFilter], kind: RowKind[R], index: int, after: Any) -> _Read[R]:
    """Read the next rows, of several messages if they are small."""
    rows: list[R] = []
    while index < len(wanted) and len(rows) < ROWS_AT_ONCE:
        limit = ROWS_AT_ONCE - len(rows)
        found = kind.read(sql, wanted[index], after, limit)
        rows += found
        is_last = len(found) < limit
        index, after = (index + 1, kind.start) if is_last else (index, kind.cursor_of(found[-1]))
    return _Read(rows, index, after)
