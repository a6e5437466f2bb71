"""Planning recipients in batches."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.batch import BATCH_SIZE
from domain.batch_plan import BatchPlan, batch_count, split_into_batches
from domain.streams import batch_stream
from tests.builders import NOW, batch_created, batch_recipients


@pytest.mark.parametrize(("recipients", "batches"), [(0, 0), (1, 1), (100, 1), (101, 2), (10_000, 100)])
def test_a_batch_holds_100_recipients(recipients: int, batches: int) -> None:
    assert batch_count(recipients) == batches


@settings(derandomize=True)
@given(st.integers(0, 350))
def test_batches_hold_each_recipient_once_in_order(size: int) -> None:
    groups = list(split_into_batches(range(size)))

    assert [one for group in groups for one in group] == list(range(size))
    assert len(groups) == batch_count(size)
    assert all(len(group) == BATCH_SIZE for group in groups[:-1])


def test_a_round_continues_the_batch_numbers() -> None:
    plan = BatchPlan(message_id="m-1", page_id="7", stage=3, round=2, first_batch=5, time=NOW)

    created = plan.batch_created(1, batch_recipients("ann"), b"sealed")

    assert created == batch_created(
        "ann", message_id="m-1", page_id="7", stage=3, round=2, batch_number=6, sealed_variables=b"sealed"
    )


def test_batches_of_a_repeated_submission_have_their_own_streams() -> None:
    assert batch_stream("m-1", 1, 1) != batch_stream("m-1", 3, 1)
