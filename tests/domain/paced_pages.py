"""Pages that send at their pace, in a time of their own."""

from domain.pace import Pace

START = 1_000.0  # seconds on the pace's clock
TRUSTED = 1_000.0  # messages per second: a limit that is taken at its word


def sent_within(pace: Pace, seconds: float, messages: int = 1) -> int:
    """How many messages somebody sends who waits as he is told."""
    now, sent = START, 0
    while True:
        now += pace.delay(now)
        if now >= START + seconds:
            return sent
        pace.spend(now, messages)
        sent += messages


def at_once(pace: Pace, now: float) -> int:
    """How many messages may leave at this moment."""
    sent = 0
    while pace.delay(now) == 0.0:
        pace.spend(now)
        sent += 1
    return sent


def busy_pace(limit: float = 40.0, share: float = 1.0) -> Pace:
    """A page at its limit, of whose messages the platform has been taking this share; the time is START."""
    pace = Pace(limit)
    for number in range(20 * int(limit)):
        if (number * share) % 1.0 < share:
            pace.take(START - 20 + number / limit)
    return pace


def sends_for(pace: Pace, seconds: float, start: float = START) -> None:
    """A page sends at its pace, and all is taken."""
    now = start
    while now < start + seconds:
        pace.spend(now)
        pace.take(now)
        now += pace.delay(now)
