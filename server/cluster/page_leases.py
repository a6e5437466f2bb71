"""Who owns which page: one process at a time, by a lease that it renews (protocol rule 6, protocol rule 7)."""

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
from server.eventstore.commit import Commit, EventLog
from server.eventstore.rolling_upgrade import RELEASE

logger = structlog.get_logger()

RENEWALS_PER_LEASE = 3
MICROSECOND = timedelta(microseconds=1)
DAY = timedelta(days=1) // MICROSECOND
LAST_MICROSECOND = 2**62
LOOK_SECONDS = 1.0  # between two looks at the clock
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
    """Seconds on a clock that also counts while the machine sleeps, where there is one."""
    clock: int = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.clock_gettime(clock)


def leases(sql: Sql) -> Mapping[str, Micros]:
    """Every worker's lease."""
    rows = sql.rows("SELECT worker, lease_expire_time FROM workers")
    return {row["worker"]: row["lease_expire_time"] for row in rows}


def living(sql: Sql) -> frozenset[str]:
    """The workers whose lease is good by the database's clock."""
    now = sql.clock()
    return frozenset(worker for worker, expires in leases(sql).items() if expires > now)


def owners(sql: Sql) -> Mapping[str, str]:
    """The worker that owns each page, dead or alive."""
    return {row["page_id"]: row["worker"] for row in sql.rows("SELECT page_id, worker FROM page_owners")}


def owns_page(sql: Sql, page_id: str, worker: str, generation: int) -> bool:
    """Return whether a worker's ownership of a page, with this generation, still holds."""
    row = sql.row(
        "SELECT 1 FROM page_owners WHERE page_id = :page_id AND worker = :worker AND generation = :generation",
        {"page_id": page_id, "worker": worker, "generation": generation},
    )
    return row is not None


def set_retry_after(sql: Sql, page_id: str, pause: PagePause) -> None:
    """Record a pause for every process and beyond a restart; only one that the platform asked for stops the timers."""
    until = sql.clock() + timedelta(seconds=pause.seconds) // MICROSECOND
    page_pauses.record(sql, page_id, pause.reason, pause.fault, until=until)
    if pause.is_requested:
        sql.execute(
            "UPDATE page_owners SET closed_until = :until WHERE page_id = :page_id AND closed_until < :until",
            {"page_id": page_id, "until": until},
        )


def clear_retry_after(sql: Sql, page_id: str) -> None:
    """End a page's pause, for every process."""
    page_pauses.delete(sql, page_id)
    sql.execute("UPDATE page_owners SET closed_until = 0 WHERE page_id = :page_id", {"page_id": page_id})


def paused_for(sql: Sql, page: PageRow) -> float:
    """Return the seconds until a page may send again; 0 if it is not paused."""
    shown = 0.0 if page.pause is None else (page.pause.until - sql.clock()) / 1_000_000
    return max(shown, closed_for(sql, page.page_id))


def closed_for(sql: Sql, page_id: str) -> float:
    """Seconds until the platform's Retry-After for a page is over; 0 when there is none."""
    row = sql.row("SELECT closed_until FROM page_owners WHERE page_id = :page_id", {"page_id": page_id})
    return max(0.0, (row["closed_until"] - sql.clock()) / 1_000_000) if row and row["closed_until"] else 0.0


def retry_after_times(sql: Sql) -> Mapping[str, Micros]:
    """Until when the platform wants nothing of the pages that it wants nothing of."""
    rows = sql.rows("SELECT page_id, closed_until FROM page_owners WHERE closed_until > :now", {"now": sql.clock()})
    return {row["page_id"]: row["closed_until"] for row in rows}


def is_owned_by_another(sql: Sql, page_id: str, worker: str) -> bool:
    """Another living process owns the page."""
    return owners(sql).get(page_id) in living(sql) - {worker}


class PageLeases:
    """This process's lease, and the pages it owns by it.

    `lease` is how long a process may give no sign of life before its pages go to another; `batch_lease` is what its
    claims say. `alone`: the database is this process's for life (file lock), so that all other workers are dead.
    """

    def __init__(self, log: EventLog, worker: str, *, lease: timedelta, batch_lease: timedelta, alone: bool) -> None:
        self._log = log
        self.worker = worker
        self.batch_lease = batch_lease
        self._lease = lease
        self._alone = alone
        self._held_until = 0.0
        self.term = 0  # how often the lease was taken: another term than before means that it lapsed in between
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
        """Takes the first lease; raises Unavailable."""
        await self._log.commit(Commit([], also=lambda sql: _forget(sql, self.worker, all_others=self._alone)))
        await self.renew()

    async def renew(self) -> None:
        """Takes the lease anew; raises Unavailable."""
        held_from = boot_time()
        await self._log.commit(Commit([], also=lambda sql: _renew(sql, self.worker, self._lease)))
        if not self.is_held:
            self.term += 1
        self._held_until = held_from + self._lease.total_seconds()

    async def keep(self) -> None:
        """Renews until it is cancelled, in time also after the machine slept; a log that is away is tried again."""
        step = self._lease.total_seconds() / RENEWALS_PER_LEASE
        while True:
            await asyncio.sleep(min(LOOK_SECONDS, step))
            if boot_time() < self._held_until - 2 * step:
                continue
            try:
                await self.renew()
            except Unavailable:
                logger.warning("lease_not_renewed", worker=self.worker, is_held=self.is_held)

    async def end(self) -> None:
        """Lets the lease and the pages go, so that others need not wait for them; raises Unavailable."""
        self._held_until = 0.0
        await self._log.commit(Commit([], also=lambda sql: _end(sql, self.worker)))

    async def own(self, page_id: str) -> int | None:
        """The generation of this process's ownership of a page; None while another living process owns it."""
        if page_id not in self._generations:
            owned: list[int | None] = []
            await self._log.commit(Commit([], also=lambda sql: owned.append(_own(sql, page_id, self.worker))))
            if owned[-1] is None:
                return None
            self._generations[page_id] = owned[-1]
        return self._generations[page_id]

    async def give_up(self, page_id: str) -> None:
        """Lets a page go to another process; raises Unavailable."""
        self.disown(page_id)
        await self._log.commit(Commit([], also=lambda sql: _give_up(sql, page_id, self.worker)))

    def disown(self, page_id: str) -> None:
        """Forgets a page that another process was found to own."""
        self._generations.pop(page_id, None)


def _forget(sql: Sql, worker: str, *, all_others: bool) -> None:
    """Workers that are dead for certain: of a database of one's own all others, else those of yesterday."""
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


def _give_up(sql: Sql, page_id: str, worker: str) -> None:
    """Its generation stays, so that the next owner's is higher."""
    sql.execute(
        "UPDATE page_owners SET worker = '' WHERE page_id = :page_id AND worker = :worker",
        {"page_id": page_id, "worker": worker},
    )


def _own(sql: Sql, page_id: str, worker: str) -> int | None:
    owner = sql.row("SELECT worker, generation FROM page_owners WHERE page_id = :page_id", {"page_id": page_id})
    if owner is not None and owner["worker"] == worker:
        generation: int = owner["generation"]
        return generation
    if owner is not None and owner["worker"] in living(sql):
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
