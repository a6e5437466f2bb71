"""Pages whose worker broke: each is left for a while before the next try, for longer after every failure in a row.

A worker that breaks has often claimed a batch before, which is an event in the log: tried once a second, a page that
cannot be worked would write an event a second for ever.
"""

import time

FIRST_PAUSE = 1.0  # seconds
LONGEST_PAUSE = 60.0
GROWTH = 2.0


class Breakages:
    """How often in a row each page's worker broke, and until when the page is left, on the monotonic clock."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._paused_until: dict[str, float] = {}

    def add(self, page_id: str) -> tuple[int, float]:
        """Count a failure; return how many there were in a row, and the seconds until the next try."""
        count = self._counts[page_id] = self._counts.get(page_id, 0) + 1
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * GROWTH ** min(count - 1, 10))
        self._paused_until[page_id] = time.monotonic() + pause
        return count, pause

    def is_paused(self, page_id: str) -> bool:
        """Return whether the page is to be left now."""
        return time.monotonic() < self._paused_until.get(page_id, 0.0)

    def try_now(self, page_id: str) -> None:
        """End the pause: something about the page has changed. The next failure pauses for longer all the same."""
        self._paused_until.pop(page_id, None)

    def forget(self, page_id: str) -> int:
        """Forget the failures, as a worker has ended without one; return how many there were."""
        self._paused_until.pop(page_id, None)
        return self._counts.pop(page_id, 0)
