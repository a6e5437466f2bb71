"""The whole log: what stands in the database, and what was archived, as if it had never been moved."""

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
from server.eventstore.stream import decoded

EVENTS_AT_ONCE = 500
ARCHIVED = "MessageArchived.v1"  # as the log names it


class _Archived(NamedTuple):
    """Where a message's events are, and the position up to which they are there."""

    file: str
    digest: str
    position: int


class WholeLog:
    """The events of a log in order; raises ArchiveError unless all files that it needs are there, and whole.

    `folder` holds them; None where nothing was archived.
    """

    def __init__(self, store: Store, folder: Path | None) -> None:
        self._store = store
        with store.transaction(commit=False) as sql:
            self._archived = _archived_messages(sql)
        self._files = _checked(self._archived, folder)

    def last_position(self) -> int:
        """The position of the last event; 0 when there is none."""
        return self._store.last_position()

    def after(self, position: int) -> Iterator[RecordedEvent]:
        """The events after a position."""
        sources = [self._live(position), *(self._in_file(name, path, position) for name, path in self._files.items())]
        return heapq.merge(*sources, key=lambda recorded: recorded.position)

    def _live(self, position: int) -> Iterator[RecordedEvent]:
        """But for those that an archive has already, where a removal was cut off."""
        while chunk := self._store.recorded_after(position, EVENTS_AT_ONCE):
            for recorded in chunk:
                archived = self._archived.get(_message_of(recorded.stream))
                if archived is None or recorded.position >= archived.position:
                    yield recorded
            position = chunk[-1].position

    def _in_file(self, name: str, path: Path, position: int) -> Iterator[RecordedEvent]:
        """But for those of messages that were not archived in the end, or elsewhere."""
        for recorded in archive_file.read(path):
            archived = self._archived.get(_message_of(recorded.stream))
            if recorded.position > position and archived is not None and archived.file == name:
                yield recorded


def _message_of(stream: str) -> str:
    """The message that a stream belongs to; empty for others."""
    kind, _, rest = stream.partition("/")
    return rest.partition("/")[0] if kind in ("message", "batch", "receipts") else ""


def _archived_messages(sql: Sql) -> Mapping[str, _Archived]:
    rows = sql.rows(
        f"""
        SELECT {sql.log_position} AS position, originator_id, originator_version, topic, state FROM stored_events
        WHERE topic = :topic
        """,  # noqa: S608 - our own words
        {"topic": ARCHIVED},
    )
    found = {}
    for row in rows:
        event = decoded(row["originator_id"], row)
        if isinstance(event, MessageArchived):
            found[event.message_id] = _Archived(event.file, event.digest, row["position"])
    return found


def _checked(archived: Mapping[str, _Archived], folder: Path | None) -> Mapping[str, Path]:
    """The files, by name."""
    files = {one.file: one.digest for one in archived.values()}
    if files and folder is None:
        raise ArchiveError(
            f"{len(archived):,} messages were archived, and cannot be made anew without their files:"
            f" name the folder that holds them with --archive (one of them is {min(files)})"
        )
    for name, digest in files.items():
        archive_file.check(Path(folder or ".") / name, digest)
    return {name: Path(folder or ".") / name for name in files}
