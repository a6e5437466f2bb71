"""What reaches the sandbox, before and after it was decided on."""

import msgspec


class Incoming(msgspec.Struct, frozen=True, gc=False):
    """One message, or a token check, about to be decided on."""

    recipient: str | None  # None for a token check
    page: str
    token: str  # its fingerprint
    in_batch: bool = False


class Arrival(msgspec.Struct, frozen=True, gc=False):
    """One message that was received, as it stands in the record."""

    number: int  # from 1, in the order of arrival
    time: float  # seconds since 1970
    recipient: str  # empty where the request names none
    page: str
    token: str  # its fingerprint
    metadata: str  # the message's own: Redrive puts the delivery's id there
    outcome: str  # what was answered: "accepted", "error:100-2018001", "timeout", ...
    accepted: bool  # the message counts as delivered, whatever was answered
    message_id: str  # empty unless accepted
