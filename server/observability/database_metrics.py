"""What a look into the database tells at a scrape; looked up anew after some seconds at the earliest."""

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import structlog
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from domain.errors import Unavailable
from projections.sql import Micros, Row, Sql, one_of
from server.eventstore.commit import EventLog

logger = structlog.get_logger()

# How much waits on each page, and since when: read by indexes, of so many messages and pages at the most.


MOST_MESSAGES = 50_000  # unfinished ones that are looked at
MOST_PAGES = 5_000


class PageQueue(NamedTuple):
    """What waits on a page: recipients, and the seconds since its oldest batch could have left; 0 when none waits."""

    depth: int
    age_seconds: float
    is_held: bool


def look(sql: Sql) -> Mapping[str, PageQueue]:
    """Every page's queue. What is scheduled for later, or paused, has depth but no age."""
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
        {"most": MOST_MESSAGES},
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
        {"now": now, "most": MOST_PAGES},
    )


# Do the books balance? A few messages at each look, unfinished ones first, all of them in the course of time.


AT_ONCE = 200  # messages whose row is summed up at a look, and as many unfinished ones
RECOUNTED = 5  # of these, messages whose recipients are counted
MOST_RECIPIENTS = 20_000  # of a message that is recounted: a few milliseconds

_STATES = ("pending", "sending", "sent", "failed", "unconfirmed", "cancelled")


class Books:
    """What was found wrong is looked at again each time, until it is mended."""

    def __init__(self) -> None:
        self._after = ""
        self._turn = 0
        self._wrong: frozenset[str] = frozenset()

    def imbalance(self, sql: Sql) -> int:
        """Recipients that are counted twice or not at all, in the messages that were looked at; 0 is right."""
        rows = {row["message_id"]: row for row in (*self._known_wrong(sql), *_unfinished(sql), *self._next(sql))}
        recounted = self._recounted(rows)
        differences = {
            message_id: _difference(row, _recount(sql, message_id) if message_id in recounted else None)
            for message_id, row in rows.items()
        }
        self._tell({message_id: difference for message_id, difference in differences.items() if difference})
        return sum(differences.values())

    def _known_wrong(self, sql: Sql) -> Sequence[Row]:
        condition, parameters = one_of("message_id", "id", sorted(self._wrong))
        return _rows(sql, condition, parameters) if self._wrong else ()

    def _next(self, sql: Sql) -> Sequence[Row]:
        rows = _rows(
            sql, "message_id > :after ORDER BY message_id LIMIT :most", {"after": self._after, "most": AT_ONCE}
        )
        self._after = rows[-1]["message_id"] if len(rows) == AT_ONCE else ""
        return rows

    def _recounted(self, rows: Mapping[str, Row]) -> frozenset[str]:
        """The wrong ones, and a few in turn; recipients that were cleaned away are still in the message's counts."""
        countable = [key for key, row in rows.items() if row["total"] <= MOST_RECIPIENTS and not row["is_cleaned"]]
        self._turn = (self._turn + RECOUNTED) % max(1, len(countable))
        return frozenset((countable + countable)[self._turn :][:RECOUNTED]) | (self._wrong & frozenset(countable))

    def _tell(self, wrong: Mapping[str, int]) -> None:
        for message_id, difference in wrong.items():
            if message_id not in self._wrong:
                logger.error("books_imbalance", message=message_id, recipients=difference)
        self._wrong = frozenset(sorted(wrong)[:AT_ONCE])


def _unfinished(sql: Sql) -> Sequence[Row]:
    return _rows(sql, "is_completed = 0 AND is_visible = 1 LIMIT :most", {"most": AT_ONCE})


def _rows(sql: Sql, condition: str, parameters: Mapping[str, Any]) -> Sequence[Row]:
    columns = ", ".join(("message_id", "total", "is_cleaned", *_STATES))
    return sql.rows(f"SELECT {columns} FROM messages WHERE {condition}", parameters)  # noqa: S608 - our own words


