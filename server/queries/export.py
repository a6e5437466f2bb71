"""ExportDeliveries: attempts or recipients as a file, part by part, in memory that does not grow."""

import csv
import io
import re
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
from server.commands.lookup import check_page_is_known, find_message
from server.crypto.keyed_ids import KeyedIds
from server.eventstore.commit import EventLog
from server.queries.recipient_names import Names

# What an export holds: a row an attempt, or a row a recipient, each with its columns.


R = TypeVar("R", DeliveryRow, RecipientRow)
Values = tuple[Any, ...]  # texts, numbers, or None where there is none


class RowKind(NamedTuple, Generic[R]):
    """One kind of rows: how they are read page by page, and what each shows."""

    columns: Sequence[str]
    start: Any
    read: Callable[[Sql, DeliveryFilter, Any, int], Sequence[R]]
    cursor_of: Callable[[R], Any]
    values: Callable[[R, KeyedIds], Values]


def _attempt(row: DeliveryRow, ids: KeyedIds) -> Values:
    return (
        *(row.message_id, row.recipient_id, row.recipient_name, row.status, row.attempt_number),
        *_error(row),
        _time(row.update_time),
        ids.delivery(row.message_id, row.batch_number, row.position),
        row.batch_number,
        row.provider_message_id or None,
        *(_time(row.create_time), _time(row.sent_time), _time(row.failed_time)),
    )


def _recipient(row: RecipientRow, _ids: KeyedIds) -> Values:
    return (
        *(row.message_id, row.recipient_id, row.recipient_name, row.state, row.attempts),
        *_error(row),
        _time(row.last_attempt_time),
    )


def _error(row: DeliveryRow | RecipientRow) -> Values:
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
    values=_attempt,
)
RECIPIENTS: RowKind[RecipientRow] = RowKind(
    columns=_COLUMNS,
    start="",
    read=lambda sql, wanted, after, limit: recipient_rows.list_recipients(sql, wanted, after=after, limit=limit),
    cursor_of=lambda row: row.recipient_id,
    values=_recipient,
)


# How an export is written: as CSV, or as a JSON object a line.


class Format(NamedTuple):
    """What stands before the rows, by their columns, and how rows are written."""

    beginning: Callable[[Sequence[str]], bytes]
    lines: Callable[[Sequence[str], Iterable[Values]], bytes]


def _csv_beginning(columns: Sequence[str]) -> bytes:
    return f"{','.join(columns)}\r\n".encode()


def _csv_lines(_: Sequence[str], rows: Iterable[Values]) -> bytes:
    """Every text is quoted: a delimiter inside it ends no cell."""
    text = io.StringIO(newline="")
    csv.writer(text, quoting=csv.QUOTE_NONNUMERIC).writerows(map(_cell, row) for row in rows)
    return text.getvalue().encode()


def _cell(value: Any) -> Any:
    return guarded(shown_lines(value)) if isinstance(value, str) else value


def _json_lines(columns: Sequence[str], rows: Iterable[Values]) -> bytes:
    lines = b"\n".join(msgspec.json.encode(dict(zip(columns, row, strict=True))) for row in rows)
    return escaped_json(lines.decode()).encode() + b"\n" if lines else b""


CSV = Format(beginning=_csv_beginning, lines=_csv_lines)
JSON_LINES = Format(beginning=lambda _: b"", lines=_json_lines)


# Texts in a CSV file that no spreadsheet takes for a formula.
#
# An apostrophe marks a text, as spreadsheets themselves write it. It goes in front of the cell, and in front of each
# formula that would begin a cell if the file were read with another delimiter or without regard to quotation marks.
#
# The server and the client hold the same file, because neither imports the other: a test compares them.


_FORMULA = "=+@\uff1d\uff0b\uff0d\uff20\ufe66\ufe62\ufe63\ufe6b\u2212-"  # also full-width, small, and the minus sign
_BREAKS = ",;|\t\n\v\f\r\x1c-\x1e\x85\u2028\u2029"  # what may end a cell: delimiters, line ends
# What a spreadsheet skips before a formula: spaces, control and invisible characters, quotation marks.
_SKIPPED = (
    r"\s\x00-\x1f\x7f-\x9f\"'\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    r"\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
)
_FORMULA_CHARACTERS = frozenset(_FORMULA)
_BEGINS_FORMULA = re.compile(rf"[{_SKIPPED}{_BREAKS}]*+[{_FORMULA}]|'*+[\t\r\n]")
_SUSPECT = re.compile(rf"[{_FORMULA}]|\A'*+[\t\r\n]")
_INSIDE = re.compile(rf"[{_BREAKS}][{_SKIPPED}{_BREAKS}]*+")


def guarded(text: str) -> str:
    """Return the text as a CSV file holds it, without the quotation marks around the cell."""
    if _SUSPECT.search(text) is None:
        return text
    is_formula = _BEGINS_FORMULA.match(text) is not None
    text = _INSIDE.sub(lambda found: f"{found[0]}'" if _is_before_formula(found) else found[0], text)
    return f"'{text}" if is_formula else text


def unguarded(text: str) -> str:
    """Return the text whose guarded form this is; another text stays as it is."""
    if "'" not in text:
        return text
    if text[0] == "'" and _BEGINS_FORMULA.match(text, 1):
        text = text[1:]
    return _INSIDE.sub(lambda found: found[0].removesuffix("'") if _is_before_formula(found) else found[0], text)


def _is_before_formula(found: re.Match[str]) -> bool:
    return found.string[found.end() : found.end() + 1] in _FORMULA_CHARACTERS


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
    while rows := await log.read(
        partial(message_rows.list_newest, wanted=wanted, before=before, limit=_MESSAGES_AT_ONCE)
    ):
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
