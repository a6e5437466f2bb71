"""What goes wrong: 60 of 1,000 fail, each for a reason that the platform is known to give."""

from collections.abc import Sequence

from demo.recipients import Person
from server.sandbox.effect import Effect, ErrorAnswer
from server.sandbox.fault_order import FaultOrder
from server.sandbox.preset import PRESETS

EXPIRED_FOR = 20  # the last of the file

# Ten people each. All of these answers say that nothing arrived, so that nothing stays unconfirmed.
_FAULTS: Sequence[Effect] = (
    ErrorAnswer(code=613, subcode=2018338),  # slow down for this person
    PRESETS["temporary"].effect,
    PRESETS["unknown_recipient"].effect,
    PRESETS["outside_window"].effect,
)
_EVERY = 96  # spreads the ten over the file


def fault_orders(people: Sequence[Person], expired_token: str) -> Sequence[FaultOrder]:
    """Orders for the sandbox; the token is expired for the last people, until it is replaced."""
    orders = [
        FaultOrder(effect=effect, recipients=_ids(people[place * _EVERY // len(_FAULTS) : -EXPIRED_FOR : _EVERY][:10]))
        for place, effect in enumerate(_FAULTS)
    ]
    expired = FaultOrder(preset="expired_token", token=expired_token, recipients=_ids(people[-EXPIRED_FOR:]))
    return [*orders, expired]


def _ids(people: Sequence[Person]) -> tuple[str, ...]:
    return tuple(person.id for person in people)
