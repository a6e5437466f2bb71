"""Pages: a row each; their secrets stand elsewhere."""

from collections.abc import Sequence
from typing import Any

import msgspec

from domain.page_events import PageRegistered, PageSettingsChanged, PageTokenReplaced, SendMode
from projections.recorded import Recorded
from projections.sql import Micros, Sql, micros

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
        update_time BIGINT NOT NULL
    )
    """,
)


class PageRow(msgspec.Struct, frozen=True, kw_only=True):
    """A page as its readers see it; the pace in messages per second."""

    page_id: str
    name: str
    messages_per_second: float
    send_mode: SendMode
    token_generation: int
    token_verified: bool
    create_time: Micros
    update_time: Micros


def apply(sql: Sql, recorded: Recorded) -> None:
    """What events change of pages."""
    event = recorded.event
    match event:
        case PageRegistered():
            _register(sql, event)
        case PageSettingsChanged():
            _change(sql, event)
        case PageTokenReplaced():
            _replace_token(sql, event)


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
                           update_time)
        VALUES (:page_id, :name, :messages_per_second, :send_mode, 1, :token_verified, :time, :time)
        """,
        {**_settings(event), "token_verified": int(event.token_verified)},
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


def find(sql: Sql, page_id: str) -> PageRow | None:
    """A registered page, or None."""
    row = sql.row("SELECT * FROM pages WHERE page_id = :page_id", {"page_id": page_id})
    return msgspec.convert(dict(row), PageRow, strict=False) if row else None


def in_order(sql: Sql, *, after: str, limit: int) -> Sequence[PageRow]:
    """Pages by id, after the last one seen."""
    rows = sql.rows(
        "SELECT * FROM pages WHERE page_id > :after ORDER BY page_id LIMIT :limit", {"after": after, "limit": limit}
    )
    return [msgspec.convert(dict(row), PageRow, strict=False) for row in rows]
