"""The pages table: a row for each page. Its secrets are in an encrypted table."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from domain.event import RecordedEvent
from domain.fault import ErrorType
from domain.owner import ANY_OWNER, may_use_page
from domain.page_events import (
    PageHeld,
    PageRegistered,
    PageReleased,
    PageSettingsChanged,
    PageShared,
    PageTokenReplaced,
    PageTransferred,
    SendMode,
)
from projections.page_pauses import PauseRow, current_pause
from projections.sql import BulkRows, Micros, Row, Sql, micros

TABLES = (
    """
    CREATE TABLE IF NOT EXISTS pages (
        page_id TEXT PRIMARY KEY,
        name TEXT NOT NULL,
        messages_per_second DOUBLE PRECISION NOT NULL,
        send_mode TEXT NOT NULL,
        token_generation INTEGER NOT NULL,
        token_verified INTEGER NOT NULL,
        create_time BIGINT NOT NULL,
        update_time BIGINT NOT NULL,
        is_held INTEGER NOT NULL DEFAULT 0,
        hold_reason TEXT NOT NULL DEFAULT '',
        held_by TEXT NOT NULL DEFAULT '',
        hold_code INTEGER NOT NULL DEFAULT 0,
        hold_subcode INTEGER NOT NULL DEFAULT 0,
        hold_error_type TEXT,
        hold_time BIGINT,
        owner TEXT NOT NULL DEFAULT '',
        shared_with TEXT NOT NULL DEFAULT ' * '
    )
    """,
)


# shared_with lists callers, each between two spaces, which no name contains: " crm  shop ". " * " means every caller.

_WITH_PAUSES = """
    SELECT pages.*, pause_reason, pause_code, pause_subcode, pause_error_type, pause_time, pause_until
    FROM pages LEFT JOIN page_pauses ON page_pauses.page_id = pages.page_id
"""


class HoldRow(msgspec.Struct, frozen=True, kw_only=True):
    """Why a page is on hold, and since when; `error_type` is None if a person holds it."""

    reason: str
    held_by: str
    error_code: int
    error_subcode: int
    error_type: ErrorType | None
    time: Micros


class PageBlocks(NamedTuple):
    """The hold and the pause of a page, if any."""

    hold: HoldRow | None = None
    pause: PauseRow | None = None


class PageRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the pages table, with its current pause."""

    page_id: str
    name: str
    messages_per_second: float
    send_mode: SendMode
    token_generation: int
    token_verified: bool
    create_time: Micros
    update_time: Micros
    hold: HoldRow | None = None
    pause: PauseRow | None = None
    owner: str = ""  # empty: registered with a release that recorded no owners; every caller may use the page
    shared_with: tuple[str, ...] = (ANY_OWNER,)

    @property
    def is_held(self) -> bool:
        """Whether the page is on hold."""
        return self.hold is not None

    def is_open_to(self, wanted: str) -> bool:
        """Return whether an owner, or ANY_OWNER, may read it and send through it."""
        return may_use_page(self.owner, self.shared_with, wanted)


def apply(sql: Sql, recorded: RecordedEvent) -> None:
    """Apply an event to the pages."""
    event = recorded.event
    match event:
        case PageRegistered():
            _register(sql, event)
        case PageSettingsChanged():
            _change(sql, event)
        case PageTokenReplaced():
            _replace_token(sql, event)
        case PageHeld():
            _hold(sql, event)
        case PageReleased():
            _release(sql, event)
        case PageShared():
            _share(sql, event)
        case PageTransferred():
            _transfer(sql, event)


def _settings(event: PageRegistered | PageSettingsChanged) -> dict[str, Any]:
    return {
        "page_id": event.page_id,
        "name": event.name,
        "messages_per_second": event.messages_per_second,
        "send_mode": event.send_mode.value,
        "time": micros(event.time),
    }


def _register(sql: Sql, event: PageRegistered) -> None:
    sql.execute(
        """
        INSERT INTO pages (page_id, name, messages_per_second, send_mode, token_generation, token_verified, create_time,
                           update_time, owner)
        VALUES (:page_id, :name, :messages_per_second, :send_mode, 1, :token_verified, :time, :time, :owner)
        """,
        {**_settings(event), "token_verified": int(event.token_verified), "owner": event.requested_by},
    )


def _change(sql: Sql, event: PageSettingsChanged) -> None:
    sql.execute(
        """
        UPDATE pages SET name = :name, messages_per_second = :messages_per_second, send_mode = :send_mode,
               update_time = :time
        WHERE page_id = :page_id
        """,
        _settings(event),
    )


def _replace_token(sql: Sql, event: PageTokenReplaced) -> None:
    sql.execute(
        """
        UPDATE pages SET token_generation = :token_generation, token_verified = :token_verified, update_time = :time
        WHERE page_id = :page_id
        """,
        {
            "page_id": event.page_id,
            "token_generation": event.token_generation,
            "token_verified": int(event.token_verified),
            "time": micros(event.time),
        },
    )


def _hold(sql: Sql, event: PageHeld) -> None:
    fault = event.hold.fault
    sql.execute(
        """
        UPDATE pages SET is_held = 1, hold_reason = :reason, held_by = :held_by, hold_code = :code,
               hold_subcode = :subcode, hold_error_type = :error_type, hold_time = :time, update_time = :time
        WHERE page_id = :page_id
        """,
        {
            "page_id": event.page_id,
            "reason": event.hold.reason,
            "held_by": event.hold.held_by,
            "code": fault.code if fault else 0,
            "subcode": fault.subcode if fault else 0,
            "error_type": fault.type.value if fault else None,
            "time": micros(event.time),
        },
    )


