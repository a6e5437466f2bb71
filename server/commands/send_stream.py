"""SendStream: a message whose recipients come in parts; nothing is sent before the last one was accepted."""

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
from server.commands.lookup import find_message, find_page, load_message, reach
from server.commands.send import (
    METHOD,
    SendAnswer,
    SendService,
    accepted_row,
    appends_of,
    first_of_each,
    have_variables,
    keys_of,
    new_batches,
    submission,
)
from server.crypto.person_keys import forget_message, keep
from server.crypto.vault import MessageKey, Vault
from server.eventstore.commit import Commit, Committed, EventLog, StreamEvents
from server.eventstore.rolling_upgrade import older_release_is_running
from server.runtime.cooperative import slices, yield_between

STAGED_AT_ONCE = 1_000  # recipients looked up and appended together: memory stays small however long the stream is


class RecipientStream(Protocol):
    """An open stream of recipients. Whoever opens it ends it, with submit or abandon."""

    async def add(self, recipients: Sequence[Recipient]) -> None:
        """Takes some more recipients; raises Aborted, Unavailable."""
        ...

    async def submit(self) -> SendAnswer:
        """Accepts the message; raises RequestIdReused, Aborted, Unavailable."""
        ...

    async def abandon(self, cause: str) -> None:
        """Gives it up: nothing of it is left."""
        ...


class StagedMessage(msgspec.Struct, frozen=True):
    """A message that is being put together: the version of its MessageStaged is the stage."""

    id: str
    stage: int
    command: SendMessage
    key: MessageKey
    vault: Vault


class StreamSendService:
    """Opens streams of recipients."""

    def __init__(
        self, log: EventLog, vault: Vault, sends: SendService, now: Callable[[], datetime], worker: str
    ) -> None:
        self._log = log
        self._vault = vault
        self._sends = sends
        self._now = now
        self._worker = worker
        self._live: dict[object, str] = {}  # open streams; one that was given up may have a successor beside it

    async def open(self, command: SendMessage) -> RecipientStream:
        """Begins a stream; raises PageNotRegistered, StreamInProgress, Unavailable."""
        ids = self._vault.ids
        message_id = await self._log.read(lambda sql: ids.message_of(sql, command.owner, METHOD, command.request_id))
        message = await load_message(self._log, message_id)
        if (
            message.submission_state is not SubmissionState.SUBMITTED
        ):  # a repeat gets the first answer, also when the page is no longer shared
            await self._log.read(lambda sql: find_page(sql, reach(command), command.page_id))
        if message.submission_state is SubmissionState.SUBMITTED or command.validate_only:
            return DryRunStream(self._sends, command, self._now, self._vault.payload_key)
        staged = messages.stage(
            message, owner=command.owner, page_id=command.page_id, worker=self._worker, now=self._now()
        )
        key = self._vault.new_message_key(message_id)
        commit = Commit(
            [StreamEvents(message_stream(message_id), message.version, [staged])],
            also=self._vault.keep_message_key(message_id, key),
        )
        opening = await self._open(message_id, commit)
        staged_message = StagedMessage(message_id, message.version + 1, command, key, self._vault)
        return StagedStream(self._log, staged_message, self._now, partial(self._live.pop, opening, None))

    async def _open(self, message_id: str, commit: Commit) -> object:
        """Live before it is durable: else the sweeper, seeing it in between, would give it up."""
        opening = object()
        self._live[opening] = message_id
        is_open = False
        try:
            is_open = isinstance(await self._log.commit(commit), Committed)
        finally:
            if not is_open:
                del self._live[opening]
        if not is_open:
            raise StreamInProgress("another stream with this request_id was opened just now", message_id=message_id)
        return opening

    def is_live(self, message_id: str) -> bool:
        """A stream of this process stages it now."""
        return message_id in self._live.values()


