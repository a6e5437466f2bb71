"""The retry policy in a form, as typed."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from math import isfinite
from typing import Literal

from redrive.v1.message_pb2 import ExponentialBackoff, RetryPolicy, RetryType

UNITS: Mapping[str, str] = {"60": "minutes", "3600": "hours", "86400": "days"}  # seconds and their names
ScheduleKind = Literal["", "interval", "backoff"]
SCHEDULES: Mapping[ScheduleKind, str] = {
    "": "Default",
    "interval": "Fixed wait",
    "backoff": "Growing wait",
}
MAX_WAIT = timedelta(days=30)
_THOUSANDS = re.compile(r"[1-9]\d{0,2}(,\d{3})+")


@dataclass
class WaitInput:
    """A number and its unit."""

    number: str
    unit: str

    def span(self) -> timedelta | None:
        """Return the wait; None if it is not a number, or not within 1 second to 30 days."""
        number = parse_number(self.number)
        if number is None or not 0 < number * int(self.unit) <= MAX_WAIT.total_seconds():
            return None
        return max(timedelta(seconds=1), timedelta(seconds=round(number * int(self.unit))))


class RetryChoice:
    """`max_retries` counts the retries after the first attempt."""

    def __init__(self) -> None:
        self.type = RetryType.RETRY_TYPE_MANUAL
        self.max_retries = "3"
        self.schedule: ScheduleKind = ""
        self.wait = WaitInput("15", "60")
        self.multiplier = "2"
        self.max_wait = WaitInput("24", "3600")

    @property
    def is_automatic(self) -> bool:
        """Whether rounds start automatically, and thus have a schedule."""
        return self.type != RetryType.RETRY_TYPE_MANUAL

    def problems(self) -> Iterator[str]:
        """Yield what is wrong with the input."""
        max_retries = parse_number(self.max_retries)
        if max_retries is None or max_retries != int(max_retries) or not 1 <= max_retries <= 10:
            yield "Maximum retries: enter a whole number from 1 to 10."
        if not self.is_automatic or not self.schedule:
            return
        wait, max_wait = self.wait.span(), self.max_wait.span()
        if wait is None:
            yield "Wait: enter a number, at most 30 days."
        if self.schedule == "interval":
            return
        if max_wait is None or (wait is not None and max_wait < wait):
            yield "Maximum wait: enter one that is not shorter than the first wait, at most 30 days."
        if not 1 <= (parse_number(self.multiplier) or 0) <= 10:
            yield "Multiplier: enter a number from 1 to 10."

    def policy(self) -> RetryPolicy:
        """Return the policy; requires that there are no problems."""
        policy = RetryPolicy(type=self.type, max_retry_attempts=int(parse_number(self.max_retries) or 0))
        wait = self.wait.span()
        if not self.is_automatic or not self.schedule or wait is None:
            return policy
        if self.schedule == "interval":
            policy.interval.FromTimedelta(wait)
        else:
            policy.backoff.CopyFrom(self._backoff(wait))
        return policy

    def _backoff(self, wait: timedelta) -> ExponentialBackoff:
        growth = ExponentialBackoff(multiplier=parse_number(self.multiplier) or 0)
        growth.initial_interval.FromTimedelta(wait)
        growth.maximum_interval.FromTimedelta(self.max_wait.span() or MAX_WAIT)
        return growth


def parse_number(text: str) -> float | None:
    """Return the number; None if it is none, and for 1,000, which may mean 1 or a thousand."""
    if _THOUSANDS.fullmatch(text.strip()):
        return None
    try:
        number = float(text.strip().replace(",", "."))
    except ValueError:
        return None
    return number if isfinite(number) else None
