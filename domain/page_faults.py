"""Tells a fault of the whole page from one that only looks like it."""

from domain.fault import ErrorType, Fault, Scope
from domain.outcome import Failed, Outcome, Sent

SUSPECTED_BY = 3  # refusals of a token in a row: then the platform is asked about it, which settles the matter
CONFIRMED_BY = 25  # of any other kind, which nobody can be asked about: one recipient may get what is meant for all


def is_page_wide(fault: Fault) -> bool:
    """It would hit everybody until somebody mends the page; rate limits and the network mend themselves."""
    mends_itself = fault.type in (ErrorType.RATE_LIMIT, ErrorType.NETWORK)
    return fault.scope in (Scope.PAGE, Scope.APP) and not mends_itself


class PageFaults:
    """Counts a page's refusals in a row, over whatever messages they come from."""

    def __init__(self) -> None:
        self._in_a_row = 0
        self._token_generation = 0
        self._token_is_good = False

    def found(self, outcome: Outcome, token_generation: int) -> Fault | None:
        """The fault that one more outcome makes certain or suspicious; those of an earlier token say nothing."""
        if token_generation < self._token_generation:
            return None
        if token_generation > self._token_generation:
            self._token_generation, self._in_a_row, self._token_is_good = token_generation, 0, False
        if isinstance(outcome, Sent):
            self._in_a_row, self._token_is_good = 0, False
        elif isinstance(outcome, Failed):
            return self._refused(outcome.fault)
        return None

    def acquit(self) -> None:
        """The platform says that the token is good."""
        self._token_is_good = True

    def _refused(self, fault: Fault) -> Fault | None:
        if not is_page_wide(fault):
            if fault.scope is Scope.RECIPIENT:
                self._in_a_row = 0  # the platform dealt with the recipient: the page itself is in order
            return None
        self._in_a_row += 1
        can_be_asked = fault.type is ErrorType.ACCESS_TOKEN and not self._token_is_good
        return fault if self._in_a_row >= (SUSPECTED_BY if can_be_asked else CONFIRMED_BY) else None
