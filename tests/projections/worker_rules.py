"""State machine rules for workers: claims, outcomes, receipts and takeovers (see test_consistency.py)."""

from collections.abc import Sequence

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from domain import batch_decisions
from domain.delivery import DeliveryStatus as S
from domain.outcome import Outcome
from server.eventstore.commit import Committed, Conflict, Refused
from server.sending.preconditions import AlreadySent, BlockReason, dispatch_guard
from tests.builders import LEASE
from tests.projections.consistency_machine import ConsistencyMachine
from tests.projections.message_model import Attempt, ModelMessage, Place


class WorkerRules(ConsistencyMachine):
    """Claims, dispatches, records, returns and releases."""

    @precondition(lambda self: self.places(S.PENDING, S.SENDING))
    @rule(data=st.data())
    def process_all(self, data: st.DataObject) -> None:
        self.process_open_batches(data)

    def process_open_batches(self, data: st.DataObject, outcome: Outcome | None = None) -> None:
        """Claim and send all open batches, with this outcome or random ones for each delivery."""
        for place in self.places(S.PENDING, S.SENDING):
            self.claim(place)
            if pending := self.at(place).at(S.PENDING):
                self.dispatch(place, pending)
            if sending := self.at(place).at(S.SENDING):
                self.record(data, place, sending, outcome)

    @precondition(lambda self: self.places(S.PENDING, S.SENDING))
    @rule(
        data=st.data(),
        then=st.sampled_from(["wait", "record", "echo", "return", "release", "lose the page"]),
    )
    def claim_or_take_over(self, data: st.DataObject, then: str) -> None:
        place = data.draw(st.sampled_from(self.places(S.PENDING, S.SENDING)), label="batch")
        self.claim(place)
        if then == "lose the page":
            self.replace_worker()
        if then != "wait" and (pending := self.at(place).at(S.PENDING)):
            self.dispatch(place, self.some(data, pending))
        if then == "record" and (sending := self.at(place).at(S.SENDING)):
            self.record(data, place, self.some(data, sending))
        if then == "echo" and (sending := self.at(place).at(S.SENDING)):
            self.echo(place, self.some(data, sending))
        if then == "return" and (sending := self.at(place).at(S.SENDING)):
            self.return_unsent(place, self.some(data, sending))
        if then == "release" and not self.at(place).is_over:
            self.release(place)

    def claim(self, place: Place) -> None:
        """Commit the same claim twice at one version: the second commit conflicts and writes nothing."""
        batch = self.db.batch(*place)
        now = self.now()
        worker, generation = self.owner
        events = batch_decisions.start(
            batch, worker=worker, generation=generation, lease_expire_time=now + LEASE, now=now
        )
        assert isinstance(self.db.write(self.db.of_batch(batch, events)), Committed)
        assert isinstance(self.db.write(self.db.of_batch(batch, events)), Conflict)
        self.at(place).end_sending()
        self.at(place).owner = self.owner

    @precondition(lambda self: self.claimed(S.PENDING, S.SENDING))
    @rule(data=st.data())
    def process_claimed_batch(self, data: st.DataObject) -> None:
        """Record or dispatch some deliveries of a claimed batch."""
        place = data.draw(st.sampled_from(self.claimed(S.PENDING, S.SENDING)), label="batch")
        if sending := self.at(place).at(S.SENDING):
            self.record(data, place, self.some(data, sending))
        else:
            self.dispatch(place, self.some(data, self.at(place).at(S.PENDING)))

    def dispatch(self, place: Place, positions: Sequence[int]) -> None:
        batch, now = self.db.batch(*place), self.now()
        events = batch_decisions.dispatch(batch, positions, token_generation=self.token_generation, now=now)
        worker, generation = self.at(place).owner or ("", 0)
        guard = dispatch_guard(batch, positions, worker=worker, generation=generation, erased_until=0, replaced_round=0)
        result = self.db.write(self.db.of_batch(batch, events), guard=guard)
        expected = self.expected_refusal(place, positions)
        if expected is not None:
            assert result == Refused(expected)
            self.handle_refusal(place, expected)
            return
        assert isinstance(result, Committed)
        for position in positions:
            self.check_dispatch(self.model[place[0]], self.at(place).attempts[position])

    def expected_refusal(self, place: Place, positions: Sequence[int]) -> BlockReason | AlreadySent | None:
        """Return the refusal that the model expects for this dispatch."""
        message, batch = self.model[place[0]], self.at(place)
        if message.is_cancelled:
            return BlockReason.MESSAGE_STOPPED
        if message.is_paused:
            return BlockReason.MESSAGE_PAUSED
        if batch.owner != self.owner:
            return BlockReason.PAGE_LOST
        sent = [
            p for p in positions if message.deciding_attempt(batch.attempts[p].recipient).effective_status is S.SENT
        ]
        return AlreadySent(tuple(sent)) if sent else None

    def check_dispatch(self, message: ModelMessage, attempt: Attempt) -> None:
        """Check invariant 2 when a delivery is dispatched."""
        earlier = message.attempts()[attempt.recipient]
        assert all(one.effective_status is not S.SENT for one in earlier)
        assert not attempt.follows_unconfirmed or attempt.unconfirmed_asked_for
        self.reached(
            "an unconfirmed recipient is resent" if attempt.follows_unconfirmed else f"attempt {attempt.number}"
        )
        attempt.status, attempt.token_generation = S.SENDING, self.token_generation

    def handle_refusal(self, place: Place, expected: BlockReason | AlreadySent) -> None:
        """Do what a worker does after this refusal."""
        self.reached(f"refused: {type(expected).__name__ if isinstance(expected, AlreadySent) else expected.name}")
        batch = self.db.batch(*place)
        if isinstance(expected, AlreadySent):
            self.db.write(
                self.db.of_batch(batch, batch_decisions.cancel_positions(batch, expected.positions, now=self.now()))
            )
            for position in expected.positions:
                self.at(place).attempts[position].status = S.CANCELLED
        elif expected is BlockReason.MESSAGE_STOPPED:
            self.cancel_batch(place)
        elif expected is BlockReason.MESSAGE_PAUSED:
            self.release(place)

    def cancel_batch(self, place: Place) -> None:
        """Cancel the pending deliveries of a batch."""
        batch = self.db.batch(*place)
        self.db.write(self.db.of_batch(batch, batch_decisions.cancel(batch, now=self.now())))
        for position in self.at(place).at(S.PENDING):
            self.at(place).attempts[position].status = S.CANCELLED

    def record(
        self, data: st.DataObject, place: Place, positions: Sequence[int], outcome: Outcome | None = None
    ) -> None:
        batch = self.db.batch(*place)
        known = self.end(data, place, positions, outcome)
        self.db.write(self.db.of_batch(batch, batch_decisions.record(batch, known, now=self.now())))

    @precondition(lambda self: self.places(S.UNCONFIRMED))
    @rule(data=st.data())
    def record_late_outcomes(self, data: st.DataObject) -> None:
        place = data.draw(st.sampled_from(self.places(S.UNCONFIRMED)), label="batch")
        batch = self.db.batch(*place)
        known = self.end(data, place, self.some(data, self.at(place).at(S.UNCONFIRMED)))
        self.db.write(self.db.of_batch(batch, batch_decisions.record_late(batch, known, now=self.now())))
        self.reached("a late outcome")

    @precondition(lambda self: self.model)
    @rule(data=st.data(), about=st.sampled_from(S))
    def record_receipts(self, data: st.DataObject, about: S) -> None:
        """Record receipts for attempts of any status, also pending ones and ones that have a receipt."""
        place = data.draw(st.sampled_from(self.places(about) or self.places(*S)), label="batch")
        self.echo(place, self.some(data, range(len(self.at(place).attempts))))

    def echo(self, place: Place, some: Sequence[int]) -> None:
        """Record echoes for these positions."""
        attempts = self.at(place).attempts
        for receipt in self.db.record_echoes(self.db.batch(*place), some, now=self.now()):
            attempt = attempts[receipt.position]
            self.reached(f"a receipt for a delivery that is {attempt.status}")
            assert not attempt.has_receipt
            attempt.has_receipt = True
        assert all(attempts[position].has_receipt for position in some)

    def return_unsent(self, place: Place, positions: Sequence[int]) -> None:
        batch = self.db.batch(*place)
        self.db.write(self.db.of_batch(batch, batch_decisions.return_unsent(batch, positions, now=self.now())))
        for position in positions:
            self.at(place).attempts[position].status = S.CANCELLED if batch.cancelled else S.PENDING
        self.reached("a delivery is returned")

    def release(self, place: Place) -> None:
        batch = self.db.batch(*place)
        self.db.write(self.db.of_batch(batch, batch_decisions.release(batch, now=self.now())))
        self.at(place).end_sending()
        self.at(place).owner = None
        self.reached("a batch is released")

    def replace_worker(self) -> None:
        """Give the page to another process; claims of the old one stay until they are taken over."""
        generation = self.owner[1] + 1
        self.owner = (f"worker-{generation}", generation)
        self.db.give_page(*self.owner)
