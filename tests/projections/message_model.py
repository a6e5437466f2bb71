"""A model of messages without events and SQL, to which the read models are compared."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from domain.batch_decisions import WORKER_LOST
from domain.delivery import DeliveryStatus as S
from domain.fault import ErrorType, Fault, RetryRule
from domain.outcome import Failed, Outcome, Sent, Unconfirmed
from domain.retry import OnUnconfirmed, RetrySelection

Place = tuple[str, int]  # the message id and the number of a batch


@dataclass
class Attempt:
    """One attempt.

    `follows_unconfirmed`: an earlier attempt was unconfirmed when this one was planned. `status` and `fault` are those
    of the batch's stream; with a receipt the effective status is SENT.
    """

    recipient: str
    number: int
    status: S = S.PENDING
    fault: Fault | None = None
    token_generation: int = 0
    follows_unconfirmed: bool = False
    unconfirmed_asked_for: bool = False
    has_receipt: bool = False

    @property
    def effective_status(self) -> S:
        return S.SENT if self.has_receipt else self.status

    @property
    def error(self) -> Fault | None:
        return None if self.has_receipt else self.fault

    def end(self, outcome: Outcome) -> None:
        self.fault = None if isinstance(outcome, Sent) else outcome.fault
        self.status = {Sent: S.SENT, Failed: S.FAILED, Unconfirmed: S.UNCONFIRMED}[type(outcome)]


@dataclass
class ModelBatch:
    """A batch's attempts by position, and the owner of its claim."""

    attempts: Sequence[Attempt]
    round: int
    owner: tuple[str, int] | None = None  # worker and page generation

    def at(self, status: S) -> list[int]:
        return [position for position, attempt in enumerate(self.attempts) if attempt.status is status]

    @property
    def is_over(self) -> bool:
        return not self.at(S.PENDING) and not self.at(S.SENDING)

    def end_sending(self) -> None:
        """Mark sending attempts unconfirmed: their worker is lost."""
        for position in self.at(S.SENDING):
            self.attempts[position].end(Unconfirmed(WORKER_LOST))


@dataclass
class ModelMessage:
    """A message and all of its batches."""

    max_attempts: int
    on_unconfirmed: OnUnconfirmed
    batches: dict[int, ModelBatch] = field(default_factory=dict)
    round: int = 0
    retry_count: int = 0
    is_paused: bool = False
    is_cancelled: bool = False
    is_completed: bool = False

    def attempts(self) -> Mapping[str, list[Attempt]]:
        """Return each recipient's attempts, in order."""
        found: dict[str, list[Attempt]] = {}
        for number in sorted(self.batches):
            for attempt in self.batches[number].attempts:
                found.setdefault(attempt.recipient, []).append(attempt)
        return found

    def deciding_attempt(self, recipient: str) -> Attempt:
        """Return the attempt that decides a recipient's status."""
        return _deciding(self.attempts()[recipient])

    def counts(self) -> Counter[S]:
        return Counter(_deciding(attempts).effective_status for attempts in self.attempts().values())

    def error_types(self) -> Counter[ErrorType]:
        deciding = (_deciding(attempts) for attempts in self.attempts().values())
        return Counter(attempt.error.type for attempt in deciding if attempt.error)

    @property
    def is_over(self) -> bool:
        """Whether no attempt is open, including attempts to recipients that are already SENT."""
        return all(batch.is_over for batch in self.batches.values())

    def retryable(self, selection: RetrySelection, named: Collection[str], token_generation: int) -> set[str]:
        """Return exactly the recipients that a resend must take."""
        candidates = self.candidates(selection, named, token_generation)
        takes_unconfirmed = self.asks_for_unconfirmed(selection)
        return {one for one in candidates if takes_unconfirmed or not self.may_have_reached(one)}

    def candidates(self, selection: RetrySelection, named: Collection[str], token_generation: int) -> set[str]:
        """Return the recipients that a resend would take if it always took unconfirmed ones."""
        attempts = self.attempts()
        wanted = set(named) & attempts.keys() if selection.recipients_named else attempts.keys()
        return {
            one
            for one in wanted
            if len(attempts[one]) < self.max_attempts
            and self._can_be_retried(_deciding(attempts[one]), selection, token_generation)
        }

    def is_left_out_for_an_earlier_attempt(self, recipient: str) -> bool:
        """Return whether the last attempt failed, but an earlier one may have arrived."""
        return self.may_have_reached(recipient) and self.deciding_attempt(recipient).effective_status is S.FAILED

    def may_have_reached(self, recipient: str) -> bool:
        """Return whether any attempt is unconfirmed."""
        return any(attempt.effective_status is S.UNCONFIRMED for attempt in self.attempts()[recipient])

    def _can_be_retried(self, last: Attempt, selection: RetrySelection, token_generation: int) -> bool:
        error = last.error
        if error is None or (selection.error_types and error.type not in selection.error_types):
            return False
        if last.status is S.UNCONFIRMED:
            return True
        if selection.recipients_named or selection.error_types or error.retry is RetryRule.AUTOMATIC:
            return True
        return error.retry is RetryRule.NEW_TOKEN and last.token_generation < token_generation

    def asks_for_unconfirmed(self, selection: RetrySelection) -> bool:
        return selection.include_unconfirmed or self.on_unconfirmed is OnUnconfirmed.RESEND

    def status(self) -> str:
        """Return the message's status."""
        counts = self.counts()
        if self.is_cancelled:
            return "CANCELLED"
        if self.is_paused:
            return "PAUSED"
        if self.is_completed:
            return "SENT" if counts.keys() == {S.SENT} else "PARTIALLY_SENT" if counts[S.SENT] else "FAILED"
        every = [attempt for batch in self.batches.values() for attempt in batch.attempts]
        return "SENDING" if any(attempt.token_generation for attempt in every) else "PENDING"


def _deciding(attempts: Iterable[Attempt]) -> Attempt:
    """Return the last sent attempt, else the last not cancelled (only the last can be open), else the last one."""
    in_order = list(attempts)
    sent = [attempt for attempt in in_order if attempt.effective_status is S.SENT]
    not_cancelled = [attempt for attempt in in_order if attempt.status is not S.CANCELLED]
    return (sent or not_cancelled or in_order)[-1]
