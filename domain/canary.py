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


class OpenRound(msgspec.Struct, frozen=True, kw_only=True):
    """A round that is not all planned yet. With a trial these batches are its canary's, and nothing follows before."""

    round: int
    trial: Trial | None
    first_batch: int
    batches: int
    has_passed: bool = False

    @property
    def waits(self) -> bool:
        """Its canary is not decided."""
        return self.trial is not None and not self.has_passed
