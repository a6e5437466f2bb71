"""Which failed recipients have a tick: some by their ids, or all that match the filter."""

from collections.abc import Iterable, Sequence

from redrive.dashboard.resend_choice import ResendChoice
from redrive.v1.error_pb2 import ErrorType


class Selection:
    """Kept over the pages of the list; another filter clears it."""

    def __init__(self) -> None:
        self._ids: set[str] = set()
        self.is_all = False

    def has(self, recipient_id: str) -> bool:
        """Whether it has a tick."""
        return self.is_all or recipient_id in self._ids

    def set(self, recipient_id: str, *, is_on: bool, on_page: Iterable[str]) -> None:
        """Ticks or unticks one; to take one out of all leaves those of the page that is looked at."""
        if self.is_all:
            self.is_all = False
            self._ids = set(on_page)
        (self._ids.add if is_on else self._ids.discard)(recipient_id)

    def set_page(self, on_page: Iterable[str], *, is_on: bool) -> None:
        """Ticks or unticks all of the page."""
        self.is_all = False
        self._ids = self._ids | set(on_page) if is_on else self._ids - set(on_page)

    def take_all(self) -> None:
        """All that match, on whatever page."""
        self.is_all = True

    def clear(self) -> None:
        """Nobody."""
        self._ids.clear()
        self.is_all = False

    def count(self, matching: int) -> int:
        """How many, of so many that match."""
        return matching if self.is_all else len(self._ids)

    def choice(self, types: Sequence[ErrorType.ValueType]) -> ResendChoice:
        """What to resend; `types` are those that the filter lets through."""
        if self.is_all:
            return ResendChoice(error_types=tuple(types))
        return ResendChoice(recipient_ids=tuple(sorted(self._ids)))
