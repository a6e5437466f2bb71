"""Log lines about recorded events, with ids and numbers only."""

from collections.abc import Mapping, Sequence

import structlog

from domain.batch_events import LateOutcomesRecorded, OutcomesRecorded
from domain.event import Event, RecordedEvent
from domain.fault import ErrorType
from domain.message_events import (
    MessageAbandoned,
    MessageCancelled,
    MessageCompleted,
    MessagePaused,
    MessageResumed,
    MessageStopped,
    MessageSubmitted,
    RetryRequested,
)
from domain.outcome import Failed, Unconfirmed
from domain.page_events import (
    PageHeld,
    PageRegistered,
    PageReleased,
    PageSettingsChanged,
    PageShared,
    PageTokenReplaced,
    PageTransferred,
)
from domain.retention_events import CleanupCompleted, CleanupStarted, PersonErased

logger = structlog.get_logger()

_LINES: Mapping[type[Event], tuple[str, Sequence[str]]] = {
    MessageSubmitted: ("message_submitted", ("message_id", "page_id", "total")),
    MessageAbandoned: ("message_abandoned", ("message_id",)),
    RetryRequested: ("retry_requested", ("message_id", "round", "trigger", "recipients")),
    MessagePaused: ("message_paused", ("message_id",)),
    MessageStopped: ("message_stopped", ("message_id",)),
    MessageResumed: ("message_resumed", ("message_id",)),
    MessageCancelled: ("message_cancelled", ("message_id",)),
    MessageCompleted: ("message_completed", ("message_id",)),
    PageRegistered: ("page_registered", ("page_id", "requested_by")),
    PageSettingsChanged: ("page_settings_changed", ("page_id", "changed", "messages_per_second", "requested_by")),
    PageTokenReplaced: ("page_token_replaced", ("page_id", "token_generation", "requested_by")),
    PageHeld: ("page_held", ("page_id", "requested_by")),
    PageReleased: ("page_released", ("page_id", "requested_by")),
    PageShared: ("page_shared", ("page_id", "shared_with", "requested_by")),
    PageTransferred: ("page_transferred", ("page_id", "owner", "requested_by")),
    PersonErased: ("person_erased", ("requested_by",)),
    CleanupStarted: ("cleanup_started", ("cleanup_id",)),
    CleanupCompleted: ("cleanup_completed", ("cleanup_id",)),
}


def log_events(recorded: Sequence[RecordedEvent]) -> None:
    """Log the recorded events that matter to an operator."""
    for one in recorded:
        _log_event(one.event)


def _log_event(event: Event) -> None:
    if isinstance(event, OutcomesRecorded | LateOutcomesRecorded):
        _log_trouble(event)
    elif type(event) in _LINES:
        name, fields = _LINES[type(event)]
        logger.info(name, **{field.removesuffix("_id"): getattr(event, field) for field in fields})


def _log_trouble(event: OutcomesRecorded | LateOutcomesRecorded) -> None:
    """Log the number of refused tokens and unconfirmed outcomes, in at most one line per append."""
    outcomes = [known.outcome for known in event.outcomes]
    refused = sum(isinstance(one, Failed) and one.fault.type is ErrorType.ACCESS_TOKEN for one in outcomes)
    unconfirmed = sum(isinstance(one, Unconfirmed) for one in outcomes)
    if refused or unconfirmed:
        logger.warning(
            "deliveries_in_trouble",
            message=event.message_id,
            batch=event.batch_number,
            token_refused=refused,
            unconfirmed=unconfirmed,
        )
