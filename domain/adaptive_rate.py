"""An adaptive rate limit for a page: a token bucket whose rate follows what the platform accepts.

The platform does not publish its limit, and refuses sudden increases of volume (613 - 1996). Therefore:

- A page starts at 10 messages per second, also after it was idle. Its rate is at most 1.4 times the messages accepted
  in the last second, up to the page's own limit. There are two exceptions. A page with a limit above the platform's
  maximum always uses that limit as the bound. A page without a refusal so far, whose messages are each answered before
  the next one is due, sends at its limit, because at most one message is in flight.
- A refusal lowers the rate to 0.8 of the messages accepted in the last second. The rate then follows the curve of CUBIC
  (RFC 9438): it rises fast, flattens halfway between the accepted and the refused rate, and then rises ever faster.
- A second refusal before any message was accepted pauses the page. Each further one doubles the pause.

All times are in seconds of one monotonic clock.
"""

import math

MIN_LIMIT = 0.001  # messages per second: the lowest limit of a page or a round, one message in 17 minutes
BURST_SECONDS = 0.1  # messages of this time may be sent at once, after idle time or a delay
CHUNK_SECONDS = 0.25  # messages that are dispatched together are sent within this time
PLATFORM_LIMIT = 300.0  # messages per second that the platform allows a page (docs: Send API, rate limits)
FIRST_RATE = 10.0  # messages per second that every page may send
MAX_GROWTH = 1.4  # factor on the messages accepted in the last second
BACKOFF_FACTOR = 0.8  # factor on the messages accepted in the last second
CLIMB_SECONDS = 35.0  # of sending, from a refusal to the plateau: a page at 10/s gets about one refusal per minute
MIN_RATE_SHARE = 0.025  # share of the limit that is the lowest rate after refusals; at least one message per second
REFUSAL_WINDOW_SECONDS = (
    1.0  # seconds in which refusals count as one: their messages were sent before the first refusal arrived
)
MAX_PAUSE_SECONDS = 60.0  # seconds
ANSWER_SECONDS = 0.01  # interval of checks for the answer that allows the next message
HIGH_USAGE = 0.95  # share of the platform's quota, as its usage headers report it


class AdaptiveRate:
    """The rate at which a page may send; the limit is in messages per second.

    A limit below SLOWEST_PACE, which earlier releases accepted, is raised to it: at 1e-300 the sums overflow.
    """

    def __init__(self, limit: float) -> None:
        self._limit = max(limit, MIN_LIMIT)
        self._next_free = 0.0
        self._next_at_limit = 0.0  # the same, if the rate were the limit
        self._paused_until = 0.0
        self._unanswered = 0
        self._never_refused = True
        self._advanced_time = -math.inf  # when an answer last allowed the next message early
        self._accepted = 0.0  # decaying count: a message's weight falls to 1/e in a second
        self._accepted_time = 0.0
        self._plateau = math.inf  # the rate at which the curve after the last refusal flattens
        self._depth = 0.0  # how far below the plateau the curve started, as a share of the plateau
        self._climbed = 0.0  # seconds of sending since then
        self._refused_time = -math.inf
        self._pause = 0.0
        self._none_accepted = False  # since the last refusal

    def set_limit(self, now: float, limit: float) -> None:
        """Set a new limit; the waits of messages already sent are converted to it.

        A higher limit means that the platform accepts more, so the curve of the last refusal ends.
        """
        limit = max(limit, MIN_LIMIT)
        if limit > self._limit:
            self._plateau, self._depth = math.inf, 0.0
        self._next_free = now + (self._next_free - now) * self._limit / limit
        self._next_at_limit = now + (self._next_at_limit - now) * self._limit / limit
        self._limit = limit

    def rate(self, now: float) -> float:
        """Return the current rate in messages per second."""
        remaining = 1.0 - self._climbed / CLIMB_SECONDS
        climb = self._plateau * (1.0 - self._depth * remaining**3)
        rate = min(self._limit, max(1.0, self._limit * MIN_RATE_SHARE, climb))
        if self._limit > PLATFORM_LIMIT:
            return rate
        return min(rate, max(FIRST_RATE, MAX_GROWTH * self._recently_accepted(now)))

    def _recently_accepted(self, now: float) -> float:
        """Return the number of messages that the platform accepted in about the last second."""
        return self._accepted * math.exp(self._accepted_time - now)

    def chunk_size(self, now: float, most: int) -> int:
        """Return how many messages to dispatch together: those of CHUNK_SECONDS, at least one and at most `most`."""
        return max(1, min(most, int(self.rate(now) * CHUNK_SECONDS)))

    def paused_for(self, now: float) -> float:
        """Return the seconds until the current pause ends; 0 without a pause."""
        return max(0.0, self._paused_until - now)

    def delay(self, now: float) -> float:
        """Return the seconds until the next message may be sent."""
        wait = self._next_free - now
        if self._never_refused and self._next_at_limit < self._next_free:
            wait = min(wait, ANSWER_SECONDS)
        return max(0.0, wait, self._paused_until - now)

    def record_sent(self, now: float, messages: int = 1) -> None:
        """Record that messages are sent now; time in a pause does not count as idle time for a burst."""
        rate = self.rate(now)
        earliest = max(self._paused_until, now - BURST_SECONDS)
        self._next_free = max(self._next_free, earliest) + messages / rate
        self._next_at_limit = max(self._next_at_limit, earliest) + messages / self._limit
        self._unanswered += messages
        self._climbed += messages / rate

    def record_accepted(self, now: float) -> None:
        """Record that the platform answered one message without a rate limit error."""
        self._accepted = self._recently_accepted(now) + 1.0
        self._accepted_time = now
        self._none_accepted = False
        self._unanswered -= 1
        if self._never_refused and not self._unanswered and self._next_at_limit < self._next_free:
            self._next_free = self._next_at_limit
            self._advanced_time = now

    def record_refusal(self, now: float) -> None:
        """Record a rate limit error, or usage headers that report a nearly exhausted quota."""
        if now < max(self._refused_time + REFUSAL_WINDOW_SECONDS, self._paused_until):
            return
        self._refused_time = now
        was_first, self._never_refused = self._never_refused, False
        if was_first and now < self._advanced_time + REFUSAL_WINDOW_SECONDS:
            self.pause(
                now, REFUSAL_WINDOW_SECONDS
            )  # sending right after each answer was too fast; the limited rate may be fine
        elif self._none_accepted:
            self._pause = min(MAX_PAUSE_SECONDS, max(1.0, 2 * self._pause))
            self.pause(now, self._pause)
        else:
            self._none_accepted, self._pause = True, 0.0
            self._lower_rate(self.rate(now), self._recently_accepted(now))

    def _lower_rate(self, rate: float, accepted: float) -> None:
        """Start the curve below the refused rate; at least half of FIRST_RATE counts as accepted, for new pages."""
        accepted = min(rate, max(accepted, min(rate, FIRST_RATE) / 2))
        self._plateau = (rate + accepted) / 2
        self._depth = 1.0 - BACKOFF_FACTOR * accepted / self._plateau
        self._climbed = 0.0

    def pause(self, now: float, seconds: float) -> None:
        """Pause for this time; an earlier, longer pause stays."""
        self._paused_until = max(self._paused_until, now + seconds)

    def end_pause(self, now: float) -> None:
        """End the current pause; the next pause is as short as the first one."""
        self._paused_until = min(self._paused_until, now)
        self._pause = 0.0
