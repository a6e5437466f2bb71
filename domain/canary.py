"""A canary: a resend round that goes to a few recipients first, and to the rest only if few of them fail."""

import msgspec

MAX_CANARY_RECIPIENTS = 10_000  # recipients: one slice of a round, so that a canary is planned in one append


class Canary(msgspec.Struct, frozen=True, kw_only=True):
    """The number of recipients that go first, and the share of them (0 to 1) that may fail or stay unconfirmed."""

    recipients: int
    max_failure_share: float = 0.0

    def allows(self, failures: int) -> bool:
        """Return whether the rest may follow after this number of failed and unconfirmed deliveries."""
        return failures / self.recipients <= self.max_failure_share


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """A planned canary.

    - `rest`: the number of recipients that follow the canary.
    - `waiting`: those of them that the resend names.
    - `as_of`: a log position; recipients that changed since then do not follow.
    """

    canary: Canary
    rest: int
    as_of: int
    waiting: tuple[str, ...] = ()


class OpenRound(msgspec.Struct, frozen=True, kw_only=True):
    """A round that is not completely planned.

    If it has a trial, these batches are the canary, and the rest waits for its result.
    """

    round: int
    trial: Trial | None
    first_batch: int
    batches: int
    has_passed: bool = False

    @property
    def awaits_canary(self) -> bool:
        """Whether its canary is undecided."""
        return self.trial is not None and not self.has_passed
