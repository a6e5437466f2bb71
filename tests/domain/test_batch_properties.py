"""Whatever workers, crashes and cancels do to a batch, it stays what a batch can be."""

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
    _on_positions(lambda batch, chosen: batch_decisions.drop(batch, chosen, now=NOW)),
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
def test_a_delivery_only_ever_goes_where_its_state_allows(history: Sequence[Step]) -> None:
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
def test_no_event_is_about_anybody_but_the_batchs_recipients(history: Sequence[Step]) -> None:
    batch = fold(play(history))

    assert batch.statuses.keys() == set(range(SIZE))
    assert sum(Counter(batch.statuses.values()).values()) == SIZE


@settings(derandomize=True, max_examples=150)
@given(histories)
def test_a_batch_is_complete_as_soon_as_nothing_of_it_is_open(history: Sequence[Step]) -> None:
    events: list[BatchEvent] = [batch_created("a", "b", "c", "d")]
    for step in history:
        events += step(fold(events))
        batch = fold(events)
        is_over = not any(status.is_open for status in batch.statuses.values())
        assert batch.completed is is_over
        assert sum(isinstance(event, BatchCompleted) for event in events) == is_over


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
def test_nothing_is_sending_under_a_claim_that_was_lost(history: Sequence[Step]) -> None:
    before = fold(play(history))

    taken_over = apply(before, start(before, "another"))

    assert not taken_over.sending
    assert set(before.sending) <= set(taken_over.positions(S.UNCONFIRMED))


@settings(derandomize=True, max_examples=100)
@given(histories)
def test_a_decision_that_is_made_twice_has_nothing_to_do_the_second_time(history: Sequence[Step]) -> None:
    """But for a claim, which anybody may take over at any time."""
    batch = fold(play(history[:-1]))
    for step in history[-1:]:
        events = step(batch)
        if not any(isinstance(event, BatchStarted) for event in events):
            assert step(apply(batch, events)) == ()
