"""Faults that the demo orders from the sandbox: 60 of the 1,000 recipients fail, for five reasons."""

from collections.abc import Sequence

from demo.recipients import Person
from server.sandbox.effect import Effect, ErrorAnswer
from server.sandbox.fault_order import FaultOrder
from server.sandbox.preset import PRESETS

EXPIRED_FOR = 20  # the last recipients of the file

# Each fault hits ten recipients. These errors say that the platform did not deliver, so no delivery stays unconfirmed.
_FAULTS: Sequence[Effect] = (
    ErrorAnswer(code=613, subcode=2018338),  # rate limit for this recipient
    PRESETS["temporary"].effect,
    PRESETS["unknown_recipient"].effect,
    PRESETS["outside_window"].effect,
)
_EVERY = 96  # distance between two recipients with the same fault


def fault_orders(people: Sequence[Person], expired_token: str) -> Sequence[FaultOrder]:
    """Return the fault orders; the last recipients fail with an expired token until the token is replaced."""
    orders = [
        FaultOrder(effect=effect, recipients=_ids(people[place * _EVERY // len(_FAULTS) : -EXPIRED_FOR : _EVERY][:10]))
        for place, effect in enumerate(_FAULTS)
    ]
    expired = FaultOrder(preset="expired_token", token=expired_token, recipients=_ids(people[-EXPIRED_FOR:]))
    return [*orders, expired]


def _ids(people: Sequence[Person]) -> tuple[str, ...]:
    return tuple(person.id for person in people)