def _release(sql: Sql, event: PageReleased) -> None:
    sql.execute(
        """
        UPDATE pages SET is_held = 0, hold_reason = '', held_by = '', hold_code = 0, hold_subcode = 0,
               hold_error_type = NULL, hold_time = NULL, token_generation = :token_generation, update_time = :time
        WHERE page_id = :page_id
        """,
        {"page_id": event.page_id, "token_generation": event.token_generation, "time": micros(event.time)},
    )


def _share(sql: Sql, event: PageShared) -> None:
    sql.execute(
        "UPDATE pages SET shared_with = :shared_with, update_time = :time WHERE page_id = :page_id",
        {"page_id": event.page_id, "shared_with": _joined(event.shared_with), "time": micros(event.time)},
    )


def _transfer(sql: Sql, event: PageTransferred) -> None:
    sql.execute(
        """
        UPDATE pages SET owner = :owner, shared_with = :shared_with, update_time = :time WHERE page_id = :page_id
        """,
        {
            "page_id": event.page_id,
            "owner": event.owner,
            "shared_with": _joined(event.shared_with),
            "time": micros(event.time),
        },
    )


def _joined(callers: Iterable[str]) -> str:
    return "".join(map(_with_spaces, callers))


def _with_spaces(caller: str) -> str:
    return f" {caller} "


def find(sql: Sql, page_id: str) -> PageRow | None:
    """Return a registered page; None if there is none with this id."""
    row = sql.row(f"{_WITH_PAUSES} WHERE pages.page_id = :page_id", {"page_id": page_id})
    return _page_row(sql, row) if row else None


_USABLE = (
    "(pages.owner IN ('', :wanted) OR REPLACE(REPLACE(pages.shared_with, ' * ', ''), :shared, '') <> pages.shared_with)"
)


def list_usable(sql: Sql, wanted: str, *, after: str, limit: int) -> Sequence[PageRow]:
    """Return the pages that an owner may use, or all pages for ANY_OWNER, ordered by id, after the id `after`."""
    usable = "" if wanted == ANY_OWNER else f"AND {_USABLE}"
    rows = sql.rows(
        f"{_WITH_PAUSES} WHERE pages.page_id > :after {usable} ORDER BY pages.page_id LIMIT :limit",
        {"after": after, "limit": limit, "wanted": wanted, "shared": _with_spaces(wanted)},
    )
    return [_page_row(sql, row) for row in rows]


def count_without_owner(sql: Sql) -> int:
    """Return the number of pages without an owner, which an earlier release registered: every caller may use them."""
    row = sql.row("SELECT COUNT(*) AS pages FROM pages WHERE owner = ''")
    return row["pages"] if row else 0


def holds(sql: Sql, page_ids: Collection[str]) -> Mapping[str, HoldRow]:
    """Return the holds of those of the pages that are on hold."""
    rows = sql.rows(
        "SELECT pages.* FROM given CROSS JOIN pages WHERE pages.page_id = given.page_id AND pages.is_held = 1",
        given=BulkRows((("page_id", str),), [(page_id,) for page_id in page_ids]),
    )
    return {row["page_id"]: _hold_row(row) for row in rows}


def states(sql: Sql, page_ids: Collection[str]) -> Mapping[str, PageBlocks]:
    """Return the states of those of the pages that are on hold or paused."""
    rows = sql.rows(
        """
        SELECT pages.*, pause_reason, pause_code, pause_subcode, pause_error_type, pause_time, pause_until
        FROM given CROSS JOIN pages LEFT JOIN page_pauses ON page_pauses.page_id = pages.page_id
        WHERE pages.page_id = given.page_id AND (pages.is_held = 1 OR page_pauses.page_id IS NOT NULL)
        """,
        given=BulkRows((("page_id", str),), [(page_id,) for page_id in page_ids]),
    )
    return {row["page_id"]: _state(sql, row) for row in rows}


def _state(sql: Sql, row: Row) -> PageBlocks:
    return PageBlocks(_hold_row(row) if row["is_held"] else None, current_pause(sql, row))


def _page_row(sql: Sql, row: Row) -> PageRow:
    hold, pause = _state(sql, row)
    return PageRow(  # field by field: msgspec.convert of the row would take a fifth of a list's time
        page_id=row["page_id"],
        name=row["name"],
        messages_per_second=row["messages_per_second"],
        send_mode=SendMode(row["send_mode"]),
        token_generation=row["token_generation"],
        token_verified=bool(row["token_verified"]),
        create_time=row["create_time"],
        update_time=row["update_time"],
        hold=hold,
        pause=pause,
        owner=row["owner"],
        shared_with=tuple(row["shared_with"].split()),
    )


def _hold_row(row: Row) -> HoldRow:
    return HoldRow(
        reason=row["hold_reason"],
        held_by=row["held_by"],
        error_code=row["hold_code"],
        error_subcode=row["hold_subcode"],
        error_type=ErrorType(row["hold_error_type"]) if row["hold_error_type"] else None,
        time=row["hold_time"],
    )


def not_held(sql: Sql) -> Sequence[str]:
    """Return the ids of the pages that are not on hold."""
    return [row["page_id"] for row in sql.rows("SELECT page_id FROM pages WHERE is_held = 0 ORDER BY page_id")]
