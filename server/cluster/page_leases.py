"""Page leases: one process owns a page at a time, by a lease that it renews (protocol rule 6, protocol rule 7).

A process with a lease is a row of the table workers; the pages that it owns are rows of the table page_owners.
"""

import asyncio
import time
from collections.abc import Mapping
from datetime import timedelta

import msgspec
import structlog

from domain.errors import Unavailable
from domain.fault import Fault
from projections import page_pauses
from projections.pages import PageRow
from projections.sql import Micros, Sql
from server.eventstore.commit import EventLog
from server.eventstore.rolling_upgrade import RELEASE

logger = structlog.get_logger()

RENEWALS_PER_LEASE = 3
MICROSECOND = timedelta(microseconds=1)
DAY = timedelta(days=1) // MICROSECOND
LAST_MICROSECOND = 2**62
CLOCK_CHECK_SECONDS = 1.0
HELD_POLL_SECONDS = 0.1


class PagePause(msgspec.Struct, frozen=True, kw_only=True):
    """No message of a page leaves for so many seconds, and why.

    Either the platform requested the pause, or the page pauses by itself after rate limit errors. `fault` is the error
    that the platform returned, if it did.
    """

    seconds: float
    reason: str
    is_requested: bool = True
    fault: Fault | None = None


def boot_time() -> float:
    """Return the seconds of a monotonic clock, one that also counts while the machine sleeps if the system has it."""
    clock: int = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.clock_gettime(clock)


def leases(sql: Sql) -> Mapping[str, Micros]:
    """Return the time at which each worker's lease expires."""
    rows = sql.rows("SELECT worker, lease_expire_time FROM workers")
    return {row["worker"]: row["lease_expire_time"] for row in rows}


def live_processes(sql: Sql) -> frozenset[str]:
    """Return the workers whose lease is valid by the database's clock."""
    now = sql.clock()
    return frozenset(worker for worker, expires in leases(sql).items() if expires > now)


def owners(sql: Sql) -> Mapping[str, str]:
    """Return the owner of each page, also if its lease has expired; empty for a released page."""
    return {row["page_id"]: row["worker"] for row in sql.rows("SELECT page_id, worker FROM page_owners")}


def owns_page(sql: Sql, page_id: str, worker: str, generation: int) -> bool:
    """Return whether a worker's ownership of a page, with this generation, still holds."""
    row = sql.row(
        "SELECT 1 FROM page_owners WHERE page_id = :page_id AND worker = :worker AND generation = :generation",
        {"page_id": page_id, "worker": worker, "generation": generation},
    )
    return row is not None


def set_retry_after(sql: Sql, page_id: str, pause: PagePause) -> None:
    """Store a page's pause, so that it applies to every process and after a restart.

    Only a pause that the platform requested also stops the retry timers.
    """
    until = sql.clock() + timedelta(seconds=pause.seconds) // MICROSECOND
    page_pauses.record(sql, page_id, pause.reason, pause.fault, until=until)
    if pause.is_requested:
        sql.execute(
            "UPDATE page_owners SET closed_until = :until WHERE page_id = :page_id AND closed_until < :until",
            {"page_id": page_id, "until": until},
        )


def clear_retry_after(sql: Sql, page_id: str) -> None:
    """End a page's pause for every process."""
    page_pauses.delete(sql, page_id)
    sql.execute("UPDATE page_owners SET closed_until = 0 WHERE page_id = :page_id", {"page_id": page_id})


def paused_for(sql: Sql, page: PageRow) -> float:
    """Return the seconds until a page may send again, for any reason; 0 if it is not paused."""
    shown = 0.0 if page.pause is None else (page.pause.until - sql.clock()) / 1_000_000
    return max(shown, retry_after_of(sql, page.page_id))


def retry_after_of(sql: Sql, page_id: str) -> float:
    """Return the seconds until the platform's Retry-After for a page ends; 0 if there is none."""
    row = sql.row("SELECT closed_until FROM page_owners WHERE page_id = :page_id", {"page_id": page_id})
    return max(0.0, (row["closed_until"] - sql.clock()) / 1_000_000) if row and row["closed_until"] else 0.0


def retry_after_times(sql: Sql) -> Mapping[str, Micros]:
    """Return the time at which the platform's Retry-After ends, for each page that has one."""
    rows = sql.rows("SELECT page_id, closed_until FROM page_owners WHERE closed_until > :now", {"now": sql.clock()})
    return {row["page_id"]: row["closed_until"] for row in rows}


def is_owned_by_another(sql: Sql, page_id: str, worker: str) -> bool:
    """Return whether another live process owns the page."""
    return owners(sql).get(page_id) in live_processes(sql) - {worker}


