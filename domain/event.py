"""The base class of all events, and an event with its place in the event store."""

from datetime import datetime
from typing import Any, NamedTuple

import msgspec


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened, at `time` (UTC)."""

    time: datetime


class RequestStamp(msgspec.Struct, frozen=True, kw_only=True):
    """The request that caused an event, so that a repeat of the request gets the first answer."""

    owner: str
    method: str
    request_id: str
    payload_hash: str
    answer: dict[str, Any] = {}


class RecordedEvent(NamedTuple):
    """An event with its `position` in the whole log and its `version` in its stream."""

    position: int
    stream: str
    version: int
    event: Event
