"""Failures of page workers: a page whose worker failed is left alone for a while, longer after each failure in a row.

A worker has often claimed a batch before it fails, and each claim is an event in the event store. Without a pause, a
page that cannot be worked on would add an event every second, for ever.
"""

import time

FIRST_PAUSE = 1.0  # seconds
LONGEST_PAUSE = 60.0
GROWTH = 2.0


class WorkerFailures:
    """Counts each page's worker failures in a row, and keeps the end of its pause on the monotonic clock."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._paused_until: dict[str, float] = {}

    def add(self, page_id: str) -> tuple[int, float]:
        """Count a failure; return the failures in a row, and the seconds until the next try."""
        count = self._counts[page_id] = self._counts.get(page_id, 0) + 1
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * GROWTH ** min(count - 1, 10))
        self._paused_until[page_id] = time.monotonic() + pause
        return count, pause

    def is_paused(self, page_id: str) -> bool:
        """Return whether no worker may start for the page now."""
        return time.monotonic() < self._paused_until.get(page_id, 0.0)

    def end_pause(self, page_id: str) -> None:
        """End the pause because the page has changed; the count stays, so the next pause is longer."""
        self._paused_until.pop(page_id, None)

    def reset(self, page_id: str) -> int:
        """Forget the failures because a worker ended without one; return how many there were."""
        self._paused_until.pop(page_id, None)
        return self._counts.pop(page_id, 0)
