"""Send: a message with all of its recipients in one request."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from domain.batch_events import BatchCreated, BatchRecipient
from domain.batch_plan import BatchPlan, batch_count, split_into_batches
from domain.commands import Recipient, SendMessage
from domain.content import FillableContent
from domain.delivery import DeliveryStatus
from domain.errors import Aborted, StreamInProgress
from domain.event import RequestStamp
from domain.message import Message, SubmissionState, fold
from domain.message_events import MessageSubmitted
from domain.stop_policy import StopPolicy
from domain.streams import batch_stream, message_stream
from projections.message_rows import MessageRow
from projections.pages import PageRow
from projections.sealed_names import BatchKey
from projections.sql import Sql, micros
from server.commands.idempotency import PayloadHash, find_first_answer, stamp_for
from server.commands.lookup import owner_filter, require_message, require_page
from server.crypto import person_keys
from server.crypto.person_keys import BatchKeys, new_keys, pack
from server.crypto.vault import MessageKey, Vault
from server.eventstore.commit import Commit, Committed, EventLog, StreamEvents, combine
from server.eventstore.rolling_upgrade import older_release_is_running
from server.eventstore.stream import events_of
from server.runtime.cooperative import yield_between

METHOD = "Send"  # of SendStream too: either recognises a request that the other carried out


class SendAnswer(msgspec.Struct, frozen=True):
    """The message, and how many recipients were dropped because their id was in the request before."""

    message: MessageRow
    duplicates_dropped: int


class _BeforeSend(NamedTuple):
    """What a Send reads in one snapshot. `by_person`: names may be encrypted with a key for each recipient."""

    page: PageRow
    message: Message
    by_person: bool


class SendService:
    """Accepts messages. The dispatcher sends them once they are stored and their schedule_time has come."""

    def __init__(self, log: EventLog, vault: Vault, now: Callable[[], datetime]) -> None:
        self._log = log
        self._vault = vault
        self._now = now

    async def send(self, command: SendMessage, recipients: Sequence[Recipient]) -> SendAnswer:
        """Store a message and its batches in one commit.

        Raises PageNotRegistered, RequestIdReused, StreamInProgress, Aborted, Unavailable.
        """
        payload = PayloadHash(command, self._vault.payload_key)
        await payload.add(recipients)
        stamp = stamp_for(METHOD, command, payload.hexdigest())
        found = await self._log.read(lambda sql: self._read(sql, command, stamp))
        if isinstance(found, SendAnswer):
            return found
        distinct = list(without_duplicates(recipients).values())
        dropped = len(recipients) - len(distinct)
        if command.validate_only:
            return SendAnswer(row_after_send(command, len(distinct), self._now()), dropped)
        return await self._submit(found, command, distinct, dropped, stamp)

    async def load_first_answer(self, stamp: RequestStamp | None) -> SendAnswer | None:
        """Return the answer to the first request with this id, or None; raises RequestIdReused, Unavailable."""
        return await self._log.read(lambda sql: self._find_first_answer(sql, stamp)) if stamp else None

    def _find_first_answer(self, sql: Sql, stamp: RequestStamp | None) -> SendAnswer | None:
        answered = find_first_answer(sql, stamp)
        if answered is None or stamp is None:
            return None
        message_id = self._vault.ids.message_answered(answered, stamp.owner, stamp.request_id)
        return SendAnswer(require_message(sql, stamp.owner, message_id), answered.answer["duplicates_dropped"])

    def _read(self, sql: Sql, command: SendMessage, stamp: RequestStamp | None) -> SendAnswer | _BeforeSend:
        """Read all that a Send needs in one snapshot; raises PageNotRegistered, RequestIdReused.

        A repeated request gets the first answer even if its owner may not use the page any more.
        """
        if (answer := self._find_first_answer(sql, stamp)) is not None:
            return answer
        page = require_page(sql, owner_filter(command), command.page_id)
        message_id = self._vault.ids.message_of(sql, command.owner, METHOD, command.request_id)
        message = fold(message_id, events_of(sql, message_stream(message_id)))
        return _BeforeSend(page, message, by_person=not older_release_is_running(sql))

    async def _submit(
        self,
        before: _BeforeSend,
        command: SendMessage,
        recipients: Sequence[Recipient],
        dropped: int,
        stamp: RequestStamp | None,
    ) -> SendAnswer:
        page, message, by_person = before
        message_id = message.id
        if message.submission_state is SubmissionState.STAGED:
            raise StreamInProgress("a stream with this request_id is open", message_id=message_id)
        key = self._vault.new_message_key(message_id)
        plan = BatchPlan(
            message_id=message_id,
            page_id=command.page_id,
            stage=message.version + 1 if message.version else 0,
            round=0,
            first_batch=1,
            time=self._now(),
        )
        planning = new_batches(plan, recipients, FillableContent(command.content).variables, key, by_person=by_person)
        batches = [batch async for batch in yield_between(planning)]
        submitted = submitted_event(
            message_id,
            command,
            key,
            title=self._vault.labels.titles.seal(command.title, message_id) if by_person else command.title,
            total=len(recipients),
            dropped=dropped,
            has_variables=any_has_variables(batches),
            stamp=stamp,
            now=plan.time,
            stage=plan.stage,
        )
        commit = Commit(
            [StreamEvents(message_stream(message_id), message.version, [submitted]), *appends_of(batches)],
            also=combine(
                self._vault.save_message_key(message_id, key), person_keys.save_keys(self._vault, keys_of(batches))
            ),
        )
        result = await self._log.commit(commit)
        if not isinstance(result, Committed):
            return await self._answer_of_other_call(stamp)
        row = row_after_send(command, len(recipients), plan.time, submitted, page, sequence=result.position)
        return SendAnswer(row, dropped)

    async def _answer_of_other_call(self, stamp: RequestStamp | None) -> SendAnswer:
        """Return the answer of another call with the same request_id that committed first; raises Aborted."""
        if (answer := await self.load_first_answer(stamp)) is not None:
            return answer
        raise Aborted("another call with this request_id is under way")


def submitted_event(
    message_id: str,
    command: SendMessage,
    key: MessageKey,
    *,
    title: str,
    total: int,
    dropped: int,
    has_variables: bool,
    stamp: RequestStamp | None,
    now: datetime,
    stage: int = 0,
) -> MessageSubmitted:
    """Return the event that accepts a message; `title` is as it is stored, sealed or not."""
    return MessageSubmitted(
        message_id=message_id,
        owner=command.owner,
        page_id=command.page_id,
        title=title,
        sealed_content=key.seal_content(command.content),
        retry_policy=command.retry_policy,
        on_unconfirmed=command.on_unconfirmed,
        schedule_time=command.schedule_time,
        stop_policy=command.stop_policy or StopPolicy(),
        stage=stage,
        total=total,
        batches=batch_count(total),
        duplicates_dropped=dropped,
        has_variables=has_variables,
        fills_every_string=not FillableContent(command.content).is_plain,
        request=stamp and msgspec.structs.replace(stamp, answer=_answer(message_id, dropped)),
        time=now,
    )


def _answer(message_id: str, dropped: int) -> dict[str, Any]:
    """Return what answers a repeated request. It holds the id, because ids may have another key by then."""
    return {"duplicates_dropped": dropped, "message_id": message_id}


def row_after_send(
    command: SendMessage,
    total: int,
    now: datetime,
    submitted: MessageSubmitted | None = None,
    page: PageRow | None = None,
    *,
    sequence: int = 0,
) -> MessageRow:
    """Return the message as it is right after its Send. After a dry run it has no id and no sequence."""
    counts = {**dict.fromkeys(DeliveryStatus, 0), DeliveryStatus.PENDING: total}
    return MessageRow(
        message_id=submitted.message_id if submitted else "",
        owner=command.owner,
        page_id=command.page_id,
        title=submitted.title if submitted else command.title,
        status="PENDING",
        retry_policy=command.retry_policy,
        on_unconfirmed=command.on_unconfirmed,
        round=0,
        retry_count=0,
        counts=counts,
        total=total,
        batches_total=batch_count(total),
        batches_completed=0,
        cancelled=False,
        completed=False,
        create_time=micros(now),
        update_time=micros(now),
        end_time=None,
        sequence=sequence,
        schedule_time=(command.schedule_time and max(0, micros(command.schedule_time))) or None,
        page_hold=page.hold if page else None,
        page_pause=page.pause if page else None,
    )


class NewBatch(NamedTuple):
    """A batch, and its recipients' keys; no keys if nothing is encrypted by person."""

    created: BatchCreated
    keys: BatchKeys | None = None


