"""The model's decisions equal the domain's, so that results about the model apply to the domain."""

from collections.abc import Callable, Iterator
from itertools import product
from typing import NamedTuple

import msgspec
import pytest

from domain import batch as domain_batch
from domain import batch_decisions
from domain.batch_decisions import Events
from domain.delivery import DeliveryStatus as Status
from domain.outcome import Outcome
from tests.builders import FAILED, LEASE, NOW, SENT, UNCONFIRMED, WORKER, known, new_batch, start
from tests.model import decisions
from tests.model.rules import ALL_RULES
from tests.model.state import NONE, Batch, Delivery, Request

OUTCOMES: dict[Status, Outcome] = {Status.SENT: SENT, Status.FAILED: FAILED, Status.UNCONFIRMED: UNCONFIRMED}
CHUNKS = ((0,), (1,), (0, 1))


class Case(NamedTuple):
    """One decision in the model and in the domain."""

    name: str
    in_model: Callable[[Batch], Batch]
    in_domain: Callable[[domain_batch.Batch], Events]
    needs_claim: bool


def on_all(name: str, in_model: Callable[[Batch], Batch], in_domain: Callable[[domain_batch.Batch], Events]) -> Case:
    return Case(name, in_model, in_domain, needs_claim=name == "release")


def on_chunk(chunk: tuple[int, ...]) -> Iterator[Case]:
    def pending(batch: Batch) -> tuple[int, ...]:
        return tuple(position for position in chunk if position in batch.positions(Status.PENDING))

    yield Case(
        f"dispatch {chunk}",
        lambda batch: decisions.dispatch(batch, pending(batch), Request.LEAVING),
        lambda batch: batch_decisions.dispatch(batch, chunk, token_generation=1, now=NOW),
        needs_claim=True,
    )
    yield Case(
        f"return_unsent {chunk}",
        lambda batch: decisions.return_unsent(batch, chunk),
        lambda batch: batch_decisions.return_unsent(batch, chunk, now=NOW),
        needs_claim=True,
    )
    yield Case(
        f"drop {chunk}",
        lambda batch: decisions.drop(batch, pending(batch)),
        lambda batch: batch_decisions.cancel_positions(batch, chunk, now=NOW),
        needs_claim=True,
    )


def on_outcome(position: int, outcome: Status) -> Iterator[Case]:
    came = [known(position, OUTCOMES[outcome])]
    yield Case(
        f"record {position} {outcome}",
        lambda batch: decisions.record(batch, position, outcome, ALL_RULES),
        lambda batch: batch_decisions.record(batch, came, now=NOW),
        needs_claim=True,
    )
    yield Case(
        f"record_late {position} {outcome}",
        lambda batch: decisions.record_late(batch, position, outcome, ALL_RULES),
        lambda batch: batch_decisions.record_late(batch, came, now=NOW),
        needs_claim=False,
    )


CASES = (
    on_all("start", lambda batch: decisions.start(batch, 0, ALL_RULES), start),
    on_all(
        "cancel",
        lambda batch: decisions.cancel(batch, ALL_RULES),
        lambda batch: batch_decisions.cancel(batch, now=NOW),
    ),
    on_all("release", decisions.release, lambda batch: batch_decisions.release(batch, now=NOW)),
    *(case for chunk in CHUNKS for case in on_chunk(chunk)),
    *(case for position, outcome in product((0, 1), OUTCOMES) for case in on_outcome(position, outcome)),
)


def open_batches() -> Iterator[Batch]:
    """Yield every batch of two that is not completed, with and without a claim."""
    for first, second, is_cancelled, is_claimed in product(Status, Status, (False, True), (False, True)):
        batch = Batch(
            (Delivery(0, first), Delivery(1, second)),
            claim=2 if is_claimed else 0,
            worker=0 if is_claimed else NONE,
            cancelled=is_cancelled,
        )
        if batch.is_open:
            yield batch


def as_domain(batch: Batch) -> domain_batch.Batch:
    return msgspec.structs.replace(
        new_batch("ann", "bob"),
        statuses={position: delivery.status for position, delivery in enumerate(batch.deliveries)},
        claim=domain_batch.Claim(batch.claim, "worker-1", 1) if batch.claim else None,
        cancelled=batch.cancelled,
    )


def facts(batch: Batch) -> tuple[object, ...]:
    return [d.status for d in batch.deliveries], batch.claim != 0, batch.cancelled, batch.completed


def domain_facts(batch: domain_batch.Batch) -> tuple[object, ...]:
    return list(batch.statuses.values()), batch.claim is not None, batch.cancelled, batch.completed


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_models_decisions_equal_the_domains(case: Case) -> None:
    for batch in open_batches():
        if case.needs_claim and not batch.claim:
            continue
        before = as_domain(batch)
        after = domain_batch.apply(before, case.in_domain(before))

        assert facts(case.in_model(batch)) == domain_facts(after), batch


def test_a_takeover_uses_receipts_as_the_domain_does() -> None:
    for batch, *has_receipt in product(open_batches(), (False, True), (False, True)):
        deliveries = (d._replace(has_receipt=has) for d, has in zip(batch.deliveries, has_receipt, strict=True))
        echoed = batch._replace(deliveries=tuple(deliveries))
        before = as_domain(echoed)
        receipts = {position: known(position, SENT) for position, has in enumerate(has_receipt) if has}
        events = batch_decisions.start(
            before, worker=WORKER, generation=1, lease_expire_time=NOW + LEASE, now=NOW, receipts=receipts
        )

        assert facts(decisions.start(echoed, 0, ALL_RULES)) == domain_facts(domain_batch.apply(before, events)), echoed
