"""What a round was ordered by: whoever goes on with it, asks for the same."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from domain.automatic_rounds import limit_after_resend
from domain.batch_plan import BatchPlan, batches_needed
from domain.canary import Canary, Trial
from domain.event import RequestStamp
from domain.message import Message, next_retry_count, replaces_content, resume_corrected
from domain.message_events import MessageResumed, RetryRequested
from domain.retry import RetrySelection, RetryTrigger
from server.commands.retry_planning import RetryPlan


class RoundOrder(msgspec.Struct, frozen=True, kw_only=True):
    """Who starts a round and why; `tick` names the timer's run. Empty recipient_ids name nobody."""

    message_id: str
    trigger: RetryTrigger
    requested_by: str
    selection: RetrySelection
    recipient_ids: tuple[str, ...] = ()
    tick: str = ""
    request: RequestStamp | None = None
    canary: Canary | None = None
    messages_per_second: float = 0.0
    reason: str = ""
    sealed_content: bytes = b""  # corrected; empty for a round that sends what its recipients were sent before

    def slice(
        self,
        message: Message,
        batches: BatchPlan,
        plan: RetryPlan,
        trial: Trial | None,
        *,
        is_first: bool,
        is_under_way: bool,
    ) -> RetryRequested:
        """The event of the round's next slice, which brings the recipients of the plan.

        `is_under_way`: another round of the message, or its first send, has not ended.
        """
        sets_limit = is_first and self.trigger is RetryTrigger.MANUAL
        has_more = is_first and trial is None and bool(plan.after)
        return RetryRequested(
            message_id=message.id,
            round=batches.round,
            trigger=self.trigger,
            requested_by=self.requested_by,
            selection=self.selection,
            first_batch=batches.first_batch,
            batches=batches_needed(len(plan.recipients)),
            recipients=len(plan.recipients),
            last_recipient=plan.after,
            retry_count=next_retry_count(message, self.trigger) if is_first else message.retry_count,
            tick=self.tick,
            request=self._answered(batches.round, plan) if is_first else None,
            reason=self.reason if is_first else "",
            skipped=dict(plan.skipped) if is_first else {},
            trial=trial,
            goes_on=has_more and message.open_round is None,  # a message has one open round
            messages_per_second=self.messages_per_second,
            sealed_content=self.sealed_content if is_first else b"",
            replaces_content=is_first and self.replaces_content(message),
            automatic_from_batch=(
                limit_after_resend(message, self.selection, is_under_way=is_under_way)
                if sets_limit
                else message.automatic_from_batch
            ),
            time=batches.time,
        )

    def replaces_content(self, message: Message) -> bool:
        """Return whether the round's content also replaces those of deliveries that the round does not take."""
        return bool(self.sealed_content) and replaces_content(message, self.selection)

    def resumes(self, message: Message, now: datetime) -> Sequence[MessageResumed]:
        """Return the event that lets a stopped message go on with the corrected content; a canary goes first alone."""
        if self.canary is not None or not self.replaces_content(message):
            return ()
        resumed = resume_corrected(message, requested_by=self.requested_by, now=now)
        return () if resumed is None else (resumed,)

    def _answered(self, number: int, plan: RetryPlan) -> RequestStamp | None:
        """What the same request is answered by, should it come again."""
        if self.request is None:
            return None
        answer = {"round": number, "skipped": dict(plan.skipped), "recipients": plan.total}
        return msgspec.structs.replace(self.request, answer=answer)
