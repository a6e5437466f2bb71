"""Settings of the sandbox."""

import msgspec

from server.sandbox.fault_order import FaultOrder
from server.sandbox.webhooks import WebhookTarget


class SandboxSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of one run."""

    host: str = "127.0.0.1"
    port: int = 0  # 0 = any free one
    delay_seconds: float = 0.0  # before every answer, in addition to ordered delays
    seed: int = 0  # selects the recipients of a share
    keep_arrivals: int = 100_000  # the last ones, about 400 bytes each; counts are kept for every recipient
    faults: tuple[FaultOrder, ...] = ()  # active from the start, and after a reset
    webhook: WebhookTarget | None = None  # receives events of accepted messages
