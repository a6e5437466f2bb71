"""The archive: moves the events of finished messages from the log to files.

Three steps: write a file and read it back; record MessageArchived for each message; delete the archived events, those
of batches first. An interrupted run is consistent at every moment, and the next run completes it.
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
from server.eventstore.archive_file import ArchiveError, Manifest
from server.eventstore.commit import Commit, Committed, StreamEvents
from server.eventstore.rebuild import no_workers, refuse_if_in_use
from server.eventstore.store import Store
from server.eventstore.stream import StoredRow, stored_in
from server.eventstore.whole_log import ARCHIVED

MESSAGES_PER_FILE = 5_000
BATCHES_PER_FILE = 20_000
STREAMS_AT_ONCE = 200  # whose events one transaction deletes

Report = Callable[[Manifest, int], None]  # a file, and the number of messages that were moved to it


class ArchiveTotals(NamedTuple):
    """How much was moved from the log to files."""

    messages: int
    events: int
    files: int


def archive_messages(
    store: Store,
    folder: Path,
    before: datetime,
    now: datetime,
    report: Report = lambda *_: None,
    workers: Callable[[Sql], Collection[str]] = no_workers,
) -> ArchiveTotals:
    """Archive the finished messages that have not changed since `before`.

    Raises DatabaseInUseByWorkersError, StagingInUseError, ArchiveError, OSError, or the database's errors.
    """
    with store.transaction(commit=False) as sql:
        refuse_if_in_use(workers(sql))
    with closing(store.staging("archive")) as staging:  # prevents a rebuild from reading the log at the same time
        _finish_removals(store)
        moved = [_move(store, folder, group, before, now, report) for group in _groups(store, micros(before))]
        staging.remove()
    return ArchiveTotals(sum(one.messages for one in moved), sum(one.events for one in moved), len(moved))


def _groups(store: Store, before: Micros) -> Iterator[Sequence[ArchivableMessage]]:
    """Yield groups of messages, each for one file."""
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
) -> ArchiveTotals:
    """Move a group of messages to one file; raises ArchiveError, and deletes nothing, if it cannot be read back."""
    written: Counter[str] = Counter()
    with closing(_events(store, group, written)) as events:
        manifest = archive_file.write(folder, [message.message_id for message in group], events)
    _check(folder / manifest.file, manifest)
    moved = [message for message in group if _record_archived(store, message, written, manifest, micros(before), now)]
    for message in moved:
        _remove(store, message.message_id)
    report(manifest, len(moved))
    return ArchiveTotals(len(moved), sum(written[message.message_id] for message in moved), 1)


def _streams(sql: Sql, message_id: str) -> list[str]:
    places = archivable_messages.batch_keys(sql, message_id)
    of_batches = [name(message_id, *place) for place in places for name in (batch_stream, receipts_stream)]
    return [*of_batches, message_stream(message_id)]


def _events(store: Store, group: Sequence[ArchivableMessage], counts: Counter[str]) -> Generator[StoredRow, None, None]:
    """Yield all events of a group's messages, and count them per message.

    The snapshot ends with the last event, before the file is synced: PostgreSQL ends a transaction that is idle for
    long, and a disk may be slow.
    """
    with store.transaction(commit=False) as sql:
        streams = [stream for message in group for stream in _streams(sql, message.message_id)]
        for one in stored_in(sql, streams):
            counts[one.stream.split("/")[1]] += 1
            yield one


def _check(path: Path, manifest: Manifest) -> None:
    archive_file.check(path, manifest.sha256)
    if sum(1 for _ in archive_file.read(path)) != manifest.events:
        raise ArchiveError(f"{path} does not hold all events that were written: nothing was removed from the log")


def _record_archived(
    store: Store,
    message: ArchivableMessage,
    written: Mapping[str, int],
    manifest: Manifest,
    before: Micros,
    now: datetime,
) -> bool:
    """Record MessageArchived; return False if the message changed since the file was written: it stays in the log."""
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
        file=manifest.file,
        digest=manifest.sha256,
        time=now,
    )
    commit = Commit([StreamEvents(stream, version, [event])], guard=lambda sql: _changed(sql, event, before))
    result = store.write_together([commit])[0].result
    if isinstance(result, BaseException):
        raise result
    return isinstance(result, Committed)


def _changed(sql: Sql, event: MessageArchived, before: Micros) -> str | None:
    if not archivable_messages.is_archivable(sql, event.message_id, before):
        return "the message is not finished any more"
    if _count_events(sql, _streams(sql, event.message_id)) != event.events:
        return "an event was recorded since"
    return None


def _stream_rows(streams: Sequence[str]) -> BulkRows:
    return BulkRows((("stream", str),), [(stream,) for stream in streams])


def _count_events(sql: Sql, streams: Sequence[str]) -> int:
    rows = sql.rows(
        """
        SELECT COUNT(*) AS events FROM given CROSS JOIN stored_events events WHERE events.originator_id = given.stream
        """,
        given=_stream_rows(streams),
    )
    return int(rows[0]["events"])


def _finish_removals(store: Store) -> None:
    """Delete the archived events that an interrupted run left in the log."""
    with store.transaction(commit=False) as sql:
        unfinished = archivable_messages.archived_with_events_left(sql)
    for message_id in unfinished:
        _remove(store, message_id)


def _remove(store: Store, message_id: str) -> None:
    """Delete a message's archived events, those of its own stream last.

    As long as its own stream has archived events, events of other streams may be left (see `_finish_removals`).
    """
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
                _stream_rows(streams[start : start + STREAMS_AT_ONCE]),
            )


def _archived_at(sql: Sql, message_id: str) -> int:
    row = sql.row(
        f"""
        SELECT MAX({sql.log_position}) AS position FROM stored_events WHERE originator_id = :stream AND topic = :topic
        """,  # noqa: S608
        {"stream": message_stream(message_id), "topic": ARCHIVED},
    )
    return (row and row["position"]) or 0
