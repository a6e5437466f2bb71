"""Rules of test_books.py: what workers do to batches, and how they die."""

from collections.abc import Sequence

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from domain import batch_decisions
from domain.delivery import DeliveryStatus as S
from domain.outcome import Outcome
from server.eventstore.commit import Committed, Conflict, Refused
from server.sending.preconditions import AlreadySent, BlockReason, may_leave
from tests.builders import LEASE
from tests.projections.book_keeping import BookKeeping
from tests.projections.book_model import Attempt, ModelMessage, Place


class BookWorkers(BookKeeping):
    """Claims, dispatches, records, hears late, takes back, lets go."""

    @precondition(lambda self: self.places(S.PENDING, S.SENDING))
    @rule(data=st.data())
    def work_everything_off(self, data: st.DataObject) -> None:
        self.work_off(data)

    def work_off(self, data: st.DataObject, outcome: Outcome | None = None) -> None:
        """A worker takes what is open, batch after batch, and hears of all that it sends: this, or anything."""
        for place in self.places(S.PENDING, S.SENDING):
            self.claim(place)
            if pending := self.at(place).at(S.PENDING):
                self.dispatch(place, pending)
            if sending := self.at(place).at(S.SENDING):
                self.record(data, place, sending, outcome)

    @precondition(lambda self: self.places(S.PENDING, S.SENDING))
    @rule(
        data=st.data(),
        then=st.sampled_from(["waits", "records", "is echoed", "takes back", "lets go", "loses the page"]),
    )
    def claim_or_take_over(self, data: st.DataObject, then: str) -> None:
        place = data.draw(st.sampled_from(self.places(S.PENDING, S.SENDING)), label="batch")
        self.claim(place)
        if then == "loses the page":
            self.die()
        if then != "waits" and (pending := self.at(place).at(S.PENDING)):
            self.dispatch(place, self.some(data, pending))
        if then == "records" and (sending := self.at(place).at(S.SENDING)):
            self.record(data, place, self.some(data, sending))
        if then == "is echoed" and (sending := self.at(place).at(S.SENDING)):
            self.echo(place, self.some(data, sending))
        if then == "takes back" and (sending := self.at(place).at(S.SENDING)):
            self.take_back(place, self.some(data, sending))
        if then == "lets go" and not self.at(place).is_over:
            self.release(place)

    def claim(self, place: Place) -> None:
        """Twice at one version: whoever is second finds that the batch has moved on, and nothing is written."""
        batch = self.db.batch(*place)
        now = self.now()
        worker, generation = self.owner
        events = batch_decisions.start(
            batch, worker=worker, generation=generation, lease_expire_time=now + LEASE, now=now
        )
        assert isinstance(self.db.write(self.db.of_batch(batch, events)), Committed)
        assert isinstance(self.db.write(self.db.of_batch(batch, events)), Conflict)
        self.at(place).lose_sending()
        self.at(place).owner = self.owner

    @precondition(lambda self: self.claimed(S.PENDING, S.SENDING))
    @rule(data=st.data())
    def go_on(self, data: st.DataObject) -> None:
        """A worker does the next thing with a batch of its own."""
        place = data.draw(st.sampled_from(self.claimed(S.PENDING, S.SENDING)), label="batch")
        if sending := self.at(place).at(S.SENDING):
            self.record(data, place, self.some(data, sending))
        else:
            self.dispatch(place, self.some(data, self.at(place).at(S.PENDING)))

    def dispatch(self, place: Place, positions: Sequence[int]) -> None:
        batch, now = self.db.batch(*place), self.now()
        events = batch_decisions.dispatch(batch, positions, token_generation=self.token_generation, now=now)
        worker, generation = self.at(place).owner or ("", 0)
        guard = may_leave(batch, positions, worker=worker, generation=generation, erased_until=0, replaced_round=0)
        result = self.db.write(self.db.of_batch(batch, events), guard=guard)
        expected = self.hindrance(place, positions)
        if expected is not None:
            assert result == Refused(expected)
            self.heed(place, expected)
            return
        assert isinstance(result, Committed)
        for position in positions:
            self.leave(self.model[place[0]], self.at(place).attempts[position])

    def hindrance(self, place: Place, positions: Sequence[int]) -> BlockReason | AlreadySent | None:
        """What has to keep these from leaving, by the model."""
        message, batch = self.model[place[0]], self.at(place)
        if message.is_cancelled:
            return BlockReason.MESSAGE_STOPPED
        if message.is_paused:
            return BlockReason.MESSAGE_PAUSED
        if batch.owner != self.owner:
            return BlockReason.PAGE_LOST
        sent = [p for p in positions if message.stands_by(batch.attempts[p].recipient).reads_as is S.SENT]
        return AlreadySent(tuple(sent)) if sent else None

    def leave(self, message: ModelMessage, attempt: Attempt) -> None:
        """Invariant 2, at the moment when something leaves."""
        earlier = message.attempts()[attempt.recipient]
        assert all(one.reads_as is not S.SENT for one in earlier)
        assert not attempt.follows_unconfirmed or attempt.unconfirmed_asked_for
        self.reached("an unconfirmed one is resent" if attempt.follows_unconfirmed else f"attempt {attempt.number}")
        attempt.status, attempt.token_generation = S.SENDING, self.token_generation

    def heed(self, place: Place, expected: BlockReason | AlreadySent) -> None:
        """What a worker does about it."""
        self.reached(f"refused: {type(expected).__name__ if isinstance(expected, AlreadySent) else expected.name}")
        batch = self.db.batch(*place)
        if isinstance(expected, AlreadySent):
            self.db.write(self.db.of_batch(batch, batch_decisions.drop(batch, expected.positions, now=self.now())))
            for position in expected.positions:
                self.at(place).attempts[position].status = S.CANCELLED
        elif expected is BlockReason.MESSAGE_STOPPED:
            self.cancel_batch(place)
        elif expected is BlockReason.MESSAGE_PAUSED:
            self.release(place)

    def cancel_batch(self, place: Place) -> None:
        """Nothing more of it leaves."""
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
    def hear_late(self, data: st.DataObject) -> None:
        place = data.draw(st.sampled_from(self.places(S.UNCONFIRMED)), label="batch")
        batch = self.db.batch(*place)
        known = self.end(data, place, self.some(data, self.at(place).at(S.UNCONFIRMED)))
        self.db.write(self.db.of_batch(batch, batch_decisions.record_late(batch, known, now=self.now())))
        self.reached("late evidence")

    @precondition(lambda self: self.model)
    @rule(data=st.data(), about=st.sampled_from(S))
    def hear_of_receipts(self, data: st.DataObject, about: S) -> None:
        """At any time, about any attempt: also one that is not known to have left, or was heard of before."""
        place = data.draw(st.sampled_from(self.places(about) or self.places(*S)), label="batch")
        self.echo(place, self.some(data, range(len(self.at(place).attempts))))

    def echo(self, place: Place, some: Sequence[int]) -> None:
        """The platform says that it took these."""
        attempts = self.at(place).attempts
        for receipt in self.db.record_echoes(self.db.batch(*place), some, now=self.now()):
            attempt = attempts[receipt.position]
            self.reached(f"a receipt of one that is {attempt.status}")
            assert not attempt.has_receipt
            attempt.has_receipt = True
        assert all(attempts[position].has_receipt for position in some)

    def take_back(self, place: Place, positions: Sequence[int]) -> None:
        batch = self.db.batch(*place)
        self.db.write(self.db.of_batch(batch, batch_decisions.return_unsent(batch, positions, now=self.now())))
        for position in positions:
            self.at(place).attempts[position].status = S.CANCELLED if batch.cancelled else S.PENDING
        self.reached("taken back")

    def release(self, place: Place) -> None:
        batch = self.db.batch(*place)
        self.db.write(self.db.of_batch(batch, batch_decisions.release(batch, now=self.now())))
        self.at(place).lose_sending()
        self.at(place).owner = None
        self.reached("let go")

    def die(self) -> None:
        """Another process takes the page; what the dead one had begun stays claimed until it is taken over."""
        generation = self.owner[1] + 1
        self.owner = (f"worker-{generation}", generation)
        self.db.give_page(*self.owner)
