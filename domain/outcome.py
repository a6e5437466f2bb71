"""The outcome of one attempt: sent, failed or unconfirmed."""

import msgspec

from domain.fault import Fault


class Sent(msgspec.Struct, frozen=True, tag="sent"):
    """The platform accepted the message and gave it this id (empty if the answer has none)."""

    provider_message_id: str = ""


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """The platform did not accept the message."""

    fault: Fault


class Unconfirmed(msgspec.Struct, frozen=True, tag="unconfirmed"):
    """The platform may have accepted the message; no answer proves it."""

    fault: Fault


Outcome = Sent | Failed | Unconfirmed
