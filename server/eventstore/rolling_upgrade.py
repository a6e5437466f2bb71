"""Rules for servers of two releases on one database during a rolling upgrade (docs/decisions/018-rolling-upgrades.md).

A server of the previous release cannot decode an event type that it does not know, and would stop following the log. It
also ignores new fields. So such an event is not written while a server of the previous release runs. The first such
event closes the database to that release: the schema version goes up, and a lease without a release number is refused.

The module is here and not in cluster/, because every commit of the event store applies these rules.
"""

from collections.abc import Iterable

from domain.batch_events import BatchCreated
from domain.event import Event
from domain.message import is_keyed
from domain.message_events import MessageStaged, MessageSubmitted, RetryRequested
from domain.page_events import PageRegistered, PageSettingsChanged
from domain.stop_policy import StopPolicy
from projections.sql import Sql
from server.eventstore import schema
from server.eventstore.codec import is_sealed_label, name_of

RELEASE = 1  # stored with the lease of a server of this release; the previous release stores none, which counts as 0

# The event types of the previous release.

KNOWN_BEFORE = frozenset(
    {
        "MessageStaged.v1",
        "MessageAbandoned.v1",
        "MessageSubmitted.v1",
        "RetryRequested.v1",
        "MessageCancelled.v1",
        "MessageCompleted.v1",
        "BatchCreated.v1",
        "BatchStarted.v1",
        "DeliveriesDispatched.v1",
        "OutcomesRecorded.v1",
        "LateOutcomesRecorded.v1",
        "DeliveriesReturned.v1",
        "BatchReleased.v1",
        "BatchCancelled.v1",
        "BatchCompleted.v1",
        "PageRegistered.v1",
        "PageSettingsChanged.v1",
        "PageTokenReplaced.v1",
    }
)

# On PostgreSQL: a server of the previous release that was suspended and resumes cannot renew its lease.
REFUSE_OLDER_LEASES = "ALTER TABLE workers ALTER COLUMN release DROP DEFAULT"


def needs_new_release(events: Iterable[Event]) -> bool:
    """Return whether the previous release would misunderstand one of the events."""
    return any(name_of(event) not in KNOWN_BEFORE or _has_new_fields(event) for event in events)


def _has_new_fields(event: Event) -> bool:
    """Return whether an event of a known type has a field that the previous release ignores, with wrong results.

    That release would send without the recipients' names, or faster than the round's rate limit. It would send the rest
    of a canary round, or to recipients that a resend excluded. It would send before the scheduled time, or retry at
    its own times. It would leave placeholders outside the text and placeholders with defaults unfilled, or send the
    content from before a correction. It would look for a repeated request's message under another id. It would show
    sealed titles and page names; it does not show reasons.
    """
    match event:
        case MessageStaged():
            return is_keyed(event.message_id)
        case BatchCreated():
            return event.sealed_by_person or event.messages_per_second > 0
        case RetryRequested():
            is_limited = event.trial is not None or event.automatic_from_batch > 0
            return is_limited or bool(event.sealed_content)
        case MessageSubmitted():
            is_timed = event.schedule_time is not None or event.retry_policy.delay is not None
            is_corrected = event.fills_every_string or event.stop_policy != StopPolicy()
            return is_timed or is_corrected or is_keyed(event.message_id) or is_sealed_label(event.title)
        case PageRegistered() | PageSettingsChanged():
            return is_sealed_label(event.name)
    return False


def older_release_is_running(sql: Sql) -> bool:
    """Return whether a server of the previous release has a valid lease; False once the database is closed to it."""
    if schema.version_of(sql) >= schema.VERSION:
        return False
    statement = "SELECT 1 FROM workers WHERE release < :release AND lease_expire_time > :now LIMIT 1"
    return sql.row(statement, {"release": RELEASE, "now": sql.clock()}) is not None


def close_to_older(sql: Sql) -> bool:
    """Raise the schema version, so that the previous release refuses to start; return False if it was raised before."""
    statement = "UPDATE redrive_schema SET version = :new WHERE version < :new RETURNING version"
    return bool(sql.rows(statement, {"new": schema.VERSION}))
