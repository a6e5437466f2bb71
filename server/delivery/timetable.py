"""When the retry timer runs: every so many seconds, by a cron expression (UTC), or never by itself."""

from datetime import UTC, datetime, timedelta
from typing import Protocol

from croniter import CroniterError, croniter

LONGEST_INTERVAL = timedelta(days=366)
OFF = "off"


class Timetable(Protocol):
    """Tells the next run."""

    def after(self, last: datetime) -> datetime | None:
        """The run that follows one at this time; None when none does."""
        ...


class Every:
    """A fixed interval."""

    def __init__(self, interval: timedelta) -> None:
        self._interval = interval

    def after(self, last: datetime) -> datetime:
        """The run that follows one at this time."""
        return last + self._interval


class Cron:
    """A cron expression, read in UTC."""

    def __init__(self, expression: str) -> None:
        self._expression = expression

    def after(self, last: datetime) -> datetime:
        """The run that follows one at this time."""
        following: datetime = croniter(self._expression, last).get_next(datetime)
        return following


class Never:
    """Somebody else's scheduler calls RunScheduledRetries."""

    def after(self, last: datetime) -> None:
        """No run follows."""


def parse_timetable(text: str) -> Timetable:
    """Seconds (more than 0), a cron expression or `off`; raises ValueError for anything else."""
    if text == OFF:
        return Never()
    try:
        seconds = float(text)
    except ValueError:
        return _parse_cron(text)
    if not 0 < seconds <= LONGEST_INTERVAL.total_seconds():
        raise ValueError("must be more than 0 seconds, and at most a year")
    return Every(timedelta(seconds=seconds))


def _parse_cron(text: str) -> Cron:
    """A cron expression that falls due some time; raises ValueError."""
    try:
        cron = Cron(text)
        cron.after(datetime(2026, 1, 1, tzinfo=UTC))
    except (CroniterError, ValueError) as error:
        raise ValueError(f"{text!r} is neither seconds nor a cron expression that ever falls due, nor off") from error
    return cron
