"""Properties that hold for a batch after any sequence of decisions."""

from collections import Counter
from collections.abc import Callable, Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from domain import batch_decisions
from domain.batch import Batch, apply, fold
from domain.batch_decisions import Events
from domain.batch_events import BatchCompleted, BatchEvent, BatchStarted, DeliveriesDispatched, RecordedOutcome
from domain.delivery import DeliveryStatus
from domain.outcome import Outcome
from tests.builders import FAILED, NOW, SENT, UNCONFIRMED, batch_created, known, start

Step = Callable[[Batch], Events]
S = DeliveryStatus

SIZE = 4
MAY_FOLLOW: dict[DeliveryStatus, frozenset[DeliveryStatus]] = {
    S.PENDING: frozenset({S.SENDING, S.CANCELLED}),
    S.SENDING: frozenset({S.SENT, S.FAILED, S.UNCONFIRMED, S.PENDING, S.CANCELLED}),
    S.UNCONFIRMED: frozenset({S.SENT, S.FAILED}),
    S.SENT: frozenset(),
    S.FAILED: frozenset(),
    S.CANCELLED: frozenset(),
}

positions = st.lists(st.integers(0, SIZE), unique=True, max_size=SIZE)  # one of them does not exist
outcomes: st.SearchStrategy[Outcome] = st.sampled_from([SENT, FAILED, UNCONFIRMED])
recorded = st.lists(st.builds(known, st.integers(0, SIZE), outcomes), max_size=SIZE, unique_by=lambda one: one.position)


def _on_positions(decide: Callable[[Batch, Sequence[int]], Events]) -> st.SearchStrategy[Step]:
    return positions.map(lambda chosen: lambda batch: decide(batch, chosen))


def _on_outcomes(decide: Callable[[Batch, Sequence[RecordedOutcome]], Events]) -> st.SearchStrategy[Step]:
    return recorded.map(lambda chosen: lambda batch: decide(batch, chosen))


steps: st.SearchStrategy[Step] = st.one_of(
    st.sampled_from(["worker-1", "worker-2"]).map(lambda worker: lambda batch: start(batch, worker)),
    _on_positions(lambda batch, chosen: batch_decisions.dispatch(batch, chosen, token_generation=1, now=NOW)),
    _on_outcomes(lambda batch, chosen: batch_decisions.record(batch, chosen, now=NOW)),
    _on_outcomes(lambda batch, chosen: batch_decisions.record_late(batch, chosen, now=NOW)),
    _on_positions(lambda batch, chosen: batch_decisions.return_unsent(batch, chosen, now=NOW)),
    _on_positions(lambda batch, chosen: batch_decisions.cancel_positions(batch, chosen, now=NOW)),
    st.just(lambda batch: batch_decisions.cancel(batch, now=NOW)),
    st.just(lambda batch: batch_decisions.release(batch, now=NOW)),
)
histories = st.lists(steps, max_size=25)


def play(history: Sequence[Step]) -> list[BatchEvent]:
    events: list[BatchEvent] = [batch_created("a", "b", "c", "d")]
    for step in history:
        events += step(fold(events))
    return events


@settings(derandomize=True, max_examples=150)
@given(histories)
def test_a_delivery_changes_only_to_allowed_statuses(history: Sequence[Step]) -> None:
    events = play(history)
    batch = fold(events[:1])
    for event in events[1:]:
        changed = apply(batch, [event])
        for position, before in batch.statuses.items():
            now = changed.statuses[position]
            assert now is before or now in MAY_FOLLOW[before], (type(event), before, now)
        batch = changed


@settings(derandomize=True, max_examples=150)
@given(histories)
def test_events_change_only_the_batchs_own_positions(history: Sequence[Step]) -> None:
    batch = fold(play(history))

    assert batch.statuses.keys() == set(range(SIZE))
    assert sum(Counter(batch.statuses.values()).values()) == SIZE


@settings(derandomize=True, max_examples=150)
@given(histories)
def test_a_batch_is_completed_when_no_delivery_is_open(history: Sequence[Step]) -> None:
    events: list[BatchEvent] = [batch_created("a", "b", "c", "d")]
    for step in history:
        events += step(fold(events))
        batch = fold(events)
        has_ended = not any(status.is_open for status in batch.statuses.values())
        assert batch.completed is has_ended
        assert sum(isinstance(event, BatchCompleted) for event in events) == has_ended


@settings(derandomize=True, max_examples=150)
@given(histories)
def test_only_the_latest_claim_dispatches(history: Sequence[Step]) -> None:
    claim = None
    for version, event in enumerate(play(history), start=1):
        if isinstance(event, BatchStarted):
            claim = version
        if isinstance(event, DeliveriesDispatched):
            assert event.claim == claim


@settings(derandomize=True, max_examples=150)
@given(histories)
def test_a_takeover_leaves_no_delivery_sending(history: Sequence[Step]) -> None:
    before = fold(play(history))

    taken_over = apply(before, start(before, "another"))

    assert not taken_over.sending
    assert set(before.sending) <= set(taken_over.positions(S.UNCONFIRMED))


@settings(derandomize=True, max_examples=100)
@given(histories)
def test_a_repeated_decision_returns_no_events(history: Sequence[Step]) -> None:
    """Except for a claim: any worker may take over the batch at any time."""
    batch = fold(play(history[:-1]))
    for step in history[-1:]:
        events = step(batch)
        if not any(isinstance(event, BatchStarted) for event in events):
            assert step(apply(batch, events)) == ()
