"""The base of the state machine of test_consistency.py: a database, a model, and helpers to choose batches."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine

from domain.batch_events import RecordedOutcome
from domain.delivery import DeliveryStatus as S
from domain.outcome import Outcome
from tests.builders import (
    FAILED,
    FAILED_FOR_GOOD,
    FAILED_FOR_TOKEN,
    SENT,
    UNCONFIRMED,
    after,
    page_registered,
)
from tests.projections.driven_store import DrivenStore
from tests.projections.message_model import ModelBatch, ModelMessage, Place

outcomes: st.SearchStrategy[Outcome] = st.sampled_from(
    [SENT, FAILED, FAILED, FAILED_FOR_GOOD, FAILED_FOR_TOKEN, UNCONFIRMED, UNCONFIRMED]
)


class ConsistencyMachine(RuleBasedStateMachine):
    """Applies the same operations to a database and a model; one process owns the page, until another takes over."""

    seen: ClassVar[Counter[str]] = Counter()  # situations that occurred, over all runs

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.db = DrivenStore(Path(self.folder.name) / "books.db")
        self.model: dict[str, ModelMessage] = {}
        self.token_generation = 1
        self.owner = ("worker-1", 1)
        self.ticks = 0

    def teardown(self) -> None:
        try:
            self.db.assert_rebuilt_equal()
        finally:
            self.db.close()
            self.folder.cleanup()

    def register_page(self) -> None:
        self.db.append_to_page(0, page_registered())
        self.db.give_page(*self.owner)

    def reached(self, situation: str) -> None:
        """Record that a situation occurred, so that the test can check that each one does."""
        self.seen[situation] += 1

    def now(self) -> datetime:
        self.ticks += 1
        return after(self.ticks)

    def places(self, *statuses: S) -> list[Place]:
        """Return the batches that have deliveries with any of these statuses."""
        return [
            (message_id, number)
            for message_id, message in self.model.items()
            for number, batch in message.batches.items()
            if any(batch.at(status) for status in statuses)
        ]

    def claimed(self, *statuses: S) -> list[Place]:
        return [place for place in self.places(*statuses) if self.at(place).owner is not None]

    def at(self, place: Place) -> ModelBatch:
        return self.model[place[0]].batches[place[1]]

    def some(self, data: st.DataObject, positions: Sequence[int]) -> list[int]:
        return sorted(data.draw(st.sets(st.sampled_from(list(positions)), min_size=1), label="positions"))

    def end(
        self, data: st.DataObject, place: Place, positions: Sequence[int], outcome: Outcome | None = None
    ) -> list[RecordedOutcome]:
        """Return outcomes for some deliveries (this outcome, or random ones), and apply them to the model."""
        known = [
            RecordedOutcome(position=position, outcome=outcome or data.draw(outcomes, label="outcome"), time=self.now())
            for position in positions
        ]
        for one in known:
            self.at(place).attempts[one.position].end(one.outcome)
        return known
