"""A page's pace: a token bucket that finds out by itself how much the platform takes.

The platform tells nobody its limit, and minds a sudden change of volume (613 - 1996). So a page begins at ten a second,
after a rest too, and goes no faster than 1.4 times what was taken in the last second, up to its own limit. Less care
will do in two cases: a limit above all that the platform allows is taken at its word; and until its first refusal a
page whose every message is answered before the next is due goes at its limit, as hardly anything is at stake.
A refusal takes the pace down to four fifths of what was taken in the last second. From there it climbs, fast at first,
to the middle between what was taken and what was refused, lingers there, and goes on beyond it ever faster: the curve
of CUBIC (RFC 9438). Refused again before anything was taken, the page stops, each time for twice as long.

Times are seconds of any one clock that never goes back.
"""

import math

SLOWEST_PACE = 0.001  # messages per second that a page or a round may be limited to: one in 17 minutes
BURST_SECONDS = 0.1  # what may leave at once, after a rest or to make up for a moment lost
CHUNK_SECONDS = 0.25  # what is dispatched together leaves within this time
PLATFORM_LIMIT = 300.0  # messages per second that the platform allows a page (docs: Send API, rate limits)
FIRST_RATE = 10.0  # messages per second that every page may send
GROWTH = 1.4  # times what was taken in the last second
BACK_OFF = 0.8  # of what was taken in the last second
CLIMB_SECONDS = 35.0  # of sending, from a refusal to the middle: a page at 10/s is refused once in a minute
SLOWEST = 0.025  # of the limit, but one a second: a page that is refused goes on
ONE_EVENT = 1.0  # seconds in which refusals count as one: they left before the first was known
LONGEST_PAUSE = 60.0  # seconds
ANSWER_SECONDS = 0.01  # between two looks whether the answer has come that lets the next message leave
HIGH_USAGE = 0.95  # of the platform's own quota


class Pace:
    """How fast a page may send; the limit is in messages per second.

    A limit below SLOWEST_PACE, which releases before accepted, counts as that: at 1e-300 the sums overflow.
    """

    def __init__(self, limit: float) -> None:
        self._limit = max(limit, SLOWEST_PACE)
        self._next_free = 0.0
        self._next_at_limit = 0.0  # when it would be free without care
        self._closed_until = 0.0
        self._unanswered = 0
        self._is_eager = True  # it was never refused
        self._hurried_time = -math.inf  # when an answer let the next message leave earlier
        self._taken = 0.0  # fading count: each message that was taken fades within about a second
        self._taken_time = 0.0
        self._middle = math.inf  # where the climb after the last refusal lingers
        self._depth = 0.0  # how far below the middle it began, as a share of it
        self._climbed = 0.0  # seconds of sending since then
        self._slowed_time = -math.inf
        self._pause = 0.0
        self._is_stuck = False  # nothing was taken since the last refusal

    def set_limit(self, now: float, limit: float) -> None:
        """Another limit from now on; what was spent before is paid back at the new one.

        Whoever raises it says that the platform takes more: what a refusal told under the lower one holds no longer.
        """
        limit = max(limit, SLOWEST_PACE)
        if limit > self._limit:
            self._middle, self._depth = math.inf, 0.0
        self._next_free = now + (self._next_free - now) * self._limit / limit
        self._next_at_limit = now + (self._next_at_limit - now) * self._limit / limit
        self._limit = limit

    def rate(self, now: float) -> float:
        """Messages per second at this moment."""
        ahead = 1.0 - self._climbed / CLIMB_SECONDS
        climb = self._middle * (1.0 - self._depth * ahead**3)
        rate = min(self._limit, max(1.0, self._limit * SLOWEST, climb))
        if self._limit > PLATFORM_LIMIT:
            return rate
        return min(rate, max(FIRST_RATE, GROWTH * self._taken_lately(now)))

    def _taken_lately(self, now: float) -> float:
        """Messages that the platform took in the last second or so."""
        return self._taken * math.exp(self._taken_time - now)

    def chunk(self, now: float, most: int) -> int:
        """How many leave within a quarter of a second, at least one."""
        return max(1, min(most, int(self.rate(now) * CHUNK_SECONDS)))

    def closed_for(self, now: float) -> float:
        """Seconds until the pause under way is over."""
        return max(0.0, self._closed_until - now)

    def delay(self, now: float) -> float:
        """Seconds until the next message may leave."""
        wait = self._next_free - now
        if self._is_eager and self._next_at_limit < self._next_free:
            wait = min(wait, ANSWER_SECONDS)
        return max(0.0, wait, self._closed_until - now)

    def spend(self, now: float, messages: int = 1) -> None:
        """So many messages leave now; a pause leaves nothing over to be made up for."""
        rate = self.rate(now)
        earliest = max(self._closed_until, now - BURST_SECONDS)
        self._next_free = max(self._next_free, earliest) + messages / rate
        self._next_at_limit = max(self._next_at_limit, earliest) + messages / self._limit
        self._unanswered += messages
        self._climbed += messages / rate

    def take(self, now: float) -> None:
        """The platform answered one message without refusing it for its pace."""
        self._taken = self._taken_lately(now) + 1.0
        self._taken_time = now
        self._is_stuck = False
        self._unanswered -= 1
        if self._is_eager and not self._unanswered and self._next_at_limit < self._next_free:
            self._next_free = self._next_at_limit
            self._hurried_time = now

    def slow_down(self, now: float) -> None:
        """The platform refused, or says that its quota is nearly used up."""
        if now < max(self._slowed_time + ONE_EVENT, self._closed_until):
            return
        self._slowed_time = now
        was_eager, self._is_eager = self._is_eager, False
        if was_eager and now < self._hurried_time + ONE_EVENT:
            self.close(now, ONE_EVENT)  # that was too fast, which says nothing about the pace with care
        elif self._is_stuck:
            self._pause = min(LONGEST_PAUSE, max(1.0, 2 * self._pause))
            self.close(now, self._pause)
        else:
            self._is_stuck, self._pause = True, 0.0
            self._fall_back(self.rate(now), self._taken_lately(now))

    def _fall_back(self, rate: float, taken: float) -> None:
        """What a page that has hardly begun could have sent counts as half taken."""
        taken = min(rate, max(taken, min(rate, FIRST_RATE) / 2))
        self._middle = (rate + taken) / 2
        self._depth = 1.0 - BACK_OFF * taken / self._middle
        self._climbed = 0.0

    def close(self, now: float, seconds: float) -> None:
        """The platform asked for a pause."""
        self._closed_until = max(self._closed_until, now + seconds)

    def reopen(self, now: float) -> None:
        """End the pause under way; the next refusal pauses as briefly as the first one did."""
        self._closed_until = min(self._closed_until, now)
        self._pause = 0.0
