"""SendStream: a message whose recipients arrive in parts. Nothing is sent before the stream is submitted."""

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from functools import partial
from typing import Protocol

import msgspec

from domain import message as messages
from domain.batch import BATCH_SIZE
from domain.batch_plan import BatchPlan, batch_count
from domain.commands import Recipient, SendMessage
from domain.content import FillableContent
from domain.errors import Aborted, StreamInProgress
from domain.message import SubmissionState
from domain.streams import message_stream
from projections.recipients import existing_recipients
from server.commands.idempotency import PayloadHash, stamp_for
from server.commands.lookup import load_message, owner_filter, require_message, require_page
from server.commands.send import (
    METHOD,
    SendAnswer,
    SendService,
    any_has_variables,
    appends_of,
    keys_of,
    new_batches,
    row_after_send,
    submitted_event,
    without_duplicates,
)
from server.crypto.person_keys import delete_message_keys, save_keys
from server.crypto.vault import MessageKey, Vault
from server.eventstore.commit import Commit, Committed, EventLog, StreamEvents
from server.eventstore.rolling_upgrade import older_release_is_running
from server.runtime.cooperative import slices, yield_between

STAGED_AT_ONCE = 1_000  # recipients looked up and appended together, so that memory does not grow with the stream


class RecipientStream(Protocol):
    """An open stream of recipients. The caller that opens it calls submit or abandon in the end."""

    async def add(self, recipients: Sequence[Recipient]) -> None:
        """Add recipients; raises Aborted, Unavailable."""
        ...

    async def submit(self) -> SendAnswer:
        """Accept the message; raises RequestIdReused, Aborted, Unavailable."""
        ...

    async def abandon(self, cause: str) -> None:
        """End the stream without a message; what was stored of it is removed."""
        ...


class StagedMessage(msgspec.Struct, frozen=True):
    """A message whose recipients still arrive. `stage` is the version of its MessageStaged event."""

    id: str
    stage: int
    command: SendMessage
    key: MessageKey
    vault: Vault


class StreamSendService:
    """Opens streams of recipients, and knows those that are open in this process."""

    def __init__(
        self, log: EventLog, vault: Vault, sends: SendService, now: Callable[[], datetime], worker: str
    ) -> None:
        self._log = log
        self._vault = vault
        self._sends = sends
        self._now = now
        self._worker = worker
        self._open_streams: dict[object, str] = {}  # to message ids; an abandoned stream may overlap with the next one

    async def open(self, command: SendMessage) -> RecipientStream:
        """Open a stream; raises PageNotRegistered, StreamInProgress, Unavailable."""
        ids = self._vault.ids
        message_id = await self._log.read(lambda sql: ids.message_of(sql, command.owner, METHOD, command.request_id))
        message = await load_message(self._log, message_id)
        if (
            message.submission_state is not SubmissionState.SUBMITTED
        ):  # a repeated request needs no page: it gets the first answer
            await self._log.read(lambda sql: require_page(sql, owner_filter(command), command.page_id))
        if message.submission_state is SubmissionState.SUBMITTED or command.validate_only:
            return DryRunStream(self._sends, command, self._now, self._vault.payload_key)
        staged = messages.stage(
            message, owner=command.owner, page_id=command.page_id, worker=self._worker, now=self._now()
        )
        key = self._vault.new_message_key(message_id)
        commit = Commit(
            [StreamEvents(message_stream(message_id), message.version, [staged])],
            also=self._vault.save_message_key(message_id, key),
        )
        entry = await self._open(message_id, commit)
        staged_message = StagedMessage(message_id, message.version + 1, command, key, self._vault)
        return StagedStream(self._log, staged_message, self._now, partial(self._open_streams.pop, entry, None))

    async def _open(self, message_id: str, commit: Commit) -> object:
        """Commit the stream's start; it is entered first, so that the reconciler does not abandon it in between."""
        entry = object()
        self._open_streams[entry] = message_id
        is_open = False
        try:
            is_open = isinstance(await self._log.commit(commit), Committed)
        finally:
            if not is_open:
                del self._open_streams[entry]
        if not is_open:
            raise StreamInProgress("another stream with this request_id was opened just now", message_id=message_id)
        return entry

    def is_open(self, message_id: str) -> bool:
        """Return whether a stream for this message is open in this process."""
        return message_id in self._open_streams.values()


