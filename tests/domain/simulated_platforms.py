"""Simulated platforms with rate limits, and a simulated sender that follows its rate limit, in virtual time."""

from collections import Counter, deque
from collections.abc import Callable, Mapping
from typing import Protocol

from domain.adaptive_rate import AdaptiveRate

START = 1_000.0  # seconds on the simulated clock


class Limiter(Protocol):
    """A platform's rate limiter for one page."""

    limit: float

    def takes(self, now: float) -> bool:
        """Return whether the platform accepts a message that arrives now."""
        ...


class SlidingWindow:
    """Accepts at most its limit within any second."""

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self._taken: deque[float] = deque()

    def takes(self, now: float) -> bool:
        while self._taken and self._taken[0] <= now - 1.0:
            self._taken.popleft()
        if len(self._taken) >= self.limit:
            return False
        self._taken.append(now)
        return True


class FixedWindow:
    """Accepts at most its limit from one full second to the next."""

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self._second, self._taken = 0, 0

    def takes(self, now: float) -> bool:
        if int(now) != self._second:
            self._second, self._taken = int(now), 0
        if self._taken >= self.limit:
            return False
        self._taken += 1
        return True


class Bucket:
    """Accepts its limit on average, and the messages of `burst_seconds` at once."""

    def __init__(self, limit: float, burst_seconds: float) -> None:
        self.limit = limit
        self._burst_seconds = burst_seconds
        self._left, self._time = self._most, 0.0

    @property
    def _most(self) -> float:
        return max(1.0, self.limit * self._burst_seconds)

    def takes(self, now: float) -> bool:
        self._left = min(self._most, self._left + (now - self._time) * self.limit)
        self._time = now
        if self._left < 1.0 - 1e-9:
            return False
        self._left -= 1.0
        return True


class Blocking:
    """Accepts nothing for some seconds after its limit is exceeded; each request in that time restarts the wait."""

    def __init__(self, limit: float, seconds: float) -> None:
        self.limit = limit
        self._seconds = seconds
        self._bucket = Bucket(limit, burst_seconds=0.5)
        self._until = 0.0

    def takes(self, now: float) -> bool:
        if now >= self._until and self._bucket.takes(now):
            return True
        self._until = now + self._seconds
        return False


LIMITERS: Mapping[str, Callable[[float], Limiter]] = {
    "sliding window": SlidingWindow,
    "fixed window": FixedWindow,
    "bucket of a tenth of a second": lambda limit: Bucket(limit, 0.1),
    "bucket of half a second": lambda limit: Bucket(limit, 0.5),
    "bucket of a second": lambda limit: Bucket(limit, 1.0),
}


class Sender:
    """Sends as soon as the rate limit allows, and reports each answer to it after the latency."""

    def __init__(self, pace: AdaptiveRate, platform: Limiter, latency: float) -> None:
        self._pace = pace
        self._platform = platform
        self._latency = latency
        self._now = START
        self._answers: deque[tuple[float, bool]] = deque()
        self._taken: Counter[int] = Counter()
        self._refused: Counter[int] = Counter()

    def send_until(self, second: float) -> None:
        """Send until this number of seconds after START."""
        end = START + second
        while True:
            free = self._now + self._pace.delay(self._now)
            if self._answers and self._answers[0][0] <= free:
                self._receive(*self._answers.popleft())
            elif free < end:
                self._now = free
                if not self._pace.delay(free):
                    self._send()
            else:
                self._now = end
                return

    def rest_until(self, second: float) -> None:
        """Receive the remaining answers, and send nothing until this number of seconds after START."""
        while self._answers:
            self._receive(*self._answers.popleft())
        self._now = START + second

    def _receive(self, time: float, accepted: bool) -> None:
        self._now = max(self._now, time)
        if accepted:
            self._pace.record_accepted(self._now)
        else:
            self._pace.record_refusal(self._now)

    def _send(self) -> None:
        self._pace.record_sent(self._now)
        accepted = self._platform.takes(self._now + self._latency / 2)
        (self._taken if accepted else self._refused)[int(self._now - START)] += 1
        self._answers.append((self._now + self._latency, accepted))

    def taken(self, first: int, last: int) -> int:
        """Return the number of accepted messages that were sent from the second `first` until the second `last`."""
        return sum(self._taken[second] for second in range(first, last))

    def refused(self, first: int, last: int) -> int:
        """Return the number of refused messages in the same time."""
        return sum(self._refused[second] for second in range(first, last))

    def reached(self, first: int, last: int) -> float:
        """Return the accepted messages as a share of the platform's limit."""
        return self.taken(first, last) / (self._platform.limit * (last - first))

    def refused_share(self, first: int, last: int) -> float:
        """Return the refused messages as a share of the sent ones."""
        refused = self.refused(first, last)
        return refused / (refused + self.taken(first, last))
