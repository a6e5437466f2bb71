"""The attempt that decides a recipient's status."""

from collections.abc import Sequence
from random import Random
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.delivery import DeliveryStatus, deciding_attempt, delivery_id, status_of
from domain.outcome import Outcome
from tests.builders import FAILED, SENT, UNCONFIRMED

S = DeliveryStatus


class Attempt(NamedTuple):
    attempt_number: int
    status: DeliveryStatus


def attempts(*statuses: DeliveryStatus) -> Sequence[Attempt]:
    return [Attempt(number, status) for number, status in enumerate(statuses, start=1)]


@pytest.mark.parametrize(
    ("statuses", "decides"),
    [
        ([S.PENDING], 1),
        ([S.FAILED, S.PENDING], 2),
        ([S.UNCONFIRMED, S.SENDING], 2),
        ([S.FAILED, S.FAILED], 2),
        ([S.FAILED, S.CANCELLED], 1),
        ([S.UNCONFIRMED, S.CANCELLED, S.CANCELLED], 1),
        ([S.CANCELLED], 1),
        ([S.CANCELLED, S.CANCELLED], 2),
        ([S.SENT, S.FAILED], 1),  # a late outcome of the first attempt
        ([S.SENT, S.SENDING], 1),
        ([S.SENT, S.SENT], 2),
        ([S.FAILED, S.UNCONFIRMED], 2),
    ],
)
def test_a_sent_attempt_decides_then_an_open_one_then_the_last(statuses: list[DeliveryStatus], decides: int) -> None:
    assert deciding_attempt(attempts(*statuses)).attempt_number == decides


@settings(derandomize=True)
@given(st.lists(st.sampled_from(S), min_size=1, max_size=5), st.randoms(use_true_random=False))
def test_the_order_of_the_attempts_does_not_matter(statuses: list[DeliveryStatus], random: Random) -> None:
    in_order = list(attempts(*statuses))
    shuffled = list(in_order)
    random.shuffle(shuffled)

    assert deciding_attempt(shuffled) == deciding_attempt(in_order)


@pytest.mark.parametrize(("outcome", "status"), [(SENT, S.SENT), (FAILED, S.FAILED), (UNCONFIRMED, S.UNCONFIRMED)])
def test_each_outcome_has_a_delivery_status(outcome: Outcome, status: DeliveryStatus) -> None:
    assert status_of(outcome) is status


def test_only_pending_and_sending_are_open() -> None:
    assert {status for status in S if status.is_open} == {S.PENDING, S.SENDING}


def test_a_delivery_id_has_message_batch_and_position() -> None:
    assert delivery_id("m-1", 3, 41) == "m-1.3.41"
