"""Recognises a fault that hits everybody from the refusals since the last success.

A success proves that the page and the content are in order, so it resets the count. A recipient's own error proves
nothing about other recipients, so it does not.
"""

from collections import Counter

from domain.fault import ErrorType, Fault, Scope
from domain.outcome import Failed, Outcome, Sent

SUSPECTED_BY = 3  # refusals of a token without a success: then the platform is asked about the token
CONFIRMED_BY = 25  # refusals without a success, whatever the platform says about the token


def is_page_wide(fault: Fault) -> bool:
    """Return whether a fault hits every message of the page until a person corrects it.

    Rate limits and transport errors pass by themselves.
    """
    passes_by_itself = fault.type in (ErrorType.RATE_LIMIT, ErrorType.NETWORK)
    return fault.scope in (Scope.PAGE, Scope.APP) and not passes_by_itself


class Refusals:
    """Counts refusals since the last success: those of one scope together, those of each unlisted code apart."""

    def __init__(self, *, with_content: bool) -> None:
        self._with_content = with_content
        self._counts: Counter[tuple[int, int] | None] = Counter()

    def count(self, fault: Fault) -> int:
        """Add a refusal and return how many like it there are; 0 for one that says nothing about others."""
        if not fault.is_listed:
            key: tuple[int, int] | None = (fault.code, fault.subcode)
        elif is_page_wide(fault) or (self._with_content and fault.scope is Scope.CONTENT):
            key = None
        else:
            return 0
        self._counts[key] += 1
        return self._counts[key]

    def reset(self) -> None:
        """Forget all refusals, after a success."""
        self._counts.clear()


class PageFaults:
    """Recognises a fault of a whole page, over all of its messages and under its present token."""

    def __init__(self) -> None:
        self._refusals = Refusals(with_content=False)
        self._token_generation = 0
        self._token_is_accepted = False
        self._confirmed: Fault | None = None

    @property
    def confirmed(self) -> Fault | None:
        """The fault that is certain, whatever the platform says about the token; None without one."""
        return self._confirmed

    def found(self, outcome: Outcome, token_generation: int) -> Fault | None:
        """Return the fault that one more outcome makes suspected or certain; outcomes of an earlier token count not."""
        if token_generation < self._token_generation:
            return None
        if token_generation > self._token_generation:
            self._token_generation = token_generation
            self._reset()
        if isinstance(outcome, Sent):
            self._reset()
        return self._refused(outcome.fault) if isinstance(outcome, Failed) else None

    def token_accepted(self) -> None:
        """Record that the platform accepts the token: until a success, only more refusals make a fault certain."""
        self._token_is_accepted = True

    def _reset(self) -> None:
        self._refusals.reset()
        self._token_is_accepted, self._confirmed = False, None

    def _refused(self, fault: Fault) -> Fault | None:
        count = self._refusals.count(fault)
        if count >= CONFIRMED_BY:
            self._confirmed = fault
        is_suspected = fault.type is ErrorType.ACCESS_TOKEN and not self._token_is_accepted and count >= SUSPECTED_BY
        return fault if is_suspected or count >= CONFIRMED_BY else None
