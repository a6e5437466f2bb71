"""Page queues: how many recipients wait on each page, and for how long."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from projections.sql import Micros, Row, Sql

MAX_MESSAGES = 50_000  # unfinished messages that are counted
MAX_PAGES = 5_000


class PageQueue(NamedTuple):
    """The pending recipients of a page, and the seconds since its oldest due batch was due; 0 if no batch is due."""

    depth: int
    age_seconds: float
    is_held: bool


def page_queues(sql: Sql) -> Mapping[str, PageQueue]:
    """Return the queue of every page, by indexes; scheduled and paused deliveries have a depth but no age."""
    depths, now = _depths(sql), sql.clock()
    return {row["page_id"]: _queue(row, depths.get(row["page_id"], 0), now) for row in _pages(sql, now)}


def _queue(row: Row, depth: int, now: Micros) -> PageQueue:
    times = [time for time in (row["at_once"], row["scheduled"]) if time]
    age = max(0.0, (now - min(times)) / 1_000_000) if times else 0.0
    return PageQueue(depth=depth, age_seconds=age, is_held=row["is_held"] == 1)


def _depths(sql: Sql) -> Mapping[str, int]:
    rows = sql.rows(
        """
        SELECT page_id, SUM(pending) AS pending FROM (
            SELECT page_id, pending FROM messages WHERE is_completed = 0 AND is_visible = 1 LIMIT :most
        ) AS unfinished
        GROUP BY page_id
        """,
        {"most": MAX_MESSAGES},
    )
    return {row["page_id"]: int(row["pending"]) for row in rows}


_OLDEST = """
    (SELECT {since} FROM batches
     WHERE batches.page_id = pages.page_id AND status IN ('PENDING', 'STARTED') AND {due}
     ORDER BY {order} LIMIT 1)
"""  # one look-up each, as in `batches.pages_with_work`
_AT_ONCE = _OLDEST.format(since="create_time", due="due_time = 0", order="position")
_SCHEDULED = _OLDEST.format(since="due_time", due="due_time > 0 AND due_time <= :now", order="due_time")


def _pages(sql: Sql, now: Micros) -> Sequence[Row]:
    return sql.rows(
        f"SELECT page_id, is_held, {_AT_ONCE} AS at_once, {_SCHEDULED} AS scheduled FROM pages"  # noqa: S608 - own words
        " ORDER BY page_id LIMIT :most",
        {"now": now, "most": MAX_PAGES},
    )
