"""A list shows only the view selected last."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import cast

from redrive.dashboard.pages.current_view import CurrentView
from redrive.dashboard.pages.frame import Frame


class Followed:
    """A stand-in for a tab: first responses wait until the test releases them."""

    def __init__(self) -> None:
        self.shows: dict[Hashable, Callable[[str], None]] = {}
        self.left: list[Hashable] = []
        self.answers: dict[Hashable, asyncio.Event] = {}

    async def follow(
        self, key: tuple[Hashable, ...], read: Callable[[], Awaitable[str]], show: Callable[[str], None]
    ) -> Callable[[], None]:
        self.shows[key[0]] = show
        await self.answers.setdefault(key[0], asyncio.Event()).wait()
        show(await read())
        return lambda: self.left.append(key[0])


def read(words: str) -> Callable[[], Awaitable[str]]:
    async def answer() -> str:
        return words

    return answer


async def test_only_the_last_of_two_views_is_shown_and_followed() -> None:
    followed, shown = Followed(), list[str]()
    view = CurrentView(cast("Frame", followed))
    first = asyncio.create_task(view.switch_to(("old",), read("old"), shown.append))
    await asyncio.sleep(0)
    second = asyncio.create_task(view.switch_to(("new",), read("new"), shown.append))
    await asyncio.sleep(0)

    followed.answers["new"].set()
    await second
    followed.answers["old"].set()
    await first
    followed.shows["old"]("old again")
    followed.shows["new"]("new again")

    assert shown == ["new", "new again"]
    assert followed.left == ["old"]


async def test_another_view_ends_the_one_before() -> None:
    followed, shown = Followed(), list[str]()
    view = CurrentView(cast("Frame", followed))
    for key in ("a", "b"):
        followed.answers[key] = asyncio.Event()
        followed.answers[key].set()
        await view.switch_to((key,), read(key), shown.append)
    assert followed.left == ["a"]

    view.clear()
    followed.shows["b"]("too late")

    assert (followed.left, shown) == (["a", "b"], ["a", "b"])
