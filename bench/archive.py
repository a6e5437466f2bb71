"""Campaigns of all sizes with the outcome of each attempt, for a database with millions of attempts.

The content depends only on the number of attempts.
"""

import random
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from domain.batch_events import BatchRecipient
from domain.fault import ErrorType, Fault, FaultScope, RetryRule
from domain.outcome import Failed, Outcome, Sent, Unconfirmed

PAGES = 20
_SMALL = 100  # recipients of a small campaign
_SMALL_ONES = 10  # after each ordinary campaign
_FIRST_TIME = datetime(2026, 1, 1, tzinfo=UTC)
_CAMPAIGN_EVERY = timedelta(minutes=10)
_ID_RANGE = 10**15
_ID_STEP = 618_033_988_749_895  # has no common factor with the range, so ids are scattered and unique


def _fault(kind: ErrorType, retry: RetryRule, message: str, code: int = 0, subcode: int = 0) -> Fault:
    return Fault(code=code, subcode=subcode, message=message, type=kind, scope=FaultScope.RECIPIENT, retry=retry)


_UNREACHABLE = _fault(
    ErrorType.INVALID_RECIPIENT, RetryRule.NEVER, "(#551) This person isn't available right now.", 551, 1545041
)
_OUTSIDE = _fault(
    ErrorType.PERMISSION,
    RetryRule.NEVER,
    "(#10) This message is sent outside of allowed window. Learn more about the new policy here.",
    10,
    2018278,
)
_SLOWER = _fault(ErrorType.RATE_LIMIT, RetryRule.AUTOMATIC, "(#613) Calls to this api have exceeded the limit.", 613)
_DOWN = _fault(ErrorType.NETWORK, RetryRule.AUTOMATIC, "Service temporarily unavailable", 2)
_REFUSED = _fault(ErrorType.NETWORK, RetryRule.AUTOMATIC, "the connection was refused")
_DEAD_TOKEN = _fault(
    ErrorType.ACCESS_TOKEN,
    RetryRule.NEW_TOKEN,
    "Error validating access token: Session has expired on Sunday, 01-Mar-26 04:00:00 PST.",
    190,
    463,
)
_LOST = _fault(ErrorType.NETWORK, RetryRule.AUTOMATIC, "no answer came in time")
_DUPLICATE = _fault(ErrorType.OTHER, RetryRule.NEVER, "(#506) Duplicate status message", 506)
_FAULTS = (_UNREACHABLE, _OUTSIDE, _SLOWER, _DOWN, _REFUSED, _DEAD_TOKEN, _DUPLICATE)
_WEIGHTS = (40, 24, 10, 20, 4, 2, 0.02)  # relative frequencies


class Campaign(NamedTuple):
    """One message, with the shares of its attempts that fail or stay unconfirmed."""

    number: int
    recipients: int
    failing: float
    unconfirmed: float = 0.0

    @property
    def message_id(self) -> str:
        """The message id, in the server's format."""
        return str(uuid.uuid5(uuid.NAMESPACE_OID, str(self.number)))

    @property
    def page_id(self) -> str:
        """The page that sends the campaign; campaigns rotate over the pages."""
        return page_id(self.number % PAGES)

    @property
    def time(self) -> datetime:
        """The time of the Send."""
        return _FIRST_TIME + self.number * _CAMPAIGN_EVERY

    def people(self, first: int, count: int) -> list[BatchRecipient]:
        """Return some of the campaign's recipients; their ids are in no order."""
        return [
            BatchRecipient(id=_person(self.number, first + place), name=f"Recipient {first + place}", attempt_number=1)
            for place in range(count)
        ]

    def outcome(self, chance: random.Random) -> Outcome:
        """Draw the outcome of one attempt."""
        drawn = chance.random()
        if drawn < self.failing:
            return Failed(chance.choices(_FAULTS, _WEIGHTS)[0])
        if drawn < self.failing + self.unconfirmed:
            return Unconfirmed(_LOST)
        return Sent(f"m_{chance.getrandbits(400):x}")


def page_id(number: int) -> str:
    """Return a page id as long as the platform's."""
    return str(100_000_000_000_000 + number)


def _person(campaign: int, number: int) -> str:
    return str(_ID_RANGE + (campaign * 7_919 + number) * _ID_STEP % _ID_RANGE)


def campaigns(attempts: int) -> Iterator[Campaign]:
    """Yield a campaign with a tenth of the attempts, one with 86 percent failures, then ordinary and small ones.

    The iterator does not end.
    """
    yield Campaign(0, attempts // 10, failing=0.05)
    yield Campaign(1, attempts // 80, failing=0.86)
    number = 2
    while True:
        yield Campaign(number, attempts // (200 + number % 50), failing=number % 9 / 100 + 0.01, unconfirmed=0.001)
        for small in range(number + 1, number + 1 + _SMALL_ONES):
            yield Campaign(small, _SMALL, failing=0.02)
        number += 1 + _SMALL_ONES
