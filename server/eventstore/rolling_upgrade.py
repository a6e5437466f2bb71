"""Servers of two releases on one database, while they are renewed one by one (docs/decisions/018-rolling-upgrades.md).

A server of the release before cannot decode an event of a kind that it does not know: it would stop following the log.
And it heeds nothing that only a new field says. So nothing of the kind is written while such a server lives. With the
first one, the database is closed to that release: its schema version goes up, and a lease without a release is refused.
"""

from collections.abc import Iterable

from domain.batch_events import BatchCreated
from domain.event import Event
from domain.message import is_keyed
from domain.message_events import MessageStaged, MessageSubmitted, RetryRequested
from domain.page_events import PageRegistered, PageSettingsChanged
from domain.stop_policy import StopPolicy
from projections.sql import Sql
from server.crypto.labels import is_sealed
from server.eventstore import schema
from server.eventstore.codec import name_of

RELEASE = 1  # what a server of this release says with its lease; the release before says nothing, which counts as 0

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

# On PostgreSQL: a server of the release before that was stopped for a while and comes back cannot renew its lease.
REFUSE_OLDER_LEASES = "ALTER TABLE workers ALTER COLUMN release DROP DEFAULT"


def needs_new_release(events: Iterable[Event]) -> bool:
    """The release before would not understand one of them."""
    return any(name_of(event) not in KNOWN_BEFORE or _says_more(event) for event in events)


def _says_more(event: Event) -> bool:
    """It would send without names, or faster; the rest of a canary, or recipients that a resend did not name, too;
    before its time, or by its own timetable.

    Or with placeholders as they are written, outside the text and those with defaults; or the content before it was
    corrected. It would look for a repeated request's message under an id of its own. It would show titles and names of
    pages as they are sealed; reasons it does not show.
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
            return is_timed or is_corrected or is_keyed(event.message_id) or is_sealed(event.title)
        case PageRegistered() | PageSettingsChanged():
            return is_sealed(event.name)
    return False


def older_release_is_running(sql: Sql) -> bool:
    """A server of the release before is at work; never once the database is closed to it."""
    if schema.version_of(sql) >= schema.VERSION:
        return False
    statement = "SELECT 1 FROM workers WHERE release < :release AND lease_expire_time > :now LIMIT 1"
    return sql.row(statement, {"release": RELEASE, "now": sql.clock()}) is not None


def close_to_older(sql: Sql) -> bool:
    """From now on a server of the release before refuses to start here; False when that was so already."""
    statement = "UPDATE redrive_schema SET version = :new WHERE version < :new RETURNING version"
    return bool(sql.rows(statement, {"new": schema.VERSION}))
