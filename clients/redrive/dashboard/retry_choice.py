"""What happens with failures: the choices of a form, as they are typed."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from math import isfinite
from typing import Literal

from redrive.v1.message_pb2 import ExponentialBackoff, RetryPolicy, RetryType

UNITS: Mapping[str, str] = {"60": "minutes", "3600": "hours", "86400": "days"}  # seconds to their name
Rhythm = Literal["", "interval", "backoff"]
RHYTHMS: Mapping[Rhythm, str] = {
    "": "As the kind says",
    "interval": "After a wait, always the same",
    "backoff": "After a wait that grows",
}
LONGEST_WAIT = timedelta(days=30)
_THOUSANDS = re.compile(r"[1-9]\d{0,2}(,\d{3})+")


@dataclass
class Wait:
    """A number and its unit."""

    number: str
    unit: str

    def span(self) -> timedelta | None:
        """The span; None for what is none, or not within 1 second to 30 days."""
        number = number_of(self.number)
        if number is None or not 0 < number * int(self.unit) <= LONGEST_WAIT.total_seconds():
            return None
        return max(timedelta(seconds=1), timedelta(seconds=round(number * int(self.unit))))


class RetryChoice:
    """`most` are the retries after the first attempt."""

    def __init__(self) -> None:
        self.type = RetryType.RETRY_TYPE_MANUAL
        self.most = "3"
        self.rhythm: Rhythm = ""
        self.wait = Wait("15", "60")
        self.multiplier = "2"
        self.longest = Wait("24", "3600")

    @property
    def is_automatic(self) -> bool:
        """Only automatic rounds have a rhythm."""
        return self.type != RetryType.RETRY_TYPE_MANUAL

    def gaps(self) -> Iterator[str]:
        """What has to be mended, in words."""
        most = number_of(self.most)
        if most is None or most != int(most) or not 1 <= most <= 10:
            yield "Retries: give a whole number from 1 to 10."
        if not self.is_automatic or not self.rhythm:
            return
        wait, longest = self.wait.span(), self.longest.span()
        if wait is None:
            yield "The wait before a round: give a number, at most 30 days."
        if self.rhythm == "interval":
            return
        if longest is None or (wait is not None and longest < wait):
            yield "The longest wait: give one that is not shorter than the first, at most 30 days."
        if not 1 <= (number_of(self.multiplier) or 0) <= 10:
            yield "How much longer each wait is: give a number from 1 to 10."

    def policy(self) -> RetryPolicy:
        """The policy; only where there are no gaps."""
        policy = RetryPolicy(type=self.type, max_retry_attempts=int(number_of(self.most) or 0))
        wait = self.wait.span()
        if not self.is_automatic or not self.rhythm or wait is None:
            return policy
        if self.rhythm == "interval":
            policy.interval.FromTimedelta(wait)
        else:
            policy.backoff.CopyFrom(self._growth(wait))
        return policy

    def _growth(self, wait: timedelta) -> ExponentialBackoff:
        growth = ExponentialBackoff(multiplier=number_of(self.multiplier) or 0)
        growth.initial_interval.FromTimedelta(wait)
        growth.maximum_interval.FromTimedelta(self.longest.span() or LONGEST_WAIT)
        return growth


def number_of(text: str) -> float | None:
    """The number that was typed; None for what is none, and for 1,000: that may be meant as 1 or as a thousand."""
    if _THOUSANDS.fullmatch(text.strip()):
        return None
    try:
        number = float(text.strip().replace(",", "."))
    except ValueError:
        return None
    return number if isfinite(number) else None
