"""However many tabs look, the server is asked once."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable

import grpc

from redrive.dashboard.live_reads import LiveReads
from redrive.dashboard.presence import Presence
from redrive.dashboard.progress_hub import ProgressHub
from redrive.errors import NotFound, RedriveError, Unavailable
from redrive.v1.delivery_service_pb2 import WatchProgressResponse
from redrive.v1.progress_pb2 import Progress
from tests.waiting import eventually

TURN = 0.01


class Server:
    """Answers how often it was asked for a thing; or fails as it is told to."""

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
    server, reads = Server(), LiveReads(Presence(), seconds=TURN)
    first: list[str] = []
    second: list[str] = []
    reads.follow(("list", 1), server.read("a"), first.append, ignore)
    reads.follow(("list", 1), server.read("a"), second.append, ignore)

    await seen(second, 3)
    reads.close()

    assert first[:3] == second[:3] == ["a 1", "a 2", "a 3"]


async def test_subjects_of_one_kind_take_turns_and_what_changed_is_read_next() -> None:
    server, reads = Server(), LiveReads(Presence(), seconds=TURN)
    shown: list[str] = []
    for name in "abc":
        reads.follow(("list", name), server.read(name), shown.append, ignore)
    reads.hurry(("list", "c"), ("list", "b"))

    await seen(shown, 6)
    reads.close()

    assert server.asked[:6] == ["c", "b", "a", "c", "b", "a"]


async def test_what_nobody_looks_at_is_not_read() -> None:
    server, reads = Server(), LiveReads(Presence(), seconds=TURN)
    shown: list[str] = []
    leave = reads.follow(("list", "left"), server.read("left"), ignore, ignore)
    reads.follow(("list", "kept"), server.read("kept"), shown.append, ignore)

    leave()
    leave()
    await seen(shown, 3)
    reads.close()

    assert set(server.asked) == {"kept"}


async def test_a_server_that_is_away_is_noticed_and_so_is_its_return() -> None:
    server, presence = Server(), Presence()
    reads = LiveReads(presence, seconds=TURN)
    told: list[str] = []
    failed: list[str] = []
    presence.listen(lambda: told.append("here" if presence.is_here else "away"))
    server.error = Unavailable("no route", code=grpc.StatusCode.UNAVAILABLE)
    reads.follow(("list",), server.read("a"), ignore, lambda error: failed.append(error.message))

    await seen(told, 1)
    server.error = NotFound("gone", code=grpc.StatusCode.NOT_FOUND, reason="MESSAGE_NOT_FOUND")  # an answer, too
    await seen(told, 2)
    reads.close()

    assert told == ["away", "here"]
    assert {"no route", "gone"} == set(failed)


class Watches:
    """Progress that is told until it is let go."""

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
    hub = ProgressHub(watches.watch, Presence(), pause=TURN)
    first: list[str] = []
    second: list[str] = []
    leave_first = hub.follow("m", lambda progress: first.append(progress.message_id))
    await seen(first, 1)
    leave_second = hub.follow("m", lambda progress: second.append(progress.message_id))

    assert second == ["m"]  # at once, from what is known
    leave_first()
    await asyncio.sleep(0)
    assert watches.open_now == 1
    leave_second()
    await seen(watches.ended, 1)
    assert watches.opened == ["m"]


async def test_a_message_that_is_done_is_looked_at_again_in_case_it_was_resent() -> None:
    watches = Watches()
    watches.go_on.set()
    hub = ProgressHub(watches.watch, Presence(), pause=TURN)
    rounds: list[str] = []
    hub.follow("m", lambda progress: rounds.append(str(progress.round)))

    await seen(rounds, 3)
    hub.close()

    assert rounds[:3] == ["1", "2", "3"]
