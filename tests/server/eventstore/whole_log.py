"""Writes a log with an event of every type."""

from collections import Counter
from collections.abc import Iterator, Sequence

from domain import batch as batches
from domain import batch_decisions
from domain.batch import Batch
from domain.batch_decisions import Events
from domain.canary import Canary, Trial
from domain.event import Event
from domain.message_events import MessageCancelled, MessageCompleted, RetryStopped
from domain.retention_events import (
    CleanedPart,
    CleanupCompleted,
    CleanupCounted,
    CleanupStarted,
    DeliveriesCleaned,
    PersonErased,
)
from domain.streams import (
    batch_stream,
    cleanup_stream,
    message_stream,
    page_stream,
    person_stream,
    receipts_stream,
)
from server.eventstore.commit import Commit, Committed, StreamEvents
from server.eventstore.store import Store
from tests.builders import (
    FAILED,
    FAILED_FOR_GOOD,
    MESSAGE,
    NOW,
    OWNER,
    PAGE,
    SENT,
    after,
    batch_created,
    batch_recipients,
    known,
    message_abandoned,
    message_paused,
    message_resumed,
    message_staged,
    message_stopped,
    message_submitted,
    page_held,
    page_registered,
    page_released,
    page_settings_changed,
    page_shared,
    page_token_replaced,
    page_transferred,
    request_stamp,
    retry_requested,
    start,
)
from tests.receipts import delivered, echo, read, receipts_recorded

Story = Iterator[tuple[str, Sequence[Event]]]


def write_everything(store: Store, *, but: tuple[type[Event], ...] = ()) -> None:
    """Append all histories, one commit per step; omit commits that start with an event in `but`."""
    versions: Counter[str] = Counter()
    for stream, events in _histories():
        if isinstance(events[0], but):
            continue
        append(store, stream, versions[stream], *events)
        versions[stream] += len(events)


def write_many(store: Store, page_id: str, changes: int) -> None:
    """Write a page with this many changes of its settings."""
    stream = page_stream(page_id)
    append(store, stream, 0, page_registered(page_id))
    append(store, stream, 1, *(page_settings_changed(page_id, name=f"name {n}") for n in range(changes)))


def append(store: Store, stream: str, expected_version: int, *events: Event) -> None:
    """Append one commit that must succeed."""
    commit = Commit([StreamEvents(stream, expected_version, events)])
    assert isinstance(store.write_together([commit])[0].result, Committed)


def _histories() -> Story:
    unowned = page_registered(requested_by="")  # without an owner, as earlier releases wrote it
    yield page_stream(PAGE), [unowned, page_settings_changed(name="Shop"), page_token_replaced()]
    yield page_stream(PAGE), [page_held(), page_released()]
    yield page_stream(PAGE), [page_shared("crm", "shop"), page_transferred("shop", "crm")]
    yield message_stream(MESSAGE), [message_submitted(4, request=request_stamp())]
    yield from _first_round()
    yield message_stream(MESSAGE), [MessageCompleted(message_id=MESSAGE, time=NOW)]
    yield from _cancelled_round()
    receipts = receipts_recorded(echo(0), delivered(0), read(0)), receipts_recorded(echo(2), time=after(10))
    yield receipts_stream(MESSAGE, 0, 1), receipts
    yield cleanup_stream("c-1"), _cleanup()
    yield person_stream("bob"), [PersonErased(recipient_id="bob", messages=(MESSAGE,), requested_by=OWNER, time=NOW)]
    yield message_stream("m-2"), [message_staged(message_id="m-2")]
    yield batch_stream("m-2", 1, 1), [batch_created(message_id="m-2", stage=1)]
    yield message_stream("m-2"), [message_abandoned(message_id="m-2")]


def _cleanup() -> Sequence[Event]:
    """Ann's delivery and its receipt are removed."""
    before = after(5)
    part = CleanedPart(message_id=MESSAGE, first_batch=1, last_batch=2, deliveries=1)
    return [
        CleanupStarted(cleanup_id="c-1", requested_by=OWNER, before=before, time=NOW),
        CleanupCounted(cleanup_id="c-1", deliveries=1, time=NOW),
        DeliveriesCleaned(cleanup_id="c-1", before=before, parts=(part,), time=NOW),
        CleanupCompleted(cleanup_id="c-1", time=NOW),
    ]


def _first_round() -> Story:
    """Ann is reached, Bob fails, Cy has a late outcome, Dan's delivery is returned once."""
    yield (
        _stream(1),
        [created := batch_created("ann", "bob", "cy", "dan", sealed_names=b"names", sealed_by_person=True)],
    )
    batch, steps = batches.fold([created]), list[Events]()

    def then(events: Events) -> Batch:
        steps.append(events)
        return batches.apply(batch, events)

    batch = then(start(batch))
    batch = then(batch_decisions.dispatch(batch, [0, 1, 2, 3], token_generation=2, now=NOW))
    batch = then(batch_decisions.return_unsent(batch, [3], now=NOW))
    batch = then(batch_decisions.record(batch, [known(0, SENT), known(1, FAILED)], now=NOW))
    batch = then(batch_decisions.release(batch, now=NOW))
    batch = then(batch_decisions.record_late(batch, [known(2, SENT)], now=NOW))
    batch = then(start(batch, "worker-2", generation=2))
    batch = then(batch_decisions.dispatch(batch, [3], token_generation=2, now=NOW))
    batch = then(batch_decisions.record(batch, [known(3, FAILED_FOR_GOOD)], now=NOW))
    yield from ((_stream(1), events) for events in steps)


def _cancelled_round() -> Story:
    trial = Trial(canary=Canary(recipients=1), rest=1, as_of=1)
    stamp = request_stamp("r-2", method="Resend")
    yield message_stream(MESSAGE), [retry_requested(request=stamp, trial=trial, last_recipient="bob")]
    created = batch_created(*batch_recipients("bob", attempt=2, origin=(1, 1)), batch_number=2, round=1)
    yield _stream(2), [created]
    yield message_stream(MESSAGE), [message_stopped()]
    yield message_stream(MESSAGE), [message_resumed()]
    yield message_stream(MESSAGE), [message_paused()]
    yield message_stream(MESSAGE), [message_resumed()]
    stopped = RetryStopped(message_id=MESSAGE, round=1, recipients=1, failed=1, unconfirmed=0, time=NOW)
    yield message_stream(MESSAGE), [stopped]
    yield message_stream(MESSAGE), [MessageCancelled(message_id=MESSAGE, requested_by=OWNER, time=NOW)]
    yield _stream(2), batch_decisions.cancel(batches.fold([created]), now=NOW)


def _stream(batch_number: int) -> str:
    return batch_stream(MESSAGE, 0, batch_number)