class StagedStream:
    """A stream that stores batches as recipients arrive; callers do not see them before it is submitted."""

    def __init__(
        self, log: EventLog, staged: StagedMessage, now: Callable[[], datetime], end: Callable[[], object]
    ) -> None:
        self._log = log
        self._staged = staged
        self._now = now
        self._end = end
        self._has_variables = False
        self._wanted = FillableContent(staged.command.content).variables
        self._payload = PayloadHash(staged.command, staged.vault.payload_key)
        self._waiting: list[Recipient] = []
        self._dropped = 0
        self._stored = 0

    async def add(self, recipients: Sequence[Recipient]) -> None:
        """Store the full batches of each thousand recipients; the remaining recipients wait for the next call."""
        await self._payload.add(recipients)
        self._waiting += recipients
        while len(self._waiting) >= STAGED_AT_ONCE:
            new = await self._new_recipients(self._waiting[:STAGED_AT_ONCE])
            in_full_batches = len(new) - len(new) % BATCH_SIZE
            await self._store(new[:in_full_batches])
            self._waiting[:STAGED_AT_ONCE] = new[in_full_batches:]

    async def _new_recipients(self, recipients: Sequence[Recipient]) -> list[Recipient]:
        """Return the recipients that are not stored with the message yet, each once."""
        message_id, distinct = self._staged.id, without_duplicates(recipients)
        stored = await self._log.read(lambda sql: existing_recipients(sql, message_id, list(distinct)))
        new = [recipient for id_, recipient in distinct.items() if id_ not in stored]
        self._dropped += len(recipients) - len(new)
        return new

    async def _store(self, recipients: Sequence[Recipient]) -> None:
        if not recipients:
            return
        staged = self._staged
        plan = BatchPlan(
            message_id=staged.id,
            page_id=staged.command.page_id,
            stage=staged.stage,
            round=0,
            first_batch=batch_count(self._stored) + 1,
            time=self._now(),
        )
        by_person = not await self._log.read(older_release_is_running)
        planning = new_batches(plan, recipients, self._wanted, staged.key, by_person=by_person)
        batches = [batch async for batch in yield_between(planning)]
        still_staged = StreamEvents(message_stream(staged.id), staged.stage, [])
        commit = Commit([*appends_of(batches), still_staged], also=save_keys(staged.vault, keys_of(batches)))
        if not isinstance(await self._log.commit(commit), Committed):
            raise Aborted("the stream was abandoned", message_id=staged.id)
        self._stored += len(recipients)
        self._has_variables = self._has_variables or any_has_variables(batches)

    async def submit(self) -> SendAnswer:
        """Store the remaining recipients, then accept the message; raises RequestIdReused, Aborted, Unavailable."""
        if self._waiting:
            await self._store(await self._new_recipients(self._waiting))
        staged, dropped = self._staged, self._dropped
        submitted = submitted_event(
            staged.id,
            staged.command,
            staged.key,
            title=await self._title(),
            total=self._stored,
            dropped=dropped,
            has_variables=self._has_variables,
            stamp=stamp_for(METHOD, staged.command, self._payload.hexdigest()),
            now=self._now(),
            stage=staged.stage,
        )
        result = await self._log.commit(Commit([StreamEvents(message_stream(staged.id), staged.stage, [submitted])]))
        if not isinstance(result, Committed):
            raise Aborted("the stream was abandoned", message_id=staged.id)
        self._end()
        return SendAnswer(
            await self._log.read(lambda sql: require_message(sql, staged.command.owner, staged.id)), dropped
        )

    async def _title(self) -> str:
        """Return the title as it is stored: sealed, unless a server of the earlier release runs, which shows it."""
        staged = self._staged
        if await self._log.read(older_release_is_running):
            return staged.command.title
        return staged.vault.labels.titles.seal(staged.command.title, staged.id)

    async def abandon(self, cause: str) -> None:
        """Abandon the stream, unless it is submitted; if the database is unavailable, the reconciler does it later."""
        self._end()
        await abandon_staged(self._log, self._staged.id, cause, self._now(), stage=self._staged.stage)


async def abandon_staged(
    log: EventLog, message_id: str, cause: str, now: datetime, *, stage: int | None = None
) -> bool:
    """Abandon a staged message (only if it is at this stage, if given); return False if it has changed."""
    message = await load_message(log, message_id)
    if stage not in (None, message.stage):
        return False
    abandoned = messages.abandon(message, cause=cause, now=now)
    if abandoned is None:
        return False
    stream = StreamEvents(message_stream(message_id), message.version, [abandoned])
    commit = Commit([stream], also=delete_message_keys(message_id))
    return isinstance(await log.commit(commit), Committed)


class DryRunStream:
    """A stream that stores nothing: a dry run, or a repeated request."""

    def __init__(
        self,
        sends: SendService,
        command: SendMessage,
        now: Callable[[], datetime],
        payload_key: bytes,
    ) -> None:
        self._sends = sends
        self._command = command
        self._now = now
        self._payload = PayloadHash(command, payload_key)
        self._received = 0
        self._distinct = DistinctIds()

    async def add(self, recipients: Sequence[Recipient]) -> None:
        """Count and hash recipients."""
        await self._payload.add(recipients)
        self._received += len(recipients)
        async for some in yield_between(slices(recipients)):
            self._distinct.add(recipient.id for recipient in some)

    async def submit(self) -> SendAnswer:
        """Return the first answer, or what a Send would answer; raises RequestIdReused, Unavailable."""
        total = self._distinct.count()
        self._distinct.close()
        stamp = stamp_for(METHOD, self._command, self._payload.hexdigest())
        if (answer := await self._sends.load_first_answer(stamp)) is not None:
            return answer
        return SendAnswer(row_after_send(self._command, total, self._now()), self._received - total)

    async def abandon(self, cause: str) -> None:  # noqa: ARG002 - no event records it
        """Drop the count."""
        self._distinct.close()


class DistinctIds:
    """An exact count of different ids, in a temporary SQLite file, so that memory does not grow."""

    def __init__(self) -> None:
        self._file = sqlite3.connect("", isolation_level=None)
        self._file.execute("PRAGMA journal_mode = OFF")  # nothing is rolled back
        self._file.execute("CREATE TABLE ids (id TEXT PRIMARY KEY) WITHOUT ROWID")

    def add(self, ids: Iterable[str]) -> None:
        """Add ids; a thousand take 1 to 3 ms."""
        self._file.execute("BEGIN")
        self._file.executemany("INSERT OR IGNORE INTO ids VALUES (?)", ((id_,) for id_ in ids))
        self._file.execute("COMMIT")

    def count(self) -> int:
        """Return how many different ids there are."""
        [count] = self._file.execute("SELECT COUNT(*) FROM ids").fetchone()
        return int(count)

    def close(self) -> None:
        """Delete the file."""
        self._file.close()
