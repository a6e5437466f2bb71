"""What every event of the log has in common."""

from datetime import datetime
from typing import Any

import msgspec


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened, at `time` (UTC)."""

    time: datetime


class RequestStamp(msgspec.Struct, frozen=True, kw_only=True):
    """Which request made an event, so that a repeat of it is recognised and gets the first answer."""

    owner: str
    method: str
    request_id: str
    payload_hash: str
    answer: dict[str, Any] = {}
