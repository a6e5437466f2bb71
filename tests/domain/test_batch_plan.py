"""Recipients put into batches."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.batch import BATCH_SIZE
from domain.batch_plan import BatchPlan, batches_needed, in_batches
from domain.streams import batch_stream
from tests.builders import NOW, batch_created, batch_recipients


@pytest.mark.parametrize(("recipients", "batches"), [(0, 0), (1, 1), (100, 1), (101, 2), (10_000, 100)])
def test_a_batch_holds_a_hundred(recipients: int, batches: int) -> None:
    assert batches_needed(recipients) == batches


@settings(derandomize=True)
@given(st.integers(0, 350))
def test_batches_hold_everyone_once_in_order(size: int) -> None:
    groups = list(in_batches(range(size)))

    assert [one for group in groups for one in group] == list(range(size))
    assert len(groups) == batches_needed(size)
    assert all(len(group) == BATCH_SIZE for group in groups[:-1])


def test_a_round_numbers_its_batches_on() -> None:
    plan = BatchPlan(message_id="m-1", page_id="7", stage=3, round=2, first_batch=5, time=NOW)

    created = plan.created(1, batch_recipients("ann"), b"sealed")

    assert created == batch_created(
        "ann", message_id="m-1", page_id="7", stage=3, round=2, batch_number=6, sealed_variables=b"sealed"
    )


def test_batches_of_a_second_stream_stand_apart_from_those_of_the_one_before() -> None:
    assert batch_stream("m-1", 1, 1) != batch_stream("m-1", 3, 1)
