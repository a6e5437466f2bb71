"""How a sandbox is set up."""

import msgspec

from server.sandbox.fault_order import FaultOrder
from server.sandbox.webhooks import WebhookTarget


class SandboxSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What stays the same for as long as a sandbox runs."""

    host: str = "127.0.0.1"
    port: int = 0  # 0 = any free one
    delay_seconds: float = 0.0  # before every answer, on top of what is ordered
    seed: int = 0  # which recipients a share picks
    keep_arrivals: int = 100_000  # the last ones, about 400 bytes each; counts are kept for every recipient
    faults: tuple[FaultOrder, ...] = ()  # stand from the start, and again after a reset
    webhook: WebhookTarget | None = None  # who is told of what was taken
