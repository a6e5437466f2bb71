"""Tabs share reads and watches."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable

import grpc

from redrive.dashboard.state.server_status import ServerStatus
from redrive.dashboard.state.shared_reads import SharedReads
from redrive.dashboard.state.shared_watches import SharedWatches
from redrive.errors import NotFound, RedriveError, Unavailable
from redrive.v1.delivery_service_pb2 import WatchProgressResponse
from redrive.v1.progress_pb2 import Progress
from tests.waiting import eventually

TURN = 0.01


class Server:
    """Returns how often a name was read, or raises the error that is set."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.error: RedriveError | None = None

    def read(self, name: str) -> Callable[[], Awaitable[str]]:
        async def read() -> str:
            self.asked.append(name)
            if self.error is not None:
                raise self.error
            return f"{name} {Counter(self.asked)[name]}"

        return read


def ignore(_: object) -> None:
    pass


async def seen(shown: list[str], count: int) -> list[str]:
    async def look() -> list[str]:
        return list(shown)

    return await eventually(look, lambda shown: len(shown) >= count)


async def test_tabs_with_the_same_key_share_one_read() -> None:
    server, reads = Server(), SharedReads(ServerStatus(), interval=TURN)
    first: list[str] = []
    second: list[str] = []
    reads.follow(("list", 1), server.read("a"), first.append, ignore)
    reads.follow(("list", 1), server.read("a"), second.append, ignore)

    await seen(second, 3)
    reads.close()

    assert first[:3] == second[:3] == ["a 1", "a 2", "a 3"]


async def test_reads_of_one_kind_alternate_and_changed_ones_go_first() -> None:
    server, reads = Server(), SharedReads(ServerStatus(), interval=TURN)
    shown: list[str] = []
    for name in "abc":
        reads.follow(("list", name), server.read(name), shown.append, ignore)
    reads.read_next(("list", "c"), ("list", "b"))

    await seen(shown, 6)
    reads.close()

    assert server.asked[:6] == ["c", "b", "a", "c", "b", "a"]


async def test_read_without_followers_ends() -> None:
    server, reads = Server(), SharedReads(ServerStatus(), interval=TURN)
    shown: list[str] = []
    leave = reads.follow(("list", "left"), server.read("left"), ignore, ignore)
    reads.follow(("list", "kept"), server.read("kept"), shown.append, ignore)

    leave()
    leave()
    await seen(shown, 3)
    reads.close()

    assert set(server.asked) == {"kept"}


async def test_unreachable_server_and_its_return_are_detected() -> None:
    server, server_status = Server(), ServerStatus()
    reads = SharedReads(server_status, interval=TURN)
    changes: list[str] = []
    failed: list[str] = []
    server_status.subscribe(lambda: changes.append("reachable" if server_status.is_reachable else "unreachable"))
    server.error = Unavailable("no route", code=grpc.StatusCode.UNAVAILABLE)
    reads.follow(("list",), server.read("a"), ignore, lambda error: failed.append(error.message))

    await seen(changes, 1)
    server.error = NotFound("gone", code=grpc.StatusCode.NOT_FOUND, reason="MESSAGE_NOT_FOUND")  # also a response
    await seen(changes, 2)
    reads.close()

    assert changes == ["unreachable", "reachable"]
    assert {"no route", "gone"} == set(failed)


class Watches:
    """Watches that stay open until the test releases them."""

    def __init__(self) -> None:
        self.opened: list[str] = []
        self.ended: list[str] = []
        self.open_now = 0
        self.go_on = asyncio.Event()

    async def watch(self, message_id: str) -> AsyncGenerator[WatchProgressResponse, None]:
        self.opened.append(message_id)
        self.open_now += 1
        try:
            yield WatchProgressResponse(sequence=1, progress=Progress(message_id=message_id, round=len(self.opened)))
            await self.go_on.wait()
        finally:
            self.open_now -= 1
            self.ended.append(message_id)


async def test_a_message_has_one_watch_until_the_last_tab_leaves() -> None:
    watches = Watches()
    hub = SharedWatches(watches.watch, ServerStatus(), pause=TURN)
    first: list[str] = []
    second: list[str] = []
    leave_first = hub.follow("m", lambda progress: first.append(progress.message_id))
    await seen(first, 1)
    leave_second = hub.follow("m", lambda progress: second.append(progress.message_id))

    assert second == ["m"]  # at once, from the last progress
    leave_first()
    await asyncio.sleep(0)
    assert watches.open_now == 1
    leave_second()
    await seen(watches.ended, 1)
    assert watches.opened == ["m"]


async def test_finished_watch_is_reopened_for_a_resend() -> None:
    watches = Watches()
    watches.go_on.set()
    hub = SharedWatches(watches.watch, ServerStatus(), pause=TURN)
    rounds: list[str] = []
    hub.follow("m", lambda progress: rounds.append(str(progress.round)))

    await seen(rounds, 3)
    hub.close()

    assert rounds[:3] == ["1", "2", "3"]
