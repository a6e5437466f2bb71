"""What the retry timer reports: the results of its runs, and its schedule."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum

import msgspec


class TimerStatus(StrEnum):
    """The result of one run for one message."""

    STARTED = "STARTED"
    NOTHING_TO_DO = "NOTHING_TO_DO"
    RETRY_AFTER = "RETRY_AFTER"


class TimerResult(msgspec.Struct, frozen=True, kw_only=True):
    """One message in one run of the timer."""

    message_id: str
    title: str
    status: TimerStatus
    recipients: int = 0
    batches: int = 0
    retry_attempt: int = 0


class TimerRun(msgspec.Struct, frozen=True, kw_only=True):
    """One run: how many messages were eligible, how many started a round, and the first results."""

    time: datetime
    eligible: int
    started: int
    recipients: int
    results: Sequence[TimerResult]


class RetrySchedule(msgspec.Struct, frozen=True, kw_only=True):
    """When the timer runs; `last_run_time` is None before the first run, `next_run_time` if the timer is off."""

    interval: timedelta | None
    next_run_time: datetime | None
    last_run_time: datetime | None
    last_results: Sequence[TimerResult]

    def run_from(self, earliest: datetime) -> datetime | None:
        """Return the time of the first run at or after `earliest`; None if the timer is off."""
        if self.next_run_time is None or self.interval is None:
            return None
        missed = max(timedelta(0), earliest - self.next_run_time)
        return self.next_run_time + -(-missed // self.interval) * self.interval
