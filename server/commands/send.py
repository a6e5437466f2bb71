"""Send: a whole message in one request."""

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
from server.commands.idempotency import PayloadHash, answered_before, stamp_for
from server.commands.lookup import find_message, find_page, reach
from server.crypto import person_keys
from server.crypto.person_keys import BatchKeys, joined, new_keys
from server.crypto.vault import MessageKey, Vault
from server.eventstore.commit import Commit, Committed, EventLog, StreamEvents, both
from server.eventstore.rolling_upgrade import older_release_is_running
from server.eventstore.stream import events_of
from server.runtime.cooperative import yield_between

METHOD = "Send"  # SendStream asks for the same thing: one name for both, so that either recognises the other


class SendAnswer(msgspec.Struct, frozen=True):
    """The message, and how many recipients stood in the request more than once."""

    message: MessageRow
    duplicates_dropped: int


class _BeforeSend(NamedTuple):
    """The page, the message's stream so far, and whether names may be encrypted by person, in one snapshot."""

    page: PageRow
    message: Message
    by_person: bool


class SendService:
    """Accepts messages; sending begins by itself once a message is durable, and its schedule_time has come."""

    def __init__(self, log: EventLog, vault: Vault, now: Callable[[], datetime]) -> None:
        self._log = log
        self._vault = vault
        self._now = now

    async def send(self, command: SendMessage, recipients: Sequence[Recipient]) -> SendAnswer:
        """Accepts a message whole; raises PageNotRegistered, RequestIdReused, Unavailable."""
        payload = PayloadHash(command, self._vault.payload_key)
        await payload.add(recipients)
        stamp = stamp_for(METHOD, command, payload.hexdigest())
        found = await self._log.read(lambda sql: self._read(sql, command, stamp))
        if isinstance(found, SendAnswer):
            return found
        fresh = list(first_of_each(recipients).values())
        dropped = len(recipients) - len(fresh)
        if command.validate_only:
            return SendAnswer(accepted_row(command, len(fresh), self._now()), dropped)
        return await self._submit(found, command, fresh, dropped, stamp)

    async def answer_again(self, stamp: RequestStamp | None) -> SendAnswer | None:
        """Return the answer to a request that was carried out before, else None; raises RequestIdReused."""
        return await self._log.read(lambda sql: self._first_answer(sql, stamp)) if stamp else None

    def _first_answer(self, sql: Sql, stamp: RequestStamp | None) -> SendAnswer | None:
        answered = answered_before(sql, stamp)
        if answered is None or stamp is None:
            return None
        message_id = self._vault.ids.message_answered(answered, stamp.owner, stamp.request_id)
        return SendAnswer(find_message(sql, stamp.owner, message_id), answered.answer["duplicates_dropped"])

    def _read(self, sql: Sql, command: SendMessage, stamp: RequestStamp | None) -> SendAnswer | _BeforeSend:
        """Read all that a Send needs in one snapshot; raises PageNotRegistered, RequestIdReused.

        A repeat receives the first answer even if its owner may no longer use the page.
        """
        if (answer := self._first_answer(sql, stamp)) is not None:
            return answer
        page = find_page(sql, reach(command), command.page_id)
        message_id = self._vault.ids.message_of(sql, command.owner, METHOD, command.request_id)
        message = fold(message_id, events_of(sql, message_stream(message_id)))
        return _BeforeSend(page, message, by_person=not older_release_is_running(sql))

    async def _submit(
        self,
        before: _BeforeSend,
        command: SendMessage,
        fresh: Sequence[Recipient],
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
        planning = new_batches(plan, fresh, FillableContent(command.content).variables, key, by_person=by_person)
        batches = [batch async for batch in yield_between(planning)]
        submitted = submission(
            message_id,
            command,
            key,
            title=self._vault.labels.titles.seal(command.title, message_id) if by_person else command.title,
            total=len(fresh),
            dropped=dropped,
            has_variables=have_variables(batches),
            stamp=stamp,
            now=plan.time,
            stage=plan.stage,
        )
        commit = Commit(
            [StreamEvents(message_stream(message_id), message.version, [submitted]), *appends_of(batches)],
            also=both(self._vault.keep_message_key(message_id, key), person_keys.keep(self._vault, keys_of(batches))),
        )
        result = await self._log.commit(commit)
        if not isinstance(result, Committed):
            return await self._beaten(stamp)
        row = accepted_row(command, len(fresh), plan.time, submitted, page, sequence=result.position)
        return SendAnswer(row, dropped)

    async def _beaten(self, stamp: RequestStamp | None) -> SendAnswer:
        """Another call with the same request_id was faster: its answer is ours, once it is there."""
        if (answer := await self.answer_again(stamp)) is not None:
            return answer
        raise Aborted("another call with this request_id is under way")


def submission(
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
    """The event that accepts a message; the title as it is kept."""
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
    """Return what a repeat of the request is answered with; the key of ids may be another one by then."""
    return {"duplicates_dropped": dropped, "message_id": message_id}


def accepted_row(
    command: SendMessage,
    total: int,
    now: datetime,
    submitted: MessageSubmitted | None = None,
    page: PageRow | None = None,
    *,
    sequence: int = 0,
) -> MessageRow:
    """Return the message as it is right after its Send; after a dry run, it has no id and no sequence."""
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


# The first round of a message: each recipient once, in batches, with the variables that the text asks for.


class NewBatch(NamedTuple):
    """A batch, and the keys of its people; none where nothing of theirs is kept, or a release before has to read it."""

    created: BatchCreated
    keys: BatchKeys | None = None


def first_of_each(recipients: Iterable[Recipient]) -> dict[str, Recipient]:
    """Recipients by id, in order; of those with the same id the first stays."""
    found: dict[str, Recipient] = {}
    for recipient in recipients:
        found.setdefault(recipient.id, recipient)
    return found


def new_batches(
    plan: BatchPlan, recipients: Sequence[Recipient], wanted: frozenset[str], key: MessageKey, *, by_person: bool
) -> Iterator[NewBatch]:
    """The batches that a plan makes of them; of their variables only the wanted ones are kept.

    While a server of the release before is at work, nothing is sealed by person: it could not read that.
    """
    for index, group in enumerate(split_into_batches(recipients)):
        variables = [_wanted(recipient.variables, wanted) for recipient in group]
        if by_person:
            yield _sealed_by_person(plan, index, group, variables)
        else:
            yield NewBatch(_sealed_by_message(plan, index, group, variables, key))


def _wanted(variables: Mapping[str, str], wanted: frozenset[str]) -> Mapping[str, str]:
    if variables.keys() <= wanted:
        return variables
    return {name: value for name, value in variables.items() if name in wanted}


def _sealed_by_message(
    plan: BatchPlan, index: int, group: Sequence[Recipient], variables: Sequence[Mapping[str, str]], key: MessageKey
) -> BatchCreated:
    people = [BatchRecipient(id=recipient.id, name=recipient.name, attempt_number=1) for recipient in group]
    return plan.batch_created(index, people, key.seal_variables(variables, plan.first_batch + index))


def _sealed_by_person(
    plan: BatchPlan, index: int, group: Sequence[Recipient], variables: Sequence[Mapping[str, str]]
) -> NewBatch:
    people = [BatchRecipient(id=recipient.id, name="", attempt_number=1) for recipient in group]
    if not (any(variables) or any(recipient.name for recipient in group)):
        return NewBatch(plan.batch_created(index, people))
    keys = new_keys(len(group))
    names, sealed_variables = [], []
    for position, recipient in enumerate(group):
        own = keys.of(position)
        names.append(own.seal_name(recipient.name))
        sealed_variables.append(own.seal_variables(variables[position]))
    created = plan.batch_created(
        index, people, joined(sealed_variables), sealed_names=joined(names), sealed_by_person=True
    )
    return NewBatch(created, keys)


def appends_of(batches: Iterable[NewBatch]) -> list[StreamEvents]:
    """The beginnings of their streams."""
    created = [batch.created for batch in batches]
    return [StreamEvents(batch_stream(one.message_id, one.stage, one.batch_number), 0, [one]) for one in created]


def keys_of(batches: Iterable[NewBatch]) -> Mapping[BatchKey, BatchKeys]:
    """The keys to be kept with them."""
    return {(one.message_id, one.batch_number): keys for one, keys in batches if keys is not None}


def have_variables(batches: Iterable[NewBatch]) -> bool:
    """Whether any recipient of theirs brought a variable that the text asks for."""
    return any(batch.created.sealed_variables for batch in batches)
