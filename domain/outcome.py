"""What became of one attempt, as a value."""

import msgspec

from domain.fault import Fault


class Sent(msgspec.Struct, frozen=True, tag="sent"):
    """The platform accepted the message under this id (empty where it accepted without naming one)."""

    provider_message_id: str = ""


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """The platform is known not to have accepted the message."""

    fault: Fault


class Unconfirmed(msgspec.Struct, frozen=True, tag="unconfirmed"):
    """The message may have been accepted; no answer says so."""

    fault: Fault


Outcome = Sent | Failed | Unconfirmed
