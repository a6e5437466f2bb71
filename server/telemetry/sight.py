"""What a look into the database tells at a scrape; looked up anew after some seconds at the earliest."""

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Mapping

import structlog
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from domain.errors import Unavailable
from server.log.commit import EventLog
from server.telemetry import queue
from server.telemetry.books import Books
from server.telemetry.page_labels import PageLabels
from server.telemetry.queue import PageQueue

logger = structlog.get_logger()

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
                self._queues = await self._log.read(queue.look)
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
