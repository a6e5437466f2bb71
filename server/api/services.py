"""The record of services that the servicers call; `server/bootstrap.py` builds it."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from server.background.timer_report import RetrySchedule, TimerResult, TimerRun
from server.commands.cleanup import CleanupService
from server.commands.erasure import ErasureService
from server.commands.lifecycle import CancelService, PauseService
from server.commands.pages import PageHoldService, PageShareService, PutPageService
from server.commands.receipts import ReceiptService
from server.commands.resend import ResendService
from server.commands.send import SendService
from server.commands.send_stream import StreamSendService
from server.crypto.labels import Labels
from server.eventstore.commit import EventLog
from server.progress.progress import Progress
from server.queries.history import History
from server.queries.recipient_names import RecipientNames


class ProgressSource(Protocol):
    """Streams the progress of messages."""

    def watch(self, owner: str, message_id: str) -> AsyncIterator[Progress]:
        """Yield a snapshot, then changes, until the message is done; raises MessageNotFound, Unavailable."""
        ...


class ScheduledRetries(Protocol):
    """The retry timer, as far as rpcs use it."""

    async def run_now(self) -> Sequence[TimerResult]:
        """Start a retry round of every eligible message now; raises Unavailable."""
        ...

    async def schedule(self) -> RetrySchedule:
        """Return the times of the last and the next run, and the results of the last one; raises Unavailable."""
        ...

    async def last_runs(self) -> Sequence[TimerRun]:
        """Return the last runs, newest first; raises Unavailable."""
        ...


class BatchReleaser(Protocol):
    """Releases stuck batches: those of workers that have stopped."""

    async def process(self, owner: str, message_id: str) -> tuple[int, int]:
        """Return the numbers of released batches and of open ones; raises MessageNotFound, Unavailable."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Everything that the servicers need, built once per process."""

    log: EventLog
    sends: SendService
    streams: StreamSendService
    resends: ResendService
    cancels: CancelService
    pauses: PauseService
    pages: PutPageService
    holds: PageHoldService
    shares: PageShareService
    receipts: ReceiptService
    cleanups: CleanupService
    erasures: ErasureService
    names: RecipientNames
    labels: Labels
    progress: ProgressSource
    timer: ScheduledRetries
    stuck_batches: BatchReleaser
    history: History
