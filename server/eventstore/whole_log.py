"""The whole log: the events in the database and those in archive files, merged in the log's order."""

import heapq
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from domain.event import RecordedEvent
from domain.message_events import MessageArchived
from projections.sql import Sql
from server.eventstore import archive_file
from server.eventstore.archive_file import ArchiveError
from server.eventstore.store import Store
from server.eventstore.stream import decode_row

EVENTS_AT_ONCE = 500
ARCHIVED = "MessageArchived.v1"  # the stored name of the event


class _ArchivedMessage(NamedTuple):
    """An archived message's file, and the position of MessageArchived: the file has all events before it."""

    file: str
    digest: str
    position: int


class WholeLog:
    """Reads all events in order; raises ArchiveError if an archive file is missing or damaged.

    `folder` holds the archive files; None if nothing was archived.
    """

    def __init__(self, store: Store, folder: Path | None) -> None:
        self._store = store
        with store.transaction(commit=False) as sql:
            self._archived = _archived_messages(sql)
        self._files = _checked(self._archived, folder)

    def last_position(self) -> int:
        """Return the position of the last event; 0 if there is none."""
        return self._store.last_position()

    def after(self, position: int) -> Iterator[RecordedEvent]:
        """Yield the events after a position."""
        sources = [
            self._in_database(position),
            *(self._in_file(name, path, position) for name, path in self._files.items()),
        ]
        return heapq.merge(*sources, key=lambda recorded: recorded.position)

    def _in_database(self, position: int) -> Iterator[RecordedEvent]:
        """Yield the database's events, except archived ones that an interrupted archive run did not delete yet."""
        while chunk := self._store.recorded_after(position, EVENTS_AT_ONCE):
            for recorded in chunk:
                archived = self._archived.get(_message_of(recorded.stream))
                if archived is None or recorded.position >= archived.position:
                    yield recorded
            position = chunk[-1].position

    def _in_file(self, name: str, path: Path, position: int) -> Iterator[RecordedEvent]:
        """Yield a file's events, except of messages that another file holds or that were not archived in the end."""
        for recorded in archive_file.read(path):
            archived = self._archived.get(_message_of(recorded.stream))
            if recorded.position > position and archived is not None and archived.file == name:
                yield recorded


def _message_of(stream: str) -> str:
    """Return the id of the message that a stream belongs to; empty for a stream of another kind."""
    kind, _, rest = stream.partition("/")
    return rest.partition("/")[0] if kind in ("message", "batch", "receipts") else ""


def _archived_messages(sql: Sql) -> Mapping[str, _ArchivedMessage]:
    rows = sql.rows(
        f"""
        SELECT {sql.log_position} AS position, originator_id, originator_version, topic, state FROM stored_events
        WHERE topic = :topic
        """,  # noqa: S608 - our own words
        {"topic": ARCHIVED},
    )
    found = {}
    for row in rows:
        event = decode_row(row["originator_id"], row)
        if isinstance(event, MessageArchived):
            found[event.message_id] = _ArchivedMessage(event.file, event.digest, row["position"])
    return found


def _checked(archived: Mapping[str, _ArchivedMessage], folder: Path | None) -> Mapping[str, Path]:
    """Return the paths of the archive files by name; raises ArchiveError if one is missing or damaged."""
    files = {one.file: one.digest for one in archived.values()}
    if files and folder is None:
        raise ArchiveError(
            f"{len(archived):,} messages were archived, and cannot be rebuilt without their files:"
            f" name the folder that holds them with --archive (one of them is {min(files)})"
        )
    for name, digest in files.items():
        archive_file.check(Path(folder or ".") / name, digest)
    return {name: Path(folder or ".") / name for name in files}
