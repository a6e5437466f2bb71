"""What the retry timer did, and when it runs."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum

import msgspec


class TimerStatus(StrEnum):
    """What one run did with one message."""

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


class RetrySchedule(msgspec.Struct, frozen=True, kw_only=True):
    """When the timer runs; no last run before the first."""

    interval: timedelta
    next_run_time: datetime
    last_run_time: datetime | None
    last_results: Sequence[TimerResult]
