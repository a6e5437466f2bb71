"""Mapping of a message's events to ListEvents."""

from collections.abc import Sequence

from domain.batch_events import BatchEvent
from domain.event import RecordedEvent
from redrive.v1.delivery_service_pb2 import ListEventsResponse, LogEvent
from server.api.mapping.times import timestamp
from server.crypto.labels import Labels
from server.queries.event_texts import details, summary


def list_events_response(recorded: Sequence[RecordedEvent], next_page_token: str, labels: Labels) -> ListEventsResponse:
    """Return one page of events."""
    return ListEventsResponse(events=(_event(one, labels) for one in recorded), next_page_token=next_page_token)


def _event(recorded: RecordedEvent, labels: Labels) -> LogEvent:
    event = labels.open_event(recorded.event)
    return LogEvent(
        position=recorded.position,
        time=timestamp(event.time),
        batch_number=event.batch_number if isinstance(event, BatchEvent) else 0,
        version=recorded.version,
        name=type(event).__name__,
        summary=summary(event),
        details=details(event),
    )
