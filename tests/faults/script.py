"""What befalls a round, and when: drawn from its seed, so that a round can be run again."""

from random import Random
from typing import Any, NamedTuple

FAULT_SECONDS = 8.0  # then everything is mended
LEASE_SECONDS = 2.0  # of every server in the harness

# Faults of the platform: what it does, to how many people, and whether the message arrives all the same.
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


class Step(NamedTuple):
    """One fault: when, what, to which server (by its place), for how long, and what else belongs to it."""

    at: float
    kind: str
    server: int
    seconds: float
    order: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.at:5.2f} s  {self.kind:16} {self._detail()}"

    def _detail(self) -> str:
        if self.kind == "platform":
            return f"{self.order}"
        where = f"server {self.server}, " if self.kind in SERVER_KINDS else ""
        return f"{where}{self.seconds:.1f} s"


SERVER_KINDS = ("kill", "drain", "freeze", "nap", "timers")
# Each kind with its weight, and how many seconds it lasts at least and at most.
KINDS: dict[str, tuple[int, float, float]] = {
    "kill": (4, 0.0, 2.0),
    "drain": (1, 0.0, 1.0),
    "freeze": (3, LEASE_SECONDS + 0.5, LEASE_SECONDS + 2.5),  # beyond the lease: others take over meanwhile
    "nap": (2, 0.3, LEASE_SECONDS),  # near the lease's end
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
    """Eight to twelve faults at random moments, at least two of them the platform's."""
    kinds = chance.choices(list(KINDS), [weight for weight, _, _ in KINDS.values()], k=chance.randint(6, 10))
    steps = [_step(chance, kind, servers) for kind in [*kinds, "platform", "platform"]]
    return sorted(steps, key=lambda step: step.at)


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
