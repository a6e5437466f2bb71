"""Cleanups and archives with real processes: a kill during a cleanup, and a rebuild from an archive."""

from contextlib import closing
from datetime import timedelta
from pathlib import Path

from redrive.v1.maintenance_service_pb2 import CleanupDeliveriesRequest, CleanupState
from server.eventstore.rebuild import differences
from tests.builders import FAILED, SENT, wall_clock
from tests.databases import opened
from tests.e2e.processes import client_of, running_server
from tests.e2e.test_maintenance import run
from tests.old_messages import write_finished_messages
from tests.waiting import eventually

MESSAGES = [f"m-{number:04}" for number in range(800)]
GONE = "http://127.0.0.1:9/v25.0"  # no delivery is sent in these tests
DONE = CleanupState.CLEANUP_STATE_DONE


async def test_a_cleanup_continues_after_its_server_was_killed(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'redrive.db'}"
    with closing(opened(url)) as store:
        write_finished_messages(store, MESSAGES, {"ann": SENT, "bob": FAILED}, time=wall_clock() - timedelta(days=200))

    async with running_server(tmp_path, GONE) as server:
        async with client_of(server) as client:
            started = await client.cleanup_deliveries(CleanupDeliveriesRequest(request_id="r-1"))
            began = started.cleanup
        await server.kill()
        await server.start()
        async with client_of(server) as client:
            ended = await eventually(lambda: client.get_cleanup(began.id), lambda found: found.state == DONE)
            again = await client.cleanup_deliveries(CleanupDeliveriesRequest(request_id="r-1"))
        assert await server.stop() == 0

    assert ended.deliveries_removed == ended.deliveries_total == len(MESSAGES)
    assert again.cleanup == ended
    with closing(opened(url)) as store:
        assert differences(store) == {}


async def test_a_rebuild_reads_an_archive_or_names_the_missing_events(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'redrive.db'}"
    folder = tmp_path / "archive"
    with closing(opened(url)) as store:
        write_finished_messages(store, ["old"], {"ann": SENT, "bob": FAILED}, time=wall_clock() - timedelta(days=40))
        write_finished_messages(store, ["young"], {"ann": SENT}, time=wall_clock() - timedelta(days=20))

    archived = await run(f"archive --older-than-days 30 --folder {folder}", url)
    without = await run("rebuild", url)
    whole = await run(f"rebuild --archive {folder}", url)
    (file,) = folder.glob("*.gz")
    file.write_bytes(file.read_bytes()[:-1])
    damaged = await run(f"rebuild --archive {folder}", url)

    assert (archived.code, archived.out) == (0, "1 messages archived, 8 events in 1 files\n")
    assert (without.code, whole.code, damaged.code) == (1, 0, 1)
    assert "--archive" in without.err
    assert whole.out.startswith("equal: ")
    assert f"{file} is damaged" in damaged.err