class StagedStream:
    """A stream whose batches are written as they come, invisible until it is submitted."""

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
        self._written = 0

    async def add(self, recipients: Sequence[Recipient]) -> None:
        """Looks at whole thousands, and writes the whole batches that they make; the rest waits."""
        await self._payload.add(recipients)
        self._waiting += recipients
        while len(self._waiting) >= STAGED_AT_ONCE:
            fresh = await self._fresh(self._waiting[:STAGED_AT_ONCE])
            whole = len(fresh) - len(fresh) % BATCH_SIZE
            await self._write(fresh[:whole])
            self._waiting[:STAGED_AT_ONCE] = fresh[whole:]

    async def _fresh(self, recipients: Sequence[Recipient]) -> list[Recipient]:
        """Those who do not stand in the stream before: the log remembers who does."""
        message_id, first = self._staged.id, first_of_each(recipients)
        known = await self._log.read(lambda sql: existing_recipients(sql, message_id, list(first)))
        fresh = [recipient for id_, recipient in first.items() if id_ not in known]
        self._dropped += len(recipients) - len(fresh)
        return fresh

    async def _write(self, recipients: Sequence[Recipient]) -> None:
        if not recipients:
            return
        staged = self._staged
        plan = BatchPlan(
            message_id=staged.id,
            page_id=staged.command.page_id,
            stage=staged.stage,
            round=0,
            first_batch=batch_count(self._written) + 1,
            time=self._now(),
        )
        by_person = not await self._log.read(older_release_is_running)
        planning = new_batches(plan, recipients, self._wanted, staged.key, by_person=by_person)
        batches = [batch async for batch in yield_between(planning)]
        still_staged = StreamEvents(message_stream(staged.id), staged.stage, [])
        commit = Commit([*appends_of(batches), still_staged], also=keep(staged.vault, keys_of(batches)))
        if not isinstance(await self._log.commit(commit), Committed):
            raise Aborted("the stream was given up", message_id=staged.id)
        self._written += len(recipients)
        self._has_variables = self._has_variables or have_variables(batches)

    async def submit(self) -> SendAnswer:
        """Writes the rest, then makes all of it visible at once."""
        if self._waiting:
            await self._write(await self._fresh(self._waiting))
        staged, dropped = self._staged, self._dropped
        submitted = submission(
            staged.id,
            staged.command,
            staged.key,
            title=await self._title(),
            total=self._written,
            dropped=dropped,
            has_variables=self._has_variables,
            stamp=stamp_for(METHOD, staged.command, self._payload.hexdigest()),
            now=self._now(),
            stage=staged.stage,
        )
        result = await self._log.commit(Commit([StreamEvents(message_stream(staged.id), staged.stage, [submitted])]))
        if not isinstance(result, Committed):
            raise Aborted("the stream was given up", message_id=staged.id)
        self._end()
        return SendAnswer(await self._log.read(lambda sql: find_message(sql, staged.command.owner, staged.id)), dropped)

    async def _title(self) -> str:
        """Return the title as it is kept: sealed, unless a server of the release before would have to show it."""
        staged = self._staged
        if await self._log.read(older_release_is_running):
            return staged.command.title
        return staged.vault.labels.titles.seal(staged.command.title, staged.id)

    async def abandon(self, cause: str) -> None:
        """Gives it up, unless the submit was faster; while the log is away, the sweeper does it later."""
        self._end()
        await abandon_staged(self._log, self._staged.id, cause, self._now(), stage=self._staged.stage)


async def abandon_staged(
    log: EventLog, message_id: str, cause: str, now: datetime, *, stage: int | None = None
) -> bool:
    """Gives up what a stream staged (of that stage only, if given); False when somebody was faster."""
    message = await load_message(log, message_id)
    if stage not in (None, message.stage):
        return False
    abandoned = messages.abandon(message, cause=cause, now=now)
    if abandoned is None:
        return False
    stream = StreamEvents(message_stream(message_id), message.version, [abandoned])
    commit = Commit([stream], also=forget_message(message_id))
    return isinstance(await log.commit(commit), Committed)


# A SendStream that changes nothing: it is read to the end, and answered.


class DryRunStream:
    """A dry run, or a repeat of a request that was carried out."""

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
        self._taken = 0
        self._distinct = DistinctIds()

    async def add(self, recipients: Sequence[Recipient]) -> None:
        """Counts and hashes."""
        await self._payload.add(recipients)
        self._taken += len(recipients)
        async for some in yield_between(slices(recipients)):
            self._distinct.add(recipient.id for recipient in some)

    async def submit(self) -> SendAnswer:
        """The first answer again, or what would be; raises RequestIdReused."""
        total = self._distinct.count()
        self._distinct.close()
        stamp = stamp_for(METHOD, self._command, self._payload.hexdigest())
        if (answer := await self._sends.answer_again(stamp)) is not None:
            return answer
        return SendAnswer(accepted_row(self._command, total, self._now()), self._taken - total)

    async def abandon(self, cause: str) -> None:  # noqa: ARG002 - nothing is written that could tell it
        """Nothing is there to give up but the count."""
        self._distinct.close()


# How many different ids a stream of any length holds, counted exactly in memory that does not grow.


class DistinctIds:
    """Ids stand in a temporary file of SQLite's own, which is gone once it is closed."""

    def __init__(self) -> None:
        self._file = sqlite3.connect("", isolation_level=None)
        self._file.execute("PRAGMA journal_mode = OFF")  # there is nothing to go back to
        self._file.execute("CREATE TABLE ids (id TEXT PRIMARY KEY) WITHOUT ROWID")

    def add(self, ids: Iterable[str]) -> None:
        """Counts those that were not there: a thousand take 1 to 3 ms."""
        self._file.execute("BEGIN")
        self._file.executemany("INSERT OR IGNORE INTO ids VALUES (?)", ((id_,) for id_ in ids))
        self._file.execute("COMMIT")

    def count(self) -> int:
        """How many there are."""
        [count] = self._file.execute("SELECT COUNT(*) FROM ids").fetchone()
        return int(count)

    def close(self) -> None:
        """Lets the file go."""
        self._file.close()
