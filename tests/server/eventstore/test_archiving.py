"""Archives of finished messages, and rebuilds from log and archive, on both databases."""

import gzip
import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from domain import batch as batches
from domain.event import Event
from domain.message_events import MessageArchived, MessageCompleted
from domain.streams import batch_stream, message_stream, page_stream, receipts_stream
from projections.sql import Sql
from server.eventstore import archive
from server.eventstore.archive import ArchiveTotals, archive_messages
from server.eventstore.archive_file import ArchiveError, Manifest
from server.eventstore.rebuild import DatabaseInUseByWorkersError, differences, rebuild
from server.eventstore.store import Store
from tests.builders import (
    FAILED,
    NOW,
    PAGE,
    after,
    batch_created,
    cron,
    delivered,
    message_submitted,
    page_registered,
)
from tests.contents import contents
from tests.databases import opened
from tests.receipts import echo, receipts_recorded
from tests.server.eventstore.whole_log import append

LATER = after(100 * 86_400)


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    with closing(opened(database_url)) as store:
        append(store, page_stream(PAGE), 0, page_registered())
        yield store


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "archive"


def send(store: Store, message_id: str, *, at: datetime = NOW, is_done: bool = True, **fields: Any) -> None:
    """Send to Ann, who has an echo, and Bob, who fails."""
    append(store, message_stream(message_id), 0, message_submitted(message_id=message_id, time=at, **fields))
    created = batch_created("ann", "bob", message_id=message_id, time=at)
    append(store, batch_stream(message_id, 0, 1), 0, created)
    events: tuple[Event, ...] = tuple(delivered(batches.fold([created]), {"bob": FAILED}, now=at))
    append(store, batch_stream(message_id, 0, 1), 1, *events)
    append(store, receipts_stream(message_id, 0, 1), 0, receipts_recorded(echo(0), message_id=message_id, time=at))
    if is_done:
        append(store, message_stream(message_id), 1, MessageCompleted(message_id=message_id, time=at))


def all_of(store: Store) -> Any:
    with store.transaction(commit=False) as sql:
        return contents(sql)


def streams(store: Store) -> set[str]:
    return {one.stream for one in store.recorded_after(0, 10_000)}


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.jsonl.gz"))


def test_only_old_finished_messages_are_archived_and_a_rebuild_reads_the_files(store: Store, folder: Path) -> None:
    for message_id in ("m-1", "m-2"):
        send(store, message_id)
    send(store, "young", at=after(99 * 86_400))
    send(store, "open", is_done=False)
    send(store, "waits for the timer", retry_policy=cron())
    before, recorded = all_of(store), store.recorded_after(0, 10_000)
    reported: list[tuple[str, int]] = []

    moved = archive_messages(
        store, folder, after(86_400), LATER, lambda facts, messages: reported.append((facts.file, messages))
    )

    gone = [one for one in recorded if one.stream.split("/")[1] in ("m-1", "m-2")]
    assert moved == ArchiveTotals(2, len(gone), 1)
    (file,) = files(folder)
    assert reported == [(file.name, 2)]
    left = store.recorded_after(0, 10_000)
    assert [one for one in left if one in recorded] == [one for one in recorded if one not in gone]
    new = [one.event for one in left if one not in recorded]
    assert [(type(event), getattr(event, "file", "")) for event in new] == [(MessageArchived, file.name)] * 2
    with pytest.raises(ArchiveError, match=rf"2 messages were archived.*--archive.*{file.name}"):
        rebuild(store)

    after_it = all_of(store)
    assert differences(store, folder) == {}
    assert rebuild(store, archive=folder) == {}
    assert all_of(store) == after_it
    assert without_archival(after_it) == without_archival(before)
    assert {row["message_id"] for row in after_it["messages"] if row["is_archived"]} == {"m-1", "m-2"}
    assert archive_messages(store, folder, after(86_400), LATER) == ArchiveTotals(0, 0, 0)


def without_archival(read: Any) -> Any:
    kept = dict(read)
    kept["messages"] = [{**row, "is_archived": 0} for row in read["messages"]]
    del kept["receipts"]  # later receipts of archived deliveries are ignored
    return kept


def test_an_archive_file_describes_its_content_and_is_private(store: Store, folder: Path) -> None:
    send(store, "m-1")
    archive_messages(store, folder, after(1), LATER)

    (file,) = files(folder)
    facts = json.loads(file.with_name(file.name.replace(".jsonl.gz", ".json")).read_text())
    lines = [json.loads(line) for line in gzip.decompress(file.read_bytes()).splitlines()]
    assert [line[0] for line in lines] == sorted(line[0] for line in lines)
    assert (facts["messages"], facts["events"], facts["file"]) == (["m-1"], len(lines), file.name)
    assert (facts["first_position"], facts["last_position"]) == (lines[0][0], lines[-1][0])
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    assert len(list(folder.iterdir())) == 2


