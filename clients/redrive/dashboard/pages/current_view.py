"""The view of a list that a page shows: only the one selected last."""

from collections.abc import Awaitable, Callable, Hashable
from typing import TypeVar

from redrive.dashboard.pages.frame import Frame

Response = TypeVar("Response")


class CurrentView:
    """Shows one view at a time; if two are selected at once, by quick clicks on two filters, the later one wins."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._active = object()
        self._leave: Callable[[], None] = lambda: None

    async def switch_to(
        self, key: tuple[Hashable, ...], read: Callable[[], Awaitable[Response]], show: Callable[[Response], None]
    ) -> None:
        """Show and follow this view instead of the previous one."""
        self.clear()
        active = self._active

        def show_if_active(response: Response) -> None:
            if self._active is active:
                show(response)

        leave = await self._frame.follow(key, read, show_if_active)
        if self._active is active:
            self._leave = leave
        else:
            leave()

    def clear(self) -> None:
        """Show nothing until the next `switch_to`."""
        self._active = object()
        self._leave()
        self._leave = lambda: None