def without_duplicates(recipients: Iterable[Recipient]) -> dict[str, Recipient]:
    """Return recipients by id, in order; the first one of each id stays."""
    found: dict[str, Recipient] = {}
    for recipient in recipients:
        found.setdefault(recipient.id, recipient)
    return found


def new_batches(
    plan: BatchPlan, recipients: Sequence[Recipient], wanted: frozenset[str], key: MessageKey, *, by_person: bool
) -> Iterator[NewBatch]:
    """Yield the batches of a message's recipients, with those of their variables that the content asks for (`wanted`).

    `by_person` is False while a server of the earlier release runs, because it cannot read what is sealed by person.
    """
    for index, group in enumerate(split_into_batches(recipients)):
        variables = [_only_wanted(recipient.variables, wanted) for recipient in group]
        if by_person:
            yield _sealed_by_person(plan, index, group, variables)
        else:
            yield NewBatch(_sealed_by_message(plan, index, group, variables, key))


def _only_wanted(variables: Mapping[str, str], wanted: frozenset[str]) -> Mapping[str, str]:
    if variables.keys() <= wanted:
        return variables
    return {name: value for name, value in variables.items() if name in wanted}


def _sealed_by_message(
    plan: BatchPlan, index: int, group: Sequence[Recipient], variables: Sequence[Mapping[str, str]], key: MessageKey
) -> BatchCreated:
    planned = [BatchRecipient(id=recipient.id, name=recipient.name, attempt_number=1) for recipient in group]
    return plan.batch_created(index, planned, key.seal_variables(variables, plan.first_batch + index))


