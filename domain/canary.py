"""A canary: a round of resends that goes to a few first, and on to the rest only if that goes well."""

import msgspec

MAX_CANARY = 10_000  # recipients: one slice of a round, so that a canary is planned whole or not at all


class Canary(msgspec.Struct, frozen=True, kw_only=True):
    """How many go first, and which share of them may fail or stay unconfirmed (0 to 1)."""

    recipients: int
    max_failure_share: float = 0.0

    def allows(self, failures: int) -> bool:
        """The rest may follow after so many of the canary's recipients failed or are unconfirmed."""
        return failures / self.recipients <= self.max_failure_share


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """A canary as it was planned: `rest` recipients are to follow, `waiting` those of them who were named.

    Whoever has changed since the position `as_of` of the log does not follow.
    """

    canary: Canary
    rest: int
    as_of: int
    waiting: tuple[str, ...] = ()


class OpenTrial(msgspec.Struct, frozen=True, kw_only=True):
    """A round whose canary is under way, or whose rest is not all planned yet; these batches are the canary's."""

    round: int
    trial: Trial
    first_batch: int
    batches: int
    has_passed: bool = False
