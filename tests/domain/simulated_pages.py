"""Simulated pages that send at their rate limit, in virtual time."""

from domain.adaptive_rate import AdaptiveRate

START = 1_000.0  # seconds on the simulated clock
TRUSTED = 1_000.0  # messages per second: above the platform's limit, so the rate starts at it


def sent_within(pace: AdaptiveRate, seconds: float, messages: int = 1) -> int:
    """Return how many messages a sender that waits for each delay sends in this time."""
    now, sent = START, 0
    while True:
        now += pace.delay(now)
        if now >= START + seconds:
            return sent
        pace.record_sent(now, messages)
        sent += messages


def at_once(pace: AdaptiveRate, now: float) -> int:
    """Return how many messages may be sent at this moment."""
    sent = 0
    while pace.delay(now) == 0.0:
        pace.record_sent(now)
        sent += 1
    return sent


def busy_pace(limit: float = 40.0, share: float = 1.0) -> AdaptiveRate:
    """Return a rate limit after 20 seconds of sending with this share of messages accepted; the time is START."""
    pace = AdaptiveRate(limit)
    for number in range(20 * int(limit)):
        if (number * share) % 1.0 < share:
            pace.record_accepted(START - 20 + number / limit)
    return pace


def sends_for(pace: AdaptiveRate, seconds: float, start: float = START) -> None:
    """Send at the rate limit for this time, with every message accepted."""
    now = start
    while now < start + seconds:
        pace.record_sent(now)
        pace.record_accepted(now)
        now += pace.delay(now)
