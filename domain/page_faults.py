"""Detection of faults that every recipient would get, from the refusals since the last success.

A success proves that the page and the content work, so it resets the count. An error of one recipient proves nothing
about other recipients, so it neither counts nor resets.
"""

from collections import Counter

from domain.fault import ErrorType, Fault, FaultScope
from domain.outcome import Failed, Outcome, Sent

SUSPECTED_AFTER = 3  # refusals of a token without a success: then the server checks the token with the platform
CONFIRMED_AFTER = 25  # refusals without a success, even if the platform accepts the token


def is_page_wide(fault: Fault) -> bool:
    """Return whether every message of the page gets this fault until a person corrects it.

    Rate limits and transport errors are temporary.
    """
    is_temporary = fault.type in (ErrorType.RATE_LIMIT, ErrorType.NETWORK)
    return fault.scope in (FaultScope.PAGE, FaultScope.APP) and not is_temporary


class RefusalCounter:
    """Counts refusals since the last success: all page-wide ones together, and each unlisted code separately."""

    def __init__(self, *, with_content: bool) -> None:
        self._with_content = with_content
        self._counts: Counter[tuple[int, int] | None] = Counter()

    def count(self, fault: Fault) -> int:
        """Add a refusal and return the count of its kind; 0 for a fault that proves nothing about other recipients."""
        if not fault.is_listed:
            key: tuple[int, int] | None = (fault.code, fault.subcode)
        elif is_page_wide(fault) or (self._with_content and fault.scope is FaultScope.CONTENT):
            key = None
        else:
            return 0
        self._counts[key] += 1
        return self._counts[key]

    def reset(self) -> None:
        """Clear the counts, after a success."""
        self._counts.clear()


class PageFaultDetector:
    """Detects a fault of a whole page, from the outcomes of all its messages under its current token."""

    def __init__(self) -> None:
        self._refusals = RefusalCounter(with_content=False)
        self._token_generation = 0
        self._token_is_accepted = False
        self._confirmed: Fault | None = None

    @property
    def confirmed(self) -> Fault | None:
        """The confirmed fault, which holds even if the platform accepts the token; None if there is none."""
        return self._confirmed

    def observe(self, outcome: Outcome, token_generation: int) -> Fault | None:
        """Return the fault that one more outcome makes suspected or confirmed; ignore outcomes of an earlier token."""
        if token_generation < self._token_generation:
            return None
        if token_generation > self._token_generation:
            self._token_generation = token_generation
            self._reset()
        if isinstance(outcome, Sent):
            self._reset()
        return self._refused(outcome.fault) if isinstance(outcome, Failed) else None

    def record_token_accepted(self) -> None:
        """Record that the platform accepts the token: until a success, only CONFIRMED_AFTER refusals report a fault."""
        self._token_is_accepted = True

    def _reset(self) -> None:
        self._refusals.reset()
        self._token_is_accepted, self._confirmed = False, None

    def _refused(self, fault: Fault) -> Fault | None:
        count = self._refusals.count(fault)
        if count >= CONFIRMED_AFTER:
            self._confirmed = fault
        is_suspected = fault.type is ErrorType.ACCESS_TOKEN and not self._token_is_accepted and count >= SUSPECTED_AFTER
        return fault if is_suspected or count >= CONFIRMED_AFTER else None
