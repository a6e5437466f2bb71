"""What a page shows of a list: one view at a time, the one that was asked for last."""

from collections.abc import Awaitable, Callable, Hashable
from typing import TypeVar

from redrive.dashboard.frame import Frame

Answer = TypeVar("Answer")


class CurrentView:
    """Of two that are asked for at once, by quick clicks on two filters, the later stays."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._turn = object()
        self._leave: Callable[[], None] = lambda: None

    async def look(
        self, key: tuple[Hashable, ...], read: Callable[[], Awaitable[Answer]], show: Callable[[Answer], None]
    ) -> None:
        """Follows this instead of what was followed before, whose answers are not shown any more."""
        self.look_away()
        turn = self._turn

        def show_in_turn(answer: Answer) -> None:
            if self._turn is turn:
                show(answer)

        leave = await self._frame.follow(key, read, show_in_turn)
        if self._turn is turn:
            self._leave = leave
        else:
            leave()

    def look_away(self) -> None:
        """Nothing is shown until the next look."""
        self._turn = object()
        self._leave()
        self._leave = lambda: None
