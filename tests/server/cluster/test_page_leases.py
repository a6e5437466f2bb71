"""The lease of a process."""

from datetime import timedelta
from pathlib import Path

from server.cluster.page_leases import PageLeases
from server.eventstore.event_store import EventStore
from server.eventstore.sqlite.store import SqliteStore
from tests.waiting import eventually


async def test_a_lapsed_lease_is_renewed_for_a_new_term(tmp_path: Path) -> None:
    async with EventStore(SqliteStore(tmp_path / "redrive.db")) as log:
        lease = timedelta(seconds=0.5)
        ownership = PageLeases(log, "worker", lease=lease, batch_lease=lease, alone=False)
        await ownership.start()
        first = ownership.term
        await ownership.renew()
        assert ownership.term == first

        async def is_held() -> bool:
            return ownership.is_held

        await eventually(is_held, lambda held: not held)
        await ownership.renew()

        assert ownership.is_held
        assert ownership.term == first + 1
