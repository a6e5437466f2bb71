"""Moves the events of finished messages from the log to files.

First a file is written and read again; then, message by message, MessageArchived says that the events are there; then
they are removed, batches first. Whatever is cut off is gone on with the next time: what is said is true at any moment.
"""

from collections import Counter
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from domain.message_events import MessageArchived
from domain.streams import batch_stream, message_stream, receipts_stream
from projections import archivable_messages
from projections.archivable_messages import ArchivableMessage
from projections.sql import BulkRows, Micros, Sql, micros
from server.eventstore import archive_file
from server.eventstore.archive_file import ArchiveError, Facts
from server.eventstore.commit import Commit, Committed, StreamEvents
from server.eventstore.rebuild import nobody, refuse_if_in_use
from server.eventstore.store import Store
from server.eventstore.stream import Stored, stored_in
from server.eventstore.whole_log import ARCHIVED

MESSAGES_PER_FILE = 5_000
BATCHES_PER_FILE = 20_000
STREAMS_AT_ONCE = 200  # whose events one transaction removes

Report = Callable[[Facts, int], None]  # a file, and how many of its messages were moved to it


class Archived(NamedTuple):
    """What was moved."""

    messages: int
    events: int
    files: int


def archive_messages(
    store: Store,
    folder: Path,
    before: datetime,
    now: datetime,
    report: Report = lambda *_: None,
    workers: Callable[[Sql], Collection[str]] = nobody,
) -> Archived:
    """Archives what has not changed since `before`.

    Raises DatabaseInUseByWorkersError, StagingInUseError, ArchiveError, OSError, or what the database raises.
    """
    with store.transaction(commit=False) as sql:
        refuse_if_in_use(workers(sql))
    with closing(store.shadow("archive")) as alone:  # no rebuild reads the log meanwhile
        _finish_removals(store)
        moved = [_move(store, folder, group, before, now, report) for group in _groups(store, micros(before))]
        alone.remove()
    return Archived(sum(one.messages for one in moved), sum(one.events for one in moved), len(moved))


def _groups(store: Store, before: Micros) -> Iterator[Sequence[ArchivableMessage]]:
    """Messages that go into a file together."""
    after = ""
    while found := _finished(store, before, after):
        after = found[-1].message_id
        yield found


def _finished(store: Store, before: Micros, after: str) -> Sequence[ArchivableMessage]:
    with store.transaction(commit=False) as sql:
        found = archivable_messages.list_archivable(sql, before, after=after, limit=MESSAGES_PER_FILE)
    group: list[ArchivableMessage] = []
    batches = 0
    for message in found:
        if group and batches + message.batches > BATCHES_PER_FILE:
            break
        group.append(message)
        batches += message.batches
    return group


def _move(
    store: Store, folder: Path, group: Sequence[ArchivableMessage], before: datetime, now: datetime, report: Report
) -> Archived:
    """Into one file; what cannot be read again from it stays in the log."""
    written: Counter[str] = Counter()
    with closing(_events(store, group, written)) as events:
        facts = archive_file.write(folder, [message.message_id for message in group], events)
    _check(folder / facts.file, facts)
    moved = [message for message in group if _say_archived(store, message, written, facts, micros(before), now)]
    for message in moved:
        _remove(store, message.message_id)
    report(facts, len(moved))
    return Archived(len(moved), sum(written[message.message_id] for message in moved), 1)


def _streams(sql: Sql, message_id: str) -> list[str]:
    places = archivable_messages.batch_keys(sql, message_id)
    of_batches = [name(message_id, *place) for place in places for name in (batch_stream, receipts_stream)]
    return [*of_batches, message_stream(message_id)]


def _events(store: Store, group: Sequence[ArchivableMessage], counts: Counter[str]) -> Generator[Stored, None, None]:
    """All of a group's, each message's counted as they pass.

    The snapshot ends with the last of them: PostgreSQL ends one that is idle for long, and a disk may be slow.
    """
    with store.transaction(commit=False) as sql:
        streams = [stream for message in group for stream in _streams(sql, message.message_id)]
        for one in stored_in(sql, streams):
            counts[one.stream.split("/")[1]] += 1
            yield one


def _check(path: Path, facts: Facts) -> None:
    archive_file.check(path, facts.sha256)
    if sum(1 for _ in archive_file.read(path)) != facts.events:
        raise ArchiveError(f"{path} does not hold all that was written: nothing was removed from the log")


def _say_archived(
    store: Store, message: ArchivableMessage, written: Mapping[str, int], facts: Facts, before: Micros, now: datetime
) -> bool:
    """False when the message has changed since the file was written: it stays as it is."""
    stream = message_stream(message.message_id)
    with store.transaction(commit=False) as sql:
        row = sql.row(
            "SELECT MAX(originator_version) AS last FROM stored_events WHERE originator_id = :stream",
            {"stream": stream},
        )
    version = int(row["last"] or 0) if row else 0
    event = MessageArchived(
        message_id=message.message_id,
        owner=message.owner,
        version=version + 1,
        events=written[message.message_id],
        file=facts.file,
        digest=facts.sha256,
        time=now,
    )
    commit = Commit([StreamEvents(stream, version, [event])], guard=lambda sql: _changed(sql, event, before))
    result = store.write_together([commit])[0].result
    if isinstance(result, BaseException):
        raise result
    return isinstance(result, Committed)


def _changed(sql: Sql, event: MessageArchived, before: Micros) -> str | None:
    if not archivable_messages.is_archivable(sql, event.message_id, before):
        return "the message goes on"
    if _count_events(sql, _streams(sql, event.message_id)) != event.events:
        return "something was recorded since"
    return None


def _given(streams: Sequence[str]) -> BulkRows:
    return BulkRows((("stream", str),), [(stream,) for stream in streams])


def _count_events(sql: Sql, streams: Sequence[str]) -> int:
    rows = sql.rows(
        """
        SELECT COUNT(*) AS events FROM given CROSS JOIN stored_events events WHERE events.originator_id = given.stream
        """,
        given=_given(streams),
    )
    return int(rows[0]["events"])


def _finish_removals(store: Store) -> None:
    with store.transaction(commit=False) as sql:
        unfinished = archivable_messages.archived_with_events_left(sql)
    for message_id in unfinished:
        _remove(store, message_id)


def _remove(store: Store, message_id: str) -> None:
    """What came before it was archived; the message's own stream comes last, and tells that others may be left."""
    with store.transaction(commit=False) as sql:
        streams = _streams(sql, message_id)
        position = _archived_at(sql, message_id)
    for start in range(0, len(streams), STREAMS_AT_ONCE):
        with store.transaction(commit=True) as sql:
            sql.execute(
                f"""
                DELETE FROM stored_events
                WHERE originator_id IN (SELECT stream FROM given) AND {sql.log_position} < :position
                """,  # noqa: S608 - our own words
                {"position": position},
                _given(streams[start : start + STREAMS_AT_ONCE]),
            )


def _archived_at(sql: Sql, message_id: str) -> int:
    row = sql.row(
        f"""
        SELECT MAX({sql.log_position}) AS position FROM stored_events WHERE originator_id = :stream AND topic = :topic
        """,  # noqa: S608
        {"stream": message_stream(message_id), "topic": ARCHIVED},
    )
    return (row and row["position"]) or 0
