"""State machine rules for callers and timers, token changes, worker losses and rebuilds (see test_consistency.py)."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from domain import message as messages
from domain.batch_events import BatchRecipient
from domain.delivery import DeliveryStatus as S
from domain.fault import ErrorType
from domain.message_events import MessagePaused, MessageResumed
from domain.retry import OnUnconfirmed, RetryPolicy, RetrySelection, RetryTrigger
from server.commands.resend_planning import RoundRequest
from server.eventstore.commit import Commit, Committed, Conflict
from tests.builders import (
    FAILED,
    OWNER,
    batch_recipients,
    message_abandoned,
    message_staged,
    message_submitted,
    page_token_replaced,
    request_stamp,
    retry_requested,
)
from tests.projections.message_model import Attempt, ModelBatch, ModelMessage
from tests.projections.worker_rules import WorkerRules

MAX_MESSAGES = 3
COMMITS_BEFORE_CANCEL = 30  # few rules apply to a message after a cancel
STREAMED = "streamed"  # the message whose recipients come as a stream; it may start again after it was abandoned
sizes = st.integers(1, 5)
limits = st.integers(1, 2)  # max_retry_attempts
on_unconfirmed_values = st.sampled_from(OnUnconfirmed)
selections = st.builds(
    RetrySelection,
    recipients_named=st.booleans(),
    error_types=st.lists(st.sampled_from([ErrorType.NETWORK, ErrorType.INVALID_RECIPIENT]), max_size=1).map(tuple),
    include_unconfirmed=st.booleans(),
)


def in_groups_of_three(people: Sequence[BatchRecipient]) -> list[Sequence[BatchRecipient]]:
    return [people[start : start + 3] for start in range(0, len(people), 3)]


class CallerRules(WorkerRules):
    """Sends, streams, resends, pauses, cancels and completes."""

    # New messages

    @initialize(data=st.data(), on_unconfirmed=on_unconfirmed_values)
    def initialize_with_a_message(self, data: st.DataObject, on_unconfirmed: OnUnconfirmed) -> None:
        self.register_page()
        self.send(5, 2, on_unconfirmed)
        self.process_open_batches(data)

    @precondition(lambda self: len(self.model) < MAX_MESSAGES)
    @rule(
        size=sizes, limit=limits, on_unconfirmed=on_unconfirmed_values, streamed=st.booleans(), breaks_off=st.booleans()
    )
    def send_another(
        self, size: int, limit: int, on_unconfirmed: OnUnconfirmed, streamed: bool, breaks_off: bool
    ) -> None:
        if streamed and STREAMED not in self.model:
            self.stream(size, limit, on_unconfirmed, breaks_off)
        else:
            self.send(size, limit, on_unconfirmed)

    def send(self, size: int, limit: int, on_unconfirmed: OnUnconfirmed) -> None:
        message_id = f"m{len(self.model)}"
        groups = in_groups_of_three(batch_recipients(*(f"r{n}" for n in range(size))))
        submitted = self.submitted(message_id, size, len(groups), limit, on_unconfirmed)
        appends = self.db.new_batches(message_id, groups, first=1, time=submitted.time)
        self.db.write(self.db.of_message(self.db.message(message_id), submitted), *appends)
        self.begin(message_id, groups, limit, on_unconfirmed)

    def stream(self, size: int, limit: int, on_unconfirmed: OnUnconfirmed, breaks_off: bool) -> None:
        before = self.db.message(STREAMED)
        self.db.write(self.db.of_message(before, message_staged(message_id=STREAMED, time=self.now())))
        self.db.stages[STREAMED] = before.version + 1
        groups = in_groups_of_three(batch_recipients(*(f"r{n}" for n in range(size))))
        self.db.write(*self.db.new_batches(STREAMED, groups, first=1, time=self.now()))
        staged = self.db.message(STREAMED)
        if breaks_off:
            self.db.write(self.db.of_message(staged, message_abandoned(message_id=STREAMED, time=self.now())))
            assert not self.db.rows("SELECT 1 FROM recipients WHERE message_id = :id", id=STREAMED)
            self.reached("a stream was abandoned")
            return
        submitted = self.submitted(STREAMED, size, len(groups), limit, on_unconfirmed, stage=staged.stage)
        self.db.write(self.db.of_message(staged, submitted))
        self.begin(STREAMED, groups, limit, on_unconfirmed)

    def submitted(
        self, message_id: str, size: int, batches: int, limit: int, on_unconfirmed: OnUnconfirmed, stage: int = 0
    ) -> Any:
        return message_submitted(
            size,
            message_id=message_id,
            batches=batches,
            retry_policy=RetryPolicy(max_retry_attempts=limit),
            on_unconfirmed=on_unconfirmed,
            stage=stage,
            request=request_stamp(f"send {message_id}"),
            time=self.now(),
        )

    def begin(
        self, message_id: str, groups: Sequence[Sequence[BatchRecipient]], limit: int, on_unconfirmed: OnUnconfirmed
    ) -> None:
        message = self.model[message_id] = ModelMessage(1 + limit, on_unconfirmed)
        for number, group in enumerate(groups, start=1):
            message.batches[number] = ModelBatch([Attempt(one.id, 1) for one in group], round=0)

    # Requests and timers

    @rule(
        data=st.data(), resends=st.lists(st.booleans(), min_size=1, max_size=2), trigger=st.sampled_from(RetryTrigger)
    )
    def resend_and_process(self, data: st.DataObject, resends: list[bool], trigger: RetryTrigger) -> None:
        """Resend once or twice, each time with or without unconfirmed recipients."""
        for include_unconfirmed in resends:
            self.resend(data, include_unconfirmed, trigger)
            self.process_open_batches(data)

    def resend(self, data: st.DataObject, include_unconfirmed: bool, trigger: RetryTrigger) -> None:
        self.start_round(data, RetrySelection(include_unconfirmed=include_unconfirmed), trigger)

    @rule(data=st.data(), selection=selections)
    def resend_selection(self, data: st.DataObject, selection: RetrySelection) -> None:
        self.start_round(data, selection, RetryTrigger.MANUAL)

    @precondition(lambda self: self.places(S.UNCONFIRMED))
    @rule(data=st.data())
    def resend_with_failure(self, data: st.DataObject) -> None:
        """Resend unconfirmed recipients so that the second attempt fails, then resend without unconfirmed ones."""
        self.resend(data, True, RetryTrigger.MANUAL)
        self.process_open_batches(data, FAILED)
        self.resend(data, False, RetryTrigger.MANUAL)

    @precondition(lambda self: self.places(S.UNCONFIRMED))
    @rule(data=st.data())
    def resend_before_a_late_outcome(self, data: st.DataObject) -> None:
        """Record late outcomes after the next attempt is planned."""
        self.resend(data, True, RetryTrigger.MANUAL)
        self.record_late_outcomes(data)
        self.process_open_batches(data)

    def start_round(self, data: st.DataObject, selection: RetrySelection, trigger: RetryTrigger) -> None:
        """Commit the same plan twice at one version: only one commit succeeds (protocol rule 11)."""
        message_id = data.draw(st.sampled_from(sorted(self.model)), label="message")
        model, message = self.model[message_id], self.db.message(message_id)
        if model.is_cancelled:
            return
        named = data.draw(st.lists(st.sampled_from(["r0", "r1", "r3", "stranger"]), min_size=1), label="named")
        named = named if selection.recipients_named else []
        request = RoundRequest(
            message_id=message_id,
            trigger=RetryTrigger.MANUAL,
            requested_by=OWNER,
            selection=selection,
            recipient_ids=tuple(named),
        )
        plan = self.db.plan(request)
        taken = model.retryable(selection, named, self.token_generation)
        assert {one.id for one in plan.recipients} == taken
        skipped = model.candidates(selection, named, self.token_generation) - taken
        if any(model.is_left_out_for_an_earlier_attempt(recipient) for recipient in skipped):
            self.reached("a recipient is skipped for an earlier unconfirmed attempt")
        assert plan.total == len(plan.recipients)
        if not plan.recipients:
            return
        groups, time = in_groups_of_three(plan.recipients), self.now()
        requested = retry_requested(
            trigger,
            message_id=message_id,
            round=model.round + 1,
            selection=selection,
            first_batch=message.batches + 1,
            batches=len(groups),
            recipients=plan.total,
            retry_count=messages.next_retry_count(message, trigger),
            request=request_stamp(f"resend {self.ticks}", method="Resend"),
            time=time,
        )
        appends = self.db.new_batches(message_id, groups, first=message.batches + 1, round=requested.round, time=time)
        commit = Commit([self.db.of_message(message, requested), *appends])
        first, second = self.db.write_all(commit, replace(commit, append_id="of another caller"))
        assert isinstance(first, Committed)
        assert isinstance(second, Conflict)
        self.begin_round(model, selection, groups, requested.retry_count)

    def begin_round(
        self,
        model: ModelMessage,
        selection: RetrySelection,
        groups: Sequence[Sequence[BatchRecipient]],
        retry_count: int,
    ) -> None:
        model.round, model.retry_count, model.is_completed = model.round + 1, retry_count, False
        for group in groups:
            attempts = [
                Attempt(
                    one.id,
                    one.attempt_number,
                    follows_unconfirmed=model.may_have_reached(one.id),
                    unconfirmed_asked_for=model.asks_for_unconfirmed(selection),
                )
                for one in group
            ]
            model.batches[len(model.batches) + 1] = ModelBatch(attempts, round=model.round)

    @rule(change=st.sampled_from(["replace the token", "replace the worker", "rebuild"]))
    def change_something_else(self, change: str) -> None:
        if change == "replace the token":
            self.replace_token()
        elif change == "replace the worker":
            self.replace_worker()
        else:
            self.db.assert_rebuilt_equal()

    def replace_token(self) -> None:
        self.token_generation += 1
        replaced = page_token_replaced(self.token_generation, time=self.now())
        self.db.append_to_page(self.token_generation - 1, replaced)

    @precondition(lambda self: self.places(S.PENDING))
    @rule(data=st.data(), resumes=st.sampled_from([True, True, True, False]))
    def pause(self, data: st.DataObject, resumes: bool) -> None:
        """Pause a message and try to dispatch from it; usually resume it at once."""
        message_id, number = data.draw(st.sampled_from(self.places(S.PENDING)), label="batch")
        model = self.model[message_id]
        if model.is_cancelled:
            return
        self.set_paused(message_id, is_paused=True)
        self.claim((message_id, number))
        self.dispatch((message_id, number), self.at((message_id, number)).at(S.PENDING))
        if resumes:
            self.set_paused(message_id, is_paused=False)

    @precondition(lambda self: any(model.is_paused for model in self.model.values()))
    @rule(data=st.data())
    def resume(self, data: st.DataObject) -> None:
        paused = [name for name, model in self.model.items() if model.is_paused and not model.is_cancelled]
        if paused:
            self.set_paused(data.draw(st.sampled_from(paused), label="message"), is_paused=False)
            self.process_open_batches(data)

    def set_paused(self, message_id: str, *, is_paused: bool) -> None:
        model, message, now = self.model[message_id], self.db.message(message_id), self.now()
        event: MessagePaused | MessageResumed | None
        if is_paused:
            event = messages.pause(message, has_retryable_recipients=False, requested_by=OWNER, request=None, now=now)
        else:
            event = messages.resume(message, requested_by=OWNER, request=None, now=now)
        assert (event is None) is (model.is_paused is is_paused)
        if event is not None:
            self.db.write(self.db.of_message(message, event))
        model.is_paused = is_paused

    @precondition(lambda self: self.ticks > COMMITS_BEFORE_CANCEL)
    @rule(data=st.data(), reaches_batches=st.booleans())
    def cancel(self, data: st.DataObject, reaches_batches: bool) -> None:
        """Cancel a message; its batches are cancelled at once, or when a worker tries to dispatch from them."""
        if len(self.model) < MAX_MESSAGES:
            self.send(4, 1, OnUnconfirmed.HOLD)
        message_id = data.draw(st.sampled_from(sorted(self.model)), label="message")
        model, message = self.model[message_id], self.db.message(message_id)
        if model.is_completed:
            return
        cancelled = messages.cancel(
            message, has_retryable_recipients=False, requested_by=OWNER, request=None, now=self.now()
        )
        assert (cancelled is None) is model.is_cancelled
        if cancelled is not None:
            self.db.write(self.db.of_message(message, cancelled))
        model.is_cancelled = True
        for place in self.places(S.PENDING):
            if place[0] == message_id and reaches_batches:
                self.cancel_batch(place)
            elif place[0] == message_id:  # a worker that does not know of the cancel
                self.claim(place)
                self.dispatch(place, self.at(place).at(S.PENDING))

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def complete(self, data: st.DataObject) -> None:
        message_id = data.draw(st.sampled_from(sorted(self.model)), label="message")
        model, message = self.model[message_id], self.db.message(message_id)
        open_deliveries = int(self.db.row(message_id).is_open)
        completed = messages.complete(message, open_deliveries=open_deliveries, now=self.now())
        assert (completed is not None) is (model.is_over and not model.is_completed)
        if completed is not None:
            self.db.write(self.db.of_message(message, completed))
            model.is_completed, model.is_paused = True, False
            self.reached(f"done: {model.status()}")
