"""Writer of the archive: the domain decides the events, and the store's own writer appends them.

Only the projections write the read models. Events have the order of a SendStream, its deliveries, and a resend.
"""

import random
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from itertools import islice

from bench.archive import PAGES, Campaign, campaigns, page_id
from domain import batch as batches
from domain import batch_decisions
from domain import message as messages
from domain.batch import BATCH_SIZE
from domain.batch_decisions import Events
from domain.batch_events import BatchCreated, BatchRecipient, RecordedOutcome
from domain.batch_plan import BatchPlan, batch_count, split_into_batches
from domain.event import Event
from domain.message import Message
from domain.message_events import MessageSubmitted, RetryRequested
from domain.page_events import PageRegistered, SendMode
from domain.retry import DEFAULT_SELECTION, OnUnconfirmed, RetryPolicy, RetryTrigger
from domain.streams import batch_stream, message_stream, page_stream
from projections.message_rows import find
from server.commands.resend_planning import RoundRequest, SlicePlan, SliceProgress, plan_slice
from server.eventstore.commit import Commit, Committed, StreamEvents
from server.eventstore.store import Store

_OWNER = "local"
_WORKER = "bench"
_LEASE = timedelta(minutes=10)
_A_BATCH = timedelta(milliseconds=100)  # time per batch at 1,000 messages per second
_TOGETHER = 20  # commits per transaction


class NotWrittenError(Exception):
    """The store rejected a commit."""


