"""What the books should say: a model with neither events nor SQL, that the read models are compared with."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from domain.batch_decisions import WORKER_LOST
from domain.delivery import DeliveryStatus as S
from domain.fault import ErrorType, Fault, RetryRule
from domain.outcome import Failed, Outcome, Sent, Unconfirmed
from domain.retry import OnUnconfirmed, RetrySelection

Place = tuple[str, int]  # a batch: its message and its number


@dataclass
class Attempt:
    """One attempt; `follows_unconfirmed` = when it was planned, one before might have arrived.

    `status` and `fault` are what its batch says; what it reads as is sent once there is a receipt.
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
    def reads_as(self) -> S:
        return S.SENT if self.has_receipt else self.status

    @property
    def error(self) -> Fault | None:
        return None if self.has_receipt else self.fault

    def end(self, outcome: Outcome) -> None:
        self.fault = None if isinstance(outcome, Sent) else outcome.fault
        self.status = {Sent: S.SENT, Failed: S.FAILED, Unconfirmed: S.UNCONFIRMED}[type(outcome)]


@dataclass
class ModelBatch:
    """A batch's attempts by position, and the claim under which it is worked."""

    attempts: Sequence[Attempt]
    round: int
    owner: tuple[str, int] | None = None  # worker and page generation

    def at(self, status: S) -> list[int]:
        return [position for position, attempt in enumerate(self.attempts) if attempt.status is status]

    @property
    def is_over(self) -> bool:
        return not self.at(S.PENDING) and not self.at(S.SENDING)

    def lose_sending(self) -> None:
        """Whoever sent these will not say what became of them."""
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
        """Every recipient's attempts, in order."""
        found: dict[str, list[Attempt]] = {}
        for number in sorted(self.batches):
            for attempt in self.batches[number].attempts:
                found.setdefault(attempt.recipient, []).append(attempt)
        return found

    def stands_by(self, recipient: str) -> Attempt:
        """The attempt that decides on a recipient."""
        return _deciding(self.attempts()[recipient])

    def counts(self) -> Counter[S]:
        return Counter(_deciding(attempts).reads_as for attempts in self.attempts().values())

    def error_types(self) -> Counter[ErrorType]:
        deciding = (_deciding(attempts) for attempts in self.attempts().values())
        return Counter(attempt.error.type for attempt in deciding if attempt.error)

    @property
    def is_over(self) -> bool:
        """No attempt is open, not even one at somebody who turned out to have been reached before."""
        return all(batch.is_over for batch in self.batches.values())

    def retryable(self, selection: RetrySelection, named: Collection[str], token_generation: int) -> set[str]:
        """Whom a resend has to take, no more and no less."""
        candidates = self.candidates(selection, named, token_generation)
        asked_for = self.asks_for_unconfirmed(selection)
        return {who for who in candidates if asked_for or not self.may_have_reached(who)}

    def candidates(self, selection: RetrySelection, named: Collection[str], token_generation: int) -> set[str]:
        """Whom it would take if it did not matter that an attempt may have arrived."""
        everyone = self.attempts()
        wanted = set(named) & everyone.keys() if selection.recipients_named else everyone.keys()
        return {
            who
            for who in wanted
            if len(everyone[who]) < self.max_attempts
            and self._can_be_retried(_deciding(everyone[who]), selection, token_generation)
        }

    def is_left_out_for_an_earlier_attempt(self, recipient: str) -> bool:
        """The last attempt is known to have failed, but one before may have arrived."""
        return self.may_have_reached(recipient) and self.stands_by(recipient).reads_as is S.FAILED

    def may_have_reached(self, recipient: str) -> bool:
        """Some attempt, not only the last, is unconfirmed."""
        return any(attempt.reads_as is S.UNCONFIRMED for attempt in self.attempts()[recipient])

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
        """The word that sums the message up."""
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
    """The last one that was sent, else the last that was not cancelled (no other can be open), else the last."""
    in_order = list(attempts)
    sent = [attempt for attempt in in_order if attempt.reads_as is S.SENT]
    not_cancelled = [attempt for attempt in in_order if attempt.status is not S.CANCELLED]
    return (sent or not_cancelled or in_order)[-1]