def _recount(sql: Sql, message_id: str) -> Mapping[str, int]:
    rows = sql.rows(
        "SELECT state, COUNT(*) AS recipients FROM recipients WHERE message_id = :message_id GROUP BY state",
        {"message_id": message_id},
    )
    return {row["state"].lower(): row["recipients"] for row in rows}


def _difference(row: Row, recounted: Mapping[str, int] | None) -> int:
    total: int = abs(row["total"] - sum(row[state] for state in _STATES))
    if recounted is None:
        return total
    states: int = sum(abs(row[state] - recounted.get(state, 0)) for state in _STATES)
    return max(total, states)


# Which pages have a label of their own: as many as a time-series database bears, first come, first served.


MOST_LABELS = 200
OTHER = "other"


class PageLabels:
    """A page keeps its label for as long as the process lives; those that came too late share one."""

    def __init__(self, most: int = MOST_LABELS) -> None:
        self._most = most
        self._named: set[str] = set()

    def of(self, page_id: str) -> str:
        """The label of a page."""
        if page_id not in self._named:
            if len(self._named) >= self._most:
                return OTHER
            self._named.add(page_id)
        return page_id

    def grouped(self, values: Mapping[str, float], together: Callable[[Iterable[float]], float]) -> Mapping[str, float]:
        """A value per label, the others' put together."""
        by_label: dict[str, list[float]] = {}
        for page_id, value in values.items():
            by_label.setdefault(self.of(page_id), []).append(value)
        return {label: together(found) for label, found in by_label.items()}


QUEUE_SECONDS = 5.0
BOOKS_SECONDS = 15.0

Values = Mapping[str, float]


class Sight(Collector):
    """Gauges that are there only while the database can be used: an old value is not shown as the present one."""

    def __init__(self, log: EventLog, paces: Callable[[], Values]) -> None:
        self._log = log
        self._paces = paces
        self._labels = PageLabels()
        self._books = Books()
        self._queues: Mapping[str, PageQueue] | None = None
        self._imbalance: int | None = None
        self._queues_until = 0.0
        self._books_until = 0.0
        self._turn = asyncio.Lock()

    async def refresh(self) -> None:
        """Looks again at what has become old; scrapes that come at once share one look."""
        async with self._turn:
            await self._refresh()

    async def _refresh(self) -> None:
        now = time.monotonic()
        try:
            if now >= self._queues_until:
                self._queues = await self._log.read(look)
                self._queues_until = now + QUEUE_SECONDS
            if now >= self._books_until:
                self._imbalance = await self._log.read(self._books.imbalance)
                self._books_until = now + BOOKS_SECONDS
        except Unavailable:
            logger.warning("log_away", part="metrics")
            self._queues = self._imbalance = None
            self._queues_until = self._books_until = 0.0

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """What was seen last."""
        yield self._by_page("redrive_page_pace_messages_per_second", "Its pace now.", self._paces(), sum)
        if self._queues is not None:
            yield from self._of_queues(self._queues)
        if self._imbalance is not None:
            words = "Recipients counted twice or not at all; must be 0."
            yield GaugeMetricFamily("redrive_books_imbalance", words, value=self._imbalance)

    def _of_queues(self, queues: Mapping[str, PageQueue]) -> Iterator[GaugeMetricFamily]:
        depths = {page: float(one.depth) for page, one in queues.items()}
        ages = {page: one.age_seconds for page, one in queues.items()}
        holds = {page: float(one.is_held) for page, one in queues.items()}
        yield self._by_page("redrive_queue_depth", "Recipients that are pending.", depths, sum)
        yield self._by_page("redrive_queue_age_seconds", "Age of its oldest open batch that is due.", ages, max)
        yield self._by_page("redrive_page_on_hold", "1 while nothing of it leaves.", holds, max)

    def _by_page(
        self, name: str, words: str, values: Values, together: Callable[[Iterable[float]], float]
    ) -> GaugeMetricFamily:
        family = GaugeMetricFamily(name, words, labels=["page"])
        for label, value in self._labels.grouped(values, together).items():
            family.add_metric([label], value)
        return family
