"""An event as the log recorded it."""

from typing import NamedTuple

from domain.event import Event


class Recorded(NamedTuple):
    """An event with its place: `position` in the whole log, `version` in its stream."""

    position: int
    stream: str
    version: int
    event: Event
