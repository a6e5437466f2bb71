"""Decides when the service itself stops a message: what its attempts so far say about those to come."""

from enum import StrEnum

import msgspec

from domain.fault import Fault, Scope
from domain.outcome import Failed, Outcome, Sent
from domain.page_faults import CONFIRMED_BY, Refusals

DEFAULT_MAX_FAILURE_SHARE = 1.0
DEFAULT_MIN_ATTEMPTS = 100


class StopCause(StrEnum):
    """Why the service stopped a message."""

    CONTENT = "CONTENT"
    REPEATED_ERROR = "REPEATED_ERROR"
    FAILURE_SHARE = "FAILURE_SHARE"


class StopPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """The share of failed and unconfirmed attempts (above 0, at most 1) that stops a message, from so many attempts on.

    The default stops a message when none of its first 100 attempts reached anybody.
    """

    max_failure_share: float = DEFAULT_MAX_FAILURE_SHARE
    min_attempts: int = DEFAULT_MIN_ATTEMPTS

    def is_exceeded(self, attempts: int, failures: int) -> bool:
        """Return whether so many attempts, so many of them failed or unconfirmed, stop the message."""
        return attempts >= self.min_attempts and failures >= self.max_failure_share * attempts

    def is_settled(self, attempts: int, failures: int) -> bool:
        """Return whether more attempts may leave before the outcome of these: enough are known, or one succeeded."""
        return attempts >= self.min_attempts or (self.max_failure_share >= 1 and failures < attempts)


def is_counted(outcome: Outcome) -> bool:
    """Return whether a stop policy counts an attempt: a fault of the page or app holds or slows the page instead."""
    return isinstance(outcome, Sent) or outcome.fault.scope not in (Scope.PAGE, Scope.APP)


class Stop(msgspec.Struct, frozen=True, kw_only=True):
    """Why a message was stopped: the fault that was met last, and the attempts that its stop policy counted.

    `failed` are failed and unconfirmed attempts.
    """

    cause: StopCause
    fault: Fault | None
    failed: int
    attempts: int


class AttemptCounts:
    """Counts a message's attempts, and finds the reason to stop it.

    `failures` are failed and unconfirmed attempts.
    """

    def __init__(self, policy: StopPolicy, *, attempts: int = 0, failures: int = 0) -> None:
        self._policy = policy
        self._attempts = attempts
        self._failures = failures
        self._refusals = Refusals(with_content=True)
        self._last_fault: Fault | None = None
        self._repeated: Fault | None = None

    def add(self, outcome: Outcome) -> None:
        """Count one more attempt."""
        if isinstance(outcome, Sent):
            self._attempts += 1
            self._refusals.reset()
            self._repeated = None
            return
        self._last_fault = outcome.fault
        self._attempts += is_counted(outcome)
        self._failures += is_counted(outcome)
        if isinstance(outcome, Failed) and self._refusals.count(outcome.fault) >= CONFIRMED_BY:
            self._repeated = outcome.fault

    def room(self, in_flight: int) -> int | None:
        """Return how many more may leave beside those in flight before an outcome is known; None without a limit."""
        if self._policy.is_settled(self._attempts, self._failures):
            return None
        return max(0, self._policy.min_attempts - self._attempts - in_flight)

    def reason_to_stop(self) -> Stop | None:
        """Return why the message is to be stopped now, if it is."""
        if self._repeated is not None:
            is_content = self._repeated.scope is Scope.CONTENT
            return self._stop(StopCause.CONTENT if is_content else StopCause.REPEATED_ERROR, self._repeated)
        if self._policy.is_exceeded(self._attempts, self._failures):
            return self._stop(StopCause.FAILURE_SHARE, self._last_fault)
        return None

    def _stop(self, cause: StopCause, fault: Fault | None) -> Stop:
        return Stop(cause=cause, fault=fault, failed=self._failures, attempts=self._attempts)
