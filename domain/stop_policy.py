"""The stop policy: when the service stops a message because further attempts would probably fail too."""

from enum import StrEnum

import msgspec

from domain.fault import Fault, FaultScope
from domain.outcome import Failed, Outcome, Sent
from domain.page_faults import CONFIRMED_AFTER, RefusalCounter

DEFAULT_MAX_FAILURE_SHARE = 1.0
DEFAULT_MIN_ATTEMPTS = 100


class StopCause(StrEnum):
    """Why the service stopped a message."""

    CONTENT = "CONTENT"
    REPEATED_ERROR = "REPEATED_ERROR"
    FAILURE_SHARE = "FAILURE_SHARE"


class StopPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """The share of failed and unconfirmed attempts (above 0, at most 1) that stops a message after `min_attempts`.

    The default stops a message if all of its first 100 attempts fail or stay unconfirmed.
    """

    max_failure_share: float = DEFAULT_MAX_FAILURE_SHARE
    min_attempts: int = DEFAULT_MIN_ATTEMPTS

    def is_exceeded(self, attempts: int, failures: int) -> bool:
        """Return whether these counts stop the message; `failures` are failed and unconfirmed attempts."""
        return attempts >= self.min_attempts and failures >= self.max_failure_share * attempts

    def allows_sending_ahead(self, attempts: int, failures: int) -> bool:
        """Return whether more attempts may start before more outcomes are known: enough are, or one succeeded."""
        return attempts >= self.min_attempts or (self.max_failure_share >= 1 and failures < attempts)


def is_counted(outcome: Outcome) -> bool:
    """Return whether the stop policy counts an attempt; faults of the page or app hold or slow the page instead."""
    return isinstance(outcome, Sent) or outcome.fault.scope not in (FaultScope.PAGE, FaultScope.APP)


class Stop(msgspec.Struct, frozen=True, kw_only=True):
    """Why the service stopped a message: the cause, the last fault, and the attempts that the stop policy counted.

    `failed` counts failed and unconfirmed attempts.
    """

    cause: StopCause
    fault: Fault | None
    failed: int
    attempts: int


class AttemptCounts:
    """Counts a message's attempts, and finds the reason to stop it.

    `failures` counts failed and unconfirmed attempts.
    """

    def __init__(self, policy: StopPolicy, *, attempts: int = 0, failures: int = 0) -> None:
        self._policy = policy
        self._attempts = attempts
        self._failures = failures
        self._refusals = RefusalCounter(with_content=True)
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
        if isinstance(outcome, Failed) and self._refusals.count(outcome.fault) >= CONFIRMED_AFTER:
            self._repeated = outcome.fault

    def max_additional(self, in_flight: int) -> int | None:
        """Return how many more attempts may start before an outcome of those in flight; None for no limit."""
        if self._policy.allows_sending_ahead(self._attempts, self._failures):
            return None
        return max(0, self._policy.min_attempts - self._attempts - in_flight)

    def reason_to_stop(self) -> Stop | None:
        """Return why the message must be stopped now; None if it need not."""
        if self._repeated is not None:
            is_content = self._repeated.scope is FaultScope.CONTENT
            return self._stop(StopCause.CONTENT if is_content else StopCause.REPEATED_ERROR, self._repeated)
        if self._policy.is_exceeded(self._attempts, self._failures):
            return self._stop(StopCause.FAILURE_SHARE, self._last_fault)
        return None

    def _stop(self, cause: StopCause, fault: Fault | None) -> Stop:
        return Stop(cause=cause, fault=fault, failed=self._failures, attempts=self._attempts)
