"""Metrics that are read from the database at a scrape, and cached for some seconds."""

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import structlog
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from domain.errors import Unavailable
from projections import message_counts
from projections.page_queues import PageQueue, page_queues
from projections.sql import Row, Sql
from server.eventstore.commit import EventLog

logger = structlog.get_logger()

QUEUE_SECONDS = 5.0
BOOKS_SECONDS = 15.0

MESSAGES_PER_CHECK = 200  # messages whose sums are checked, and as many unfinished ones
RECOUNTS_PER_CHECK = 5  # messages among them whose recipients are counted
MAX_RECOUNTED = 20_000  # recipients of a recounted message: a few milliseconds

MAX_PAGE_LABELS = 200  # one time series per page, as many as a time-series database can bear
OTHER_PAGES = "other"

Values = Mapping[str, float]


class DatabaseMetrics(Collector):
    """Gauges of the database; while it cannot be read they are absent, so that no old value is shown as current."""

    def __init__(self, log: EventLog, paces: Callable[[], Values]) -> None:
        self._log = log
        self._paces = paces
        self._labels = PageLabels()
        self._counts_check = CountsCheck()
        self._queues: Mapping[str, PageQueue] | None = None
        self._imbalance: int | None = None
        self._queues_until = 0.0
        self._books_until = 0.0
        self._refreshing = asyncio.Lock()

    async def refresh(self) -> None:
        """Read again what is too old; concurrent scrapes share one read."""
        async with self._refreshing:
            await self._refresh()

    async def _refresh(self) -> None:
        now = time.monotonic()
        try:
            if now >= self._queues_until:
                self._queues = await self._log.read(page_queues)
                self._queues_until = now + QUEUE_SECONDS
            if now >= self._books_until:
                self._imbalance = await self._log.read(self._counts_check.imbalance)
                self._books_until = now + BOOKS_SECONDS
        except Unavailable:
            logger.warning("log_away", part="metrics")
            self._queues = self._imbalance = None
            self._queues_until = self._books_until = 0.0

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Return the gauges as they were read last."""
        yield self._by_page("redrive_page_pace_messages_per_second", "The current rate limit.", self._paces(), sum)
        if self._queues is not None:
            yield from self._of_queues(self._queues)
        if self._imbalance is not None:
            help_text = "Recipients counted twice or not at all; must be 0."
            yield GaugeMetricFamily("redrive_books_imbalance", help_text, value=self._imbalance)

    def _of_queues(self, queues: Mapping[str, PageQueue]) -> Iterator[GaugeMetricFamily]:
        depths = {page: float(one.depth) for page, one in queues.items()}
        ages = {page: one.age_seconds for page, one in queues.items()}
        holds = {page: float(one.is_held) for page, one in queues.items()}
        yield self._by_page("redrive_queue_depth", "Pending recipients.", depths, sum)
        yield self._by_page("redrive_queue_age_seconds", "Age of the oldest open batch that is due.", ages, max)
        yield self._by_page("redrive_page_on_hold", "1 while the page is on hold.", holds, max)

    def _by_page(
        self, name: str, help_text: str, values: Values, combine: Callable[[Iterable[float]], float]
    ) -> GaugeMetricFamily:
        family = GaugeMetricFamily(name, help_text, labels=["page"])
        for label, value in self._labels.grouped(values, combine).items():
            family.add_metric([label], value)
        return family


class CountsCheck:
    """Checks that the counts of messages add up, some messages at a time; a wrong message is checked every time."""

    def __init__(self) -> None:
        self._after = ""
        self._offset = 0
        self._wrong: frozenset[str] = frozenset()

    def imbalance(self, sql: Sql) -> int:
        """Return how many recipients of the checked messages are counted twice or not at all; 0 is right."""
        rows = {row["message_id"]: row for row in self._rows_to_check(sql)}
        recounted = self._choose_recounted(rows)
        differences = {
            message_id: message_counts.imbalance(
                row, message_counts.recount(sql, message_id) if message_id in recounted else None
            )
            for message_id, row in rows.items()
        }
        self._log_new({message_id: difference for message_id, difference in differences.items() if difference})
        return sum(differences.values())

    def _rows_to_check(self, sql: Sql) -> Sequence[Row]:
        wrong = message_counts.counts_of(sql, self._wrong)
        unfinished = message_counts.counts_of_unfinished(sql, MESSAGES_PER_CHECK)
        return [*wrong, *unfinished, *self._next(sql)]

    def _next(self, sql: Sql) -> Sequence[Row]:
        rows = message_counts.counts_after(sql, self._after, MESSAGES_PER_CHECK)
        self._after = rows[-1]["message_id"] if len(rows) == MESSAGES_PER_CHECK else ""
        return rows

    def _choose_recounted(self, rows: Mapping[str, Row]) -> frozenset[str]:
        """Return the wrong messages and a few others; a cleaned message still counts its removed recipients."""
        countable = [key for key, row in rows.items() if row["total"] <= MAX_RECOUNTED and not row["is_cleaned"]]
        self._offset = (self._offset + RECOUNTS_PER_CHECK) % max(1, len(countable))
        chosen = (countable + countable)[self._offset :][:RECOUNTS_PER_CHECK]
        return frozenset(chosen) | (self._wrong & frozenset(countable))

    def _log_new(self, wrong: Mapping[str, int]) -> None:
        for message_id, difference in wrong.items():
            if message_id not in self._wrong:
                logger.error("books_imbalance", message=message_id, recipients=difference)
        self._wrong = frozenset(sorted(wrong)[:MESSAGES_PER_CHECK])


class PageLabels:
    """The label of each page: its id for the first pages of the process, then `other`."""

    def __init__(self, limit: int = MAX_PAGE_LABELS) -> None:
        self._limit = limit
        self._named: set[str] = set()

    def of(self, page_id: str) -> str:
        """Return the label of a page."""
        if page_id not in self._named:
            if len(self._named) >= self._limit:
                return OTHER_PAGES
            self._named.add(page_id)
        return page_id

    def grouped(self, values: Mapping[str, float], combine: Callable[[Iterable[float]], float]) -> Mapping[str, float]:
        """Return one value per label; those of `other` are combined."""
        by_label: dict[str, list[float]] = {}
        for page_id, value in values.items():
            by_label.setdefault(self.of(page_id), []).append(value)
        return {label: combine(found) for label, found in by_label.items()}