class PageLeases:
    """This process's lease and the pages that it owns.

    `lease` is the time without a renewal after which other processes take over its pages. `batch_lease` is the lease of
    its claims. `alone` means that no other process can use the database (file lock), so all other workers have ended.
    """

    def __init__(self, log: EventLog, worker: str, *, lease: timedelta, batch_lease: timedelta, alone: bool) -> None:
        self._log = log
        self.worker = worker
        self.batch_lease = batch_lease
        self._lease = lease
        self._alone = alone
        self._held_until = 0.0
        self.term = 0  # counts up whenever the lease is taken after it had expired
        self._generations: dict[str, int] = {}

    @property
    def is_held(self) -> bool:
        """Whether the lease is certainly valid at this moment."""
        return boot_time() < self._held_until

    async def wait_until_held(self) -> None:
        """Wait until the lease is valid."""
        while not self.is_held:  # noqa: ASYNC110 - a clock, not an event, ends the wait
            await asyncio.sleep(HELD_POLL_SECONDS)

    async def start(self) -> None:
        """Take the first lease, and delete ended workers; raises Unavailable."""
        await self._log.write(lambda sql: _delete_ended_workers(sql, self.worker, all_others=self._alone))
        await self.renew()

    async def renew(self) -> None:
        """Renew the lease; raises Unavailable."""
        held_from = boot_time()
        await self._log.write(lambda sql: _renew(sql, self.worker, self._lease))
        if not self.is_held:
            self.term += 1
        self._held_until = held_from + self._lease.total_seconds()

    async def keep_renewed(self) -> None:
        """Renew the lease until cancelled.

        Checks the clock every second, so that it renews at once after the machine slept. While the database is
        unavailable it keeps trying.
        """
        step = self._lease.total_seconds() / RENEWALS_PER_LEASE
        while True:
            await asyncio.sleep(min(CLOCK_CHECK_SECONDS, step))
            if boot_time() < self._held_until - 2 * step:
                continue
            try:
                await self.renew()
            except Unavailable:
                logger.warning("lease_not_renewed", worker=self.worker, is_held=self.is_held)

    async def end(self) -> None:
        """End the lease, so that other processes can take over the pages at once; raises Unavailable."""
        self._held_until = 0.0
        await self._log.write(lambda sql: _end(sql, self.worker))

    async def acquire_page(self, page_id: str) -> int | None:
        """Own a page, and return the generation of the ownership; None if another live process owns it."""
        if page_id not in self._generations:
            generation = await self._log.write(lambda sql: _acquire(sql, page_id, self.worker))
            if generation is None:
                return None
            self._generations[page_id] = generation
        return self._generations[page_id]

    async def release_page(self, page_id: str) -> None:
        """Release a page, so that another process can own it; raises Unavailable."""
        self.forget_page(page_id)
        await self._log.write(lambda sql: _release(sql, page_id, self.worker))

    def forget_page(self, page_id: str) -> None:
        """Drop this process's record of a page that another process owns now."""
        self._generations.pop(page_id, None)


def _delete_ended_workers(sql: Sql, worker: str, *, all_others: bool) -> None:
    """Delete workers that have certainly ended: all others, or those whose lease expired more than a day ago."""
    before = LAST_MICROSECOND if all_others else sql.clock() - DAY
    sql.execute(
        "DELETE FROM workers WHERE worker <> :worker AND lease_expire_time < :before",
        {"worker": worker, "before": before},
    )


def _renew(sql: Sql, worker: str, lease: timedelta) -> None:
    sql.execute(
        """
        INSERT INTO workers (worker, lease_expire_time, release) VALUES (:worker, :expires, :release)
        ON CONFLICT (worker) DO UPDATE SET lease_expire_time = excluded.lease_expire_time
        """,
        {"worker": worker, "expires": sql.clock() + lease // MICROSECOND, "release": RELEASE},
    )


def _end(sql: Sql, worker: str) -> None:
    sql.execute("DELETE FROM workers WHERE worker = :worker", {"worker": worker})


def _release(sql: Sql, page_id: str, worker: str) -> None:
    """Clear the owner. The generation stays, so that the next owner's is higher."""
    sql.execute(
        "UPDATE page_owners SET worker = '' WHERE page_id = :page_id AND worker = :worker",
        {"page_id": page_id, "worker": worker},
    )


def _acquire(sql: Sql, page_id: str, worker: str) -> int | None:
    owner = sql.row("SELECT worker, generation FROM page_owners WHERE page_id = :page_id", {"page_id": page_id})
    if owner is not None and owner["worker"] == worker:
        generation: int = owner["generation"]
        return generation
    if owner is not None and owner["worker"] in live_processes(sql):
        return None
    generation = 1 + (owner["generation"] if owner else 0)
    sql.execute(
        """
        INSERT INTO page_owners (page_id, worker, generation) VALUES (:page_id, :worker, :generation)
        ON CONFLICT (page_id) DO UPDATE SET worker = excluded.worker, generation = excluded.generation
        """,
        {"page_id": page_id, "worker": worker, "generation": generation},
    )
    return generation
