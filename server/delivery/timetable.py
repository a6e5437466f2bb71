"""When the retry timer runs: every so many seconds, or by a cron expression (UTC)."""

from datetime import datetime, timedelta
from typing import Protocol

from croniter import croniter


class Timetable(Protocol):
    """Tells the next run."""

    def after(self, last: datetime) -> datetime:
        """The run that follows one at this time."""
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


def parse_timetable(text: str) -> Timetable:
    """Seconds (more than 0) or a cron expression; raises ValueError for anything else."""
    try:
        seconds = float(text)
    except ValueError:
        if not croniter.is_valid(text):
            raise ValueError(f"{text!r} is neither seconds nor a cron expression") from None
        return Cron(text)
    if not 0 < seconds < float("inf"):
        raise ValueError("the retry interval is more than 0 seconds")
    return Every(timedelta(seconds=seconds))