class Archive:
    """A store that is filled with campaigns."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._chance = random.Random(1)  # noqa: S311 - reproducible, and not a secret
        self._attempts = 0

    def fill(self, attempts: int) -> None:
        """Write campaigns one after the other until the store holds this many attempts."""
        self._write(_page(number) for number in range(PAGES))
        for campaign in campaigns(attempts):
            if self._attempts >= attempts:
                return
            self._carry_out(campaign)

    def _carry_out(self, campaign: Campaign) -> None:
        message = self._submitted(campaign)
        sent_by = campaign.time + batch_count(campaign.recipients) * _A_BATCH
        message = self._completed(message, sent_by)
        message = self._resent(campaign, message, sent_by + timedelta(minutes=1))
        self._completed(message, sent_by + timedelta(minutes=2))

    def _submitted(self, campaign: Campaign) -> Message:
        """Submit the campaign and create its batches as SendStream does."""
        message = Message(id=campaign.message_id)
        staged = messages.stage(message, owner=_OWNER, page_id=campaign.page_id, worker=_WORKER, now=campaign.time)
        message = self._append(message, staged)
        plan = _plan(message, first_batch=1, round_=0, time=campaign.time)
        created = [plan.batch_created(index, some) for index, some in enumerate(_groups(campaign))]
        self._write(_first(one) for one in created)
        message = self._append(message, _submission(campaign, message))
        self._write(self._delivered(campaign, one) for one in created)
        return message

    def _resent(self, campaign: Campaign, message: Message, time: datetime) -> Message:
        """Resend to the recipients that a plain Resend selects, planned in slices as the server does."""
        number, after, is_last = message.round + 1, "", False
        while not is_last:
            retry = self._planned(message, after)
            after, is_last = retry.last_recipient, not retry.last_recipient
            if not retry.recipients:
                break
            plan = _plan(message, first_batch=message.batches + 1, round_=number, time=time)
            created = [
                plan.batch_created(index, some) for index, some in enumerate(split_into_batches(retry.recipients))
            ]
            message = self._append(message, _retry(plan, retry, message), *map(_beginning, created))
            self._write(self._delivered(campaign, one) for one in created)
        return message

    def _planned(self, message: Message, after: str) -> SlicePlan:
        with self._store.transaction(commit=False) as sql:
            row = find(sql, message.id)
            if row is None:
                raise NotWrittenError(message.id)
            request = RoundRequest(
                message_id=message.id, trigger=RetryTrigger.MANUAL, requested_by=_OWNER, selection=DEFAULT_SELECTION
            )
            return plan_slice(sql, row, request, SliceProgress(last_recipient=after))

    def _delivered(self, campaign: Campaign, created: BatchCreated) -> Commit:
        """Return the events of a batch from its claim to its completion."""
        self._attempts += len(created.recipients)
        batch = batches.fold([created])
        time = created.time + created.batch_number * _A_BATCH
        events: Events = batch_decisions.start(
            batch, worker=_WORKER, generation=1, lease_expire_time=time + _LEASE, now=time
        )
        batch = batches.apply(batch, events)
        dispatched = batch_decisions.dispatch(batch, batch.pending, token_generation=1, now=time)
        outcomes = [
            RecordedOutcome(
                position=position,
                outcome=campaign.outcome(self._chance),
                time=time + timedelta(milliseconds=position),
            )
            for position in batch.pending
        ]
        recorded = batch_decisions.record(batches.apply(batch, dispatched), outcomes, now=time + _A_BATCH)
        stream = batch_stream(batch.message_id, batch.stage, batch.number)
        return Commit([StreamEvents(stream, 1, [*events, *dispatched, *recorded])])

    def _completed(self, message: Message, time: datetime) -> Message:
        ended = messages.complete(message, open_deliveries=0, now=time)
        return message if ended is None else self._append(message, ended)

    def _append(self, message: Message, event: Event, *more: StreamEvents) -> Message:
        self._write([Commit([StreamEvents(message_stream(message.id), message.version, [event]), *more])])
        return messages.evolve(message, event)

    def _write(self, commits: Iterable[Commit]) -> None:
        waiting = iter(commits)
        while group := list(islice(waiting, _TOGETHER)):
            for written in self._store.write_together(group):
                if not isinstance(written.result, Committed):
                    raise NotWrittenError(written.result)


def _page(number: int) -> Commit:
    registered = PageRegistered(
        page_id=page_id(number),
        name=f"Page {number}",
        messages_per_second=10.0,
        send_mode=SendMode.BATCH,
        token_verified=True,
        time=next(campaigns(0)).time,
    )
    return Commit([StreamEvents(page_stream(registered.page_id), 0, [registered])])


def _groups(campaign: Campaign) -> Iterator[list[BatchRecipient]]:
    for first in range(0, campaign.recipients, BATCH_SIZE):
        yield campaign.people(first, min(BATCH_SIZE, campaign.recipients - first))


def _plan(message: Message, *, first_batch: int, round_: int, time: datetime) -> BatchPlan:
    return BatchPlan(
        message_id=message.id,
        page_id=message.page_id,
        stage=message.stage,
        round=round_,
        first_batch=first_batch,
        time=time,
    )


def _beginning(created: BatchCreated) -> StreamEvents:
    return StreamEvents(batch_stream(created.message_id, created.stage, created.batch_number), 0, [created])


def _first(created: BatchCreated) -> Commit:
    return Commit([_beginning(created)])


def _submission(campaign: Campaign, message: Message) -> MessageSubmitted:
    return MessageSubmitted(
        message_id=message.id,
        owner=message.owner,
        page_id=message.page_id,
        title=f"Campaign {campaign.number}",
        sealed_content=bytes(200),
        retry_policy=RetryPolicy(),
        on_unconfirmed=OnUnconfirmed.HOLD,
        stage=message.stage,
        total=campaign.recipients,
        batches=batch_count(campaign.recipients),
        duplicates_dropped=0,
        has_variables=False,
        time=campaign.time,
    )


def _retry(plan: BatchPlan, retry: SlicePlan, message: Message) -> RetryRequested:
    return RetryRequested(
        message_id=message.id,
        round=plan.round,
        trigger=RetryTrigger.MANUAL,
        requested_by=_OWNER,
        selection=DEFAULT_SELECTION,
        first_batch=plan.first_batch,
        batches=batch_count(len(retry.recipients)),
        recipients=len(retry.recipients),
        last_recipient=retry.last_recipient,
        retry_count=message.retry_count,
        time=plan.time,
    )