def test_a_damaged_or_missing_file_is_refused_by_its_name(store: Store, folder: Path) -> None:
    send(store, "m-1")
    archive_messages(store, folder, after(1), LATER)
    (file,) = files(folder)
    whole, read = file.read_bytes(), all_of(store)

    file.write_bytes(whole[:-9] + b"x" + whole[-8:])
    with pytest.raises(ArchiveError, match=f"{file.name} is damaged"):
        rebuild(store, archive=folder)
    file.unlink()
    with pytest.raises(ArchiveError, match=f"{file.name} is missing"):
        rebuild(store, archive=folder)
    assert all_of(store) == read

    file.write_bytes(whole)
    assert rebuild(store, archive=folder) == {}


class Cut(Exception):
    """The process was killed."""


@pytest.mark.parametrize("step", ["_record_archived", "_remove", "_check"])
@pytest.mark.parametrize("calls", [0, 1])
def test_an_interrupted_archiving_is_consistent_and_continues(
    store: Store, folder: Path, monkeypatch: pytest.MonkeyPatch, step: str, calls: int
) -> None:
    for message_id in ("m-1", "m-2", "m-3"):
        send(store, message_id)
    left, done = calls, getattr(archive, step)

    def cut_off(*arguments: Any) -> Any:
        nonlocal left
        left -= 1
        if left < 0:
            raise Cut
        return done(*arguments)

    with monkeypatch.context() as cut:
        cut.setattr(archive, "MESSAGES_PER_FILE", 2)
        cut.setattr(archive, step, cut_off)
        with pytest.raises(Cut):
            archive_messages(store, folder, after(1), LATER)
    assert differences(store, folder) == {}

    archive_messages(store, folder, after(1), LATER)

    kept = {stream for stream in streams(store) if not stream.startswith("page/")}
    assert kept == {message_stream(message_id) for message_id in ("m-1", "m-2", "m-3")}
    assert rebuild(store, archive=folder) == {}


def test_removal_continues_within_a_message(store: Store, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    send(store, "m-1")
    monkeypatch.setattr(archive, "STREAMS_AT_ONCE", 1)
    with monkeypatch.context() as cut:
        cut.setattr(archive, "message_stream", lambda _: "message/m-1")
        cut.setattr(archive, "_stream_rows", cut_after(2, archive._stream_rows))
        with pytest.raises(Cut):
            archive_messages(store, folder, after(1), LATER)
    assert batch_stream("m-1", 0, 1) not in streams(store)
    assert differences(store, folder) == {}

    archive_messages(store, folder, after(1), LATER)

    assert streams(store) == {page_stream(PAGE), message_stream("m-1")}
    assert len(store.load(message_stream("m-1"), None)) == 1


def cut_after(calls: int, work: Any) -> Any:
    left = calls

    def cut_off(*arguments: Any) -> Any:
        nonlocal left
        left -= 1
        if left < 0:
            raise Cut
        return work(*arguments)

    return cut_off


def test_a_message_that_changes_while_its_file_is_written_stays(
    store: Store, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(store, "m-1")
    send(store, "m-2")
    checked = archive._check

    def change_message(path: Path, facts: Manifest) -> None:
        checked(path, facts)
        read = receipts_recorded(echo(1), message_id="m-2", time=after(0))
        append(store, receipts_stream("m-2", 0, 1), 1, read)

    monkeypatch.setattr(archive, "_check", change_message)

    assert archive_messages(store, folder, after(1), LATER).messages == 1
    assert batch_stream("m-2", 0, 1) in streams(store)
    assert rebuild(store, archive=folder) == {}


def test_disk_writes_happen_outside_of_transactions(
    store: Store, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL ends a session that is idle in a transaction for 2 s."""
    send(store, "m-1")
    snapshots, transaction = [], store.transaction
    while_waiting = []

    @contextmanager
    def watched(*, commit: bool) -> Iterator[Sql]:
        with transaction(commit=commit) as sql:
            snapshots.append(sql)
            yield sql
            snapshots.remove(sql)

    monkeypatch.setattr(store, "transaction", watched)
    monkeypatch.setattr("os.fsync", lambda _: while_waiting.append(len(snapshots)))

    archive_messages(store, folder, after(1), LATER)

    assert while_waiting == [0, 0, 0]  # the events, the facts, the folder


def test_archiving_is_refused_while_servers_run(store: Store, folder: Path) -> None:
    send(store, "m-1")

    with pytest.raises(DatabaseInUseByWorkersError, match="worker-7"):
        archive_messages(store, folder, after(1), LATER, workers=lambda _: ["worker-7"])
    assert not folder.exists()


def test_a_receipt_recorded_after_the_archiving_is_not_removed(
    store: Store, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that already ran when the message was archived records a receipt just before the removal."""
    send(store, "m-1")
    remove = archive._remove
    late = receipts_recorded(echo(1), message_id="m-1", time=after(0))

    def record_then_remove(store: Store, message_id: str) -> None:
        append(store, receipts_stream("m-1", 0, 1), 1, late)
        remove(store, message_id)

    monkeypatch.setattr(archive, "_remove", record_then_remove)

    archive_messages(store, folder, after(1), LATER)

    assert store.load(receipts_stream("m-1", 0, 1), None) == [late]
    assert rebuild(store, archive=folder) == {}
