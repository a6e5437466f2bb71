"""What the edge asks of the running service, beside its commands and its log."""

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Protocol

from server.background.timer_report import RetrySchedule, TimerResult, TimerRun
from server.progress.progress import Progress


class ProgressHub(Protocol):
    """Lets messages be watched."""

    def watch(self, owner: str, message_id: str) -> AsyncIterator[Progress]:
        """A snapshot at once, then changes; ends when the message is done. Raises MessageNotFound, Unavailable."""
        ...


class RetryTimer(Protocol):
    """The timer that retries CRON messages."""

    async def run_now(self) -> Sequence[TimerResult]:
        """Takes every eligible message now; raises Unavailable."""
        ...

    async def schedule(self) -> RetrySchedule:
        """When it runs, and what its last run did; raises Unavailable."""
        ...

    async def last_runs(self) -> Sequence[TimerRun]:
        """Its last runs, newest first; raises Unavailable."""
        ...


class StuckBatches(Protocol):
    """Frees batches whose worker gave no sign of life."""

    async def process(self, owner: str, message_id: str) -> tuple[int, int]:
        """How many batches were freed, and how many are open now; raises MessageNotFound, Unavailable."""
        ...


class CallObserver(Protocol):
    """Wants to know of every call."""

    def begin(self, method: str, metadata: Sequence[tuple[str, str | bytes]]) -> Callable[[str], None]:
        """A call came; what this gives is told the name of its status code at its end, in the same task."""
        ...
