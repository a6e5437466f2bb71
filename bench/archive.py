"""What stands in a database with very many attempts: campaigns of all sizes, and what became of each attempt.

The same for the same number of attempts, whoever makes it.
"""

import random
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from domain.batch_events import BatchRecipient
from domain.fault import ErrorType, Fault, RetryRule, Scope
from domain.outcome import Failed, Outcome, Sent, Unconfirmed

PAGES = 20
_SMALL = 100  # recipients of a small campaign
_SMALL_ONES = 10  # with each ordinary campaign
_FIRST_TIME = datetime(2026, 1, 1, tzinfo=UTC)
_CAMPAIGN_EVERY = timedelta(minutes=10)
_ID_RANGE = 10**15
_ID_STEP = 618_033_988_749_895  # no factor in common with the range: ids are scattered, and each is there once


def _fault(kind: ErrorType, retry: RetryRule, message: str, code: int = 0, subcode: int = 0) -> Fault:
    return Fault(code=code, subcode=subcode, message=message, type=kind, scope=Scope.RECIPIENT, retry=retry)


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
_WEIGHTS = (40, 24, 10, 20, 4, 2, 0.02)  # by how often each is met


class Campaign(NamedTuple):
    """One message, and the shares of its attempts that fail, or of which no answer comes."""

    number: int
    recipients: int
    failing: float
    unconfirmed: float = 0.0

    @property
    def message_id(self) -> str:
        """As long as those that the server makes."""
        return str(uuid.uuid5(uuid.NAMESPACE_OID, str(self.number)))

    @property
    def page_id(self) -> str:
        """The pages take turns."""
        return page_id(self.number % PAGES)

    @property
    def time(self) -> datetime:
        """When it began."""
        return _FIRST_TIME + self.number * _CAMPAIGN_EVERY

    def people(self, first: int, count: int) -> list[BatchRecipient]:
        """Some of its recipients; their ids are in no order."""
        return [
            BatchRecipient(id=_person(self.number, first + place), name=f"Recipient {first + place}", attempt_number=1)
            for place in range(count)
        ]

    def outcome(self, chance: random.Random) -> Outcome:
        """What becomes of one attempt."""
        drawn = chance.random()
        if drawn < self.failing:
            return Failed(chance.choices(_FAULTS, _WEIGHTS)[0])
        if drawn < self.failing + self.unconfirmed:
            return Unconfirmed(_LOST)
        return Sent(f"m_{chance.getrandbits(400):x}")


def page_id(number: int) -> str:
    """As long as the platform's."""
    return str(100_000_000_000_000 + number)


def _person(campaign: int, number: int) -> str:
    return str(_ID_RANGE + (campaign * 7_919 + number) * _ID_STEP % _ID_RANGE)


def campaigns(attempts: int) -> Iterator[Campaign]:
    """One of a tenth of the attempts, one with a hundredth of them failed, then ordinary and small ones without end."""
    yield Campaign(0, attempts // 10, failing=0.05)
    yield Campaign(1, attempts // 80, failing=0.86)
    number = 2
    while True:
        yield Campaign(number, attempts // (200 + number % 50), failing=number % 9 / 100 + 0.01, unconfirmed=0.001)
        for small in range(number + 1, number + 1 + _SMALL_ONES):
            yield Campaign(small, _SMALL, failing=0.02)
        number += 1 + _SMALL_ONES