def _sealed_by_person(
    plan: BatchPlan, index: int, group: Sequence[Recipient], variables: Sequence[Mapping[str, str]]
) -> NewBatch:
    planned = [BatchRecipient(id=recipient.id, name="", attempt_number=1) for recipient in group]
    if not (any(variables) or any(recipient.name for recipient in group)):
        return NewBatch(plan.batch_created(index, planned))
    keys = new_keys(len(group))
    names, sealed_variables = [], []
    for position, recipient in enumerate(group):
        own = keys.key_at(position)
        names.append(own.seal_name(recipient.name))
        sealed_variables.append(own.seal_variables(variables[position]))
    created = plan.batch_created(
        index, planned, pack(sealed_variables), sealed_names=pack(names), sealed_by_person=True
    )
    return NewBatch(created, keys)


def appends_of(batches: Iterable[NewBatch]) -> list[StreamEvents]:
    """Return the first event of each batch's stream."""
    created = [batch.created for batch in batches]
    return [StreamEvents(batch_stream(one.message_id, one.stage, one.batch_number), 0, [one]) for one in created]


def keys_of(batches: Iterable[NewBatch]) -> Mapping[BatchKey, BatchKeys]:
    """Return the recipients' keys of the batches that have any."""
    return {(one.message_id, one.batch_number): keys for one, keys in batches if keys is not None}


def any_has_variables(batches: Iterable[NewBatch]) -> bool:
    """Return whether a recipient has a variable that the content asks for."""
    return any(batch.created.sealed_variables for batch in batches)
