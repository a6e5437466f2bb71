"""Faults of a round and their times, drawn from the round's seed, so that a round can be repeated."""

from collections.abc import Iterator
from random import Random
from typing import Any, NamedTuple

FAULT_SECONDS = 8.0  # afterwards all faults are undone
LEASE_SECONDS = 2.0  # lease of every server in the harness
PAGES = ("3001", "3002", "3003")

# Faults of the platform: the effect, the share of recipients, and whether the message arrives nevertheless.
PLATFORM: tuple[dict[str, Any], ...] = (
    {"effect": {"kind": "reset"}, "share": 0.3},
    {"effect": {"kind": "reset"}, "share": 0.3, "accepts": True},
    {"effect": {"kind": "timeout"}, "share": 0.2},
    {"effect": {"kind": "timeout"}, "share": 0.2, "accepts": True},
    {"effect": {"kind": "status", "http_status": 502}, "share": 0.3},
    {"effect": {"kind": "garbage"}, "share": 0.3, "accepts": True},
    {"effect": {"kind": "error", "code": 2}, "share": 0.4},
    {"effect": {"kind": "rate_limit", "seconds": 1.0}},
    {"effect": {"kind": "delay", "seconds": 1.0}, "share": 0.5},
    {"preset": "sent_anyway", "share": 0.2},
    {"preset": "unknown_recipient", "share": 0.05},
)

# Faults of all messages of a page, and of all recipients of one message. No other fault in a round gives the same error
# code, so the record of arrivals identifies the fault.
# the same code, so that the record of arrivals says which one refused an attempt.
PAGE_FAULTS = (
    "user_token",
    "page_missing",
    "unauthorized_address",
    "unknown_app",
    "deprecated_version",
    "unlisted_error",
    "permission",
)
CONTENT_FAULTS = ("file_not_fetched", "bad_content")
LEADS = (0.0, 0.5)
REMEDIES = ("another token", "release")


class Step(NamedTuple):
    """One fault: time, kind, server index, duration, and details."""

    at: float
    kind: str
    server: int
    seconds: float
    order: dict[str, Any]
    remedy: str = ""  # what the operator does after a page fault
    burst: str = ""  # prefix of the recipients of the message sent before a wide fault: "NAME-0", "NAME-1", ...
    lead: float = 0.0  # seconds from that message to the fault: few or many successes before it

    def __str__(self) -> str:
        return f"{self.at:5.2f} s  {self.kind:16} {self._detail()}"

    def _detail(self) -> str:
        if self.kind == "platform":
            return f"{self.order}"
        if self.kind in (PAGE_FAULT, CONTENT_FAULT):
            return f"{self.order}, {self.seconds:.1f} s, {self.remedy or 'resume'}"
        where = f"server {self.server}, " if self.kind in SERVER_KINDS else ""
        return f"{where}{self.seconds:.1f} s"


PAGE_FAULT, CONTENT_FAULT = "page fault", "content fault"
SERVER_KINDS = ("kill", "drain", "freeze", "nap", "timers")
# Each kind with its weight, and its minimum and maximum duration in seconds.
KINDS: dict[str, tuple[int, float, float]] = {
    "kill": (4, 0.0, 2.0),
    "drain": (1, 0.0, 1.0),
    "freeze": (3, LEASE_SECONDS + 0.5, LEASE_SECONDS + 2.5),  # beyond the lease, so that others take over
    "nap": (2, 0.3, LEASE_SECONDS),  # near the end of the lease
    "freeze_writer": (2, LEASE_SECONDS + 0.5, LEASE_SECONDS + 2.5),  # while it holds the log's lock
    "restart": (2, 0.0, 1.5),
    "crash": (2, 0.0, 1.5),
    "end_sessions": (3, 0.0, 0.0),
    "freeze_database": (2, 1.0, 5.0),
    "read_only": (2, 0.5, 2.0),
    "platform": (6, 0.0, 0.0),
    "timers": (2, 0.0, 0.0),  # RunScheduledRetries and ProcessBatches on two servers at once
}


def draw(chance: Random, servers: int) -> list[Step]:
    """Draw 10 to 15 faults at random times: two or more of the platform, and two or three wide ones."""
    kinds = chance.choices(list(KINDS), [weight for weight, _, _ in KINDS.values()], k=chance.randint(6, 10))
    steps = [_step(chance, kind, servers) for kind in [*kinds, "platform", "platform"]]
    return sorted([*steps, *_wide_faults(chance)], key=lambda step: step.at)


def _wide_faults(chance: Random) -> Iterator[Step]:
    """Yield one content fault, and page faults of one or two other pages."""
    faulty = chance.sample(PAGES, k=chance.randint(1, 2))
    for burst, page in enumerate(faulty, start=1):
        order = {"preset": chance.choice(PAGE_FAULTS), "page": page}
        yield _long_step(chance, PAGE_FAULT, order, f"b{burst}")._replace(remedy=chance.choice(REMEDIES))
    page = chance.choice([page for page in PAGES if page not in faulty])
    order = {"preset": chance.choice(CONTENT_FAULTS), "page": page, "recipients": "b0-*"}
    yield _long_step(chance, CONTENT_FAULT, order, "b0")


def _long_step(chance: Random, kind: str, order: dict[str, Any], burst: str) -> Step:
    """Return a step with a minimum duration; it lasts until it has an effect."""
    at, seconds = round(chance.uniform(0.3, 3.0), 2), round(chance.uniform(1.0, 3.0), 2)
    return Step(at=at, kind=kind, server=0, seconds=seconds, order=order, burst=burst, lead=chance.choice(LEADS))


def _step(chance: Random, kind: str, servers: int) -> Step:
    _, least, most = KINDS[kind]
    order = {**chance.choice(PLATFORM), "for_seconds": round(chance.uniform(0.5, 3.0), 2), "seed": chance.randrange(99)}
    return Step(
        at=round(chance.uniform(0.3, FAULT_SECONDS), 2),
        kind=kind,
        server=chance.randrange(servers),
        seconds=round(chance.uniform(least, most), 2),
        order=order if kind == "platform" else {},
    )
