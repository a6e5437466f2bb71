"""Who owns which page: one process at a time, by a lease that it renews (protocol rules 6 and 7)."""

import asyncio
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

import structlog

from domain.errors import Unavailable
from projections.sql import Micros, Sql, micros
from server.log.commit import Commit, EventLog

logger = structlog.get_logger()

RENEWALS_PER_LEASE = 3
LOOK_SECONDS = 1.0  # between two looks at the clock
HELD_POLL_SECONDS = 0.1


def boot_time() -> float:
    """Seconds on a clock that also counts while the machine sleeps, where there is one."""
    clock: int = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.clock_gettime(clock)


def leases(sql: Sql) -> Mapping[str, Micros]:
    """Every worker's lease."""
    rows = sql.rows("SELECT worker, lease_expire_time FROM workers")
    return {row["worker"]: row["lease_expire_time"] for row in rows}


class Ownership:
    """This process's lease, and the pages it owns by it."""

    def __init__(self, log: EventLog, worker: str, lease: timedelta, now: Callable[[], datetime]) -> None:
        self._log = log
        self.worker = worker
        self.lease = lease
        self._now = now
        self._held_until = 0.0
        self._generations: dict[str, int] = {}

    @property
    def is_held(self) -> bool:
        """The lease is known to be good at this moment."""
        return boot_time() < self._held_until

    async def held(self) -> None:
        """Waits until the lease is good."""
        while not self.is_held:  # noqa: ASYNC110 - a clock, not an event, ends the wait
            await asyncio.sleep(HELD_POLL_SECONDS)

    async def start(self) -> None:
        """Takes the first lease. The database is this process's alone (file lock), so all other workers are dead."""
        await self._log.commit(Commit([], also=lambda sql: _forget_others(sql, self.worker)))
        await self.renew()

    async def renew(self) -> None:
        """Takes the lease anew; raises Unavailable."""
        held_from = boot_time()
        expires = self._now() + self.lease
        await self._log.commit(Commit([], also=lambda sql: _renew(sql, self.worker, micros(expires))))
        self._held_until = held_from + self.lease.total_seconds()

    async def keep(self) -> None:
        """Renews until it is cancelled, in time also after the machine slept; a log that is away is tried again."""
        step = self.lease.total_seconds() / RENEWALS_PER_LEASE
        while True:
            await asyncio.sleep(min(LOOK_SECONDS, step))
            if boot_time() < self._held_until - 2 * step:
                continue
            try:
                await self.renew()
            except Unavailable:
                logger.warning("lease_not_renewed", worker=self.worker, is_held=self.is_held)

    async def own(self, page_id: str) -> int | None:
        """The generation of this process's ownership of a page; None while another living process owns it."""
        if page_id not in self._generations:
            owned: list[int | None] = []
            now = micros(self._now())
            await self._log.commit(Commit([], also=lambda sql: owned.append(_own(sql, page_id, self.worker, now))))
            if owned[-1] is None:
                return None
            self._generations[page_id] = owned[-1]
        return self._generations[page_id]

    def disown(self, page_id: str) -> None:
        """Forgets a page that another process was found to own."""
        self._generations.pop(page_id, None)


def _forget_others(sql: Sql, worker: str) -> None:
    sql.execute("DELETE FROM workers WHERE worker <> :worker", {"worker": worker})


def _renew(sql: Sql, worker: str, expires: Micros) -> None:
    sql.execute(
        """
        INSERT INTO workers (worker, lease_expire_time) VALUES (:worker, :expires)
        ON CONFLICT (worker) DO UPDATE SET lease_expire_time = excluded.lease_expire_time
        """,
        {"worker": worker, "expires": expires},
    )


def _own(sql: Sql, page_id: str, worker: str, now: Micros) -> int | None:
    owner = sql.row("SELECT worker, generation FROM page_owners WHERE page_id = :page_id", {"page_id": page_id})
    if owner is not None and owner["worker"] == worker:
        generation: int = owner["generation"]
        return generation
    if owner is not None and leases(sql).get(owner["worker"], 0) > now:
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
