"""Storage of events: nothing is lost, and events of earlier versions can be read."""

import pkgutil
import re
from importlib import import_module
from types import ModuleType

import pytest
from eventsourcing.persistence import StoredEvent
from hypothesis import given, settings
from hypothesis import strategies as st

import domain
from domain.batch_events import OutcomesRecorded
from domain.event import Event
from server.eventstore.codec import TYPES, UnknownEventError, decode, encode
from tests.builders import (
    FAILED_FOR_TOKEN,
    MESSAGE,
    NOW,
    SENT,
    UNCONFIRMED,
    batch_created,
    batch_recipients,
    known,
    message_submitted,
    page_registered,
    request_stamp,
)
from tests.receipts import delivered, echo, read, receipts_recorded
from tests.server.eventstore.event_strategies import structs_of


def every_module() -> list[ModuleType]:
    return [import_module(f"domain.{module.name}") for module in pkgutil.iter_modules(domain.__path__)]


def every_event() -> set[type[Event]]:
    """Return the event classes of the domain: those without subclasses."""
    assert every_module()
    found: set[type[Event]] = set()
    to_look_at: list[type[Event]] = [Event]
    while to_look_at:
        kind = to_look_at.pop()
        kinds = [one for one in kind.__subclasses__() if one.__module__.startswith("domain.")]
        to_look_at += kinds
        if not kinds:
            found.add(kind)
    return found


def test_every_event_of_the_domain_can_be_stored() -> None:
    assert set(TYPES.values()) == every_event()
    assert len(TYPES) == len(set(TYPES.values()))


def test_events_are_stored_with_a_name_and_a_version() -> None:
    for name, event_type in TYPES.items():
        assert re.fullmatch(r"[A-Za-z]+\.v[1-9][0-9]*", name)
        assert event_type.__module__ not in name


@pytest.mark.parametrize("name", TYPES)
def test_every_event_is_restored_unchanged(name: str) -> None:
    @settings(derandomize=True, max_examples=40, deadline=None)
    @given(structs_of(TYPES[name]), st.integers(1, 2**31), st.text(max_size=30))
    def comes_back(event: Event, version: int, stream: str) -> None:
        stored = encode(stream, version, "append-1", event)

        assert (stored.originator_id, stored.originator_version, stored.topic) == (stream, version, name)
        assert decode(stored) == event

    comes_back()


def test_events_of_a_newer_version_are_refused() -> None:
    with pytest.raises(UnknownEventError, match=r"BatchCreated\.v99"):
        decode(StoredEvent(originator_id="batch/1", originator_version=1, topic="BatchCreated.v99", state=b"{}"))


def test_every_stored_event_has_its_append_id() -> None:
    assert b'"append_id":"0f3a"' in encode("page/1", 1, "0f3a", page_registered()).state


# Events as earlier versions stored them. Do not change these while databases with such events may exist.
STORED: list[tuple[str, str, Event]] = [
    (
        "BatchCreated.v1",
        """{"append_id":"a1","event":{"time":"2026-03-01T12:00:00Z","message_id":"m-1","batch_number":2,"page_id":"1001",
        "stage":0,"round":1,"recipients":[["ann","Ann",2,1,0],["bob","Bob",2,1,0]],"sealed_variables":""}}""",
        batch_created(*batch_recipients("ann", "bob", attempt=2, origin=(1, 0)), batch_number=2, round=1),
    ),
    (
        "MessageSubmitted.v1",
        """{"append_id":"a1","event":{"time":"2026-03-01T12:00:00Z","message_id":"m-1","owner":"local","page_id":"1001",
        "title":"Spring sale","sealed_content":"c2VhbGVk","retry_policy":{"type":"MANUAL","max_retry_attempts":3},
        "on_unconfirmed":"HOLD","stage":0,"total":2,"batches":1,"duplicates_dropped":0,
        "request":{"owner":"local","method":"Send","request_id":"r-1","payload_hash":"%s","answer":{}}}}"""
        % ("0" * 64),
        message_submitted(2, request=request_stamp()),
    ),
    (
        "OutcomesRecorded.v1",
        """{"append_id":"a1","event":{"time":"2026-03-01T12:00:00Z","message_id":"m-1","batch_number":1,"claim":2,
        "outcomes":[
            {"position":0,"outcome":{"type":"sent","provider_message_id":"mid.1"},"time":"2026-03-01T12:00:00Z"},
            {"position":1,"outcome":{"type":"failed","fault":{"code":190,"subcode":463,"message":"no luck",
             "type":"ACCESS_TOKEN","scope":"PAGE","retry":"NEW_TOKEN"}},"time":"2026-03-01T12:00:00Z"},
            {"position":2,"outcome":{"type":"unconfirmed","fault":{"code":0,"subcode":0,"message":"no luck",
             "type":"NETWORK","scope":"RECIPIENT","retry":"AUTOMATIC"}},"time":"2026-03-01T12:00:00Z"}]}}""",
        OutcomesRecorded(
            message_id=MESSAGE,
            batch_number=1,
            claim=2,
            outcomes=(known(0, SENT), known(1, FAILED_FOR_TOKEN), known(2, UNCONFIRMED)),
            time=NOW,
        ),
    ),
    (
        "ReceiptsRecorded.v1",
        """{"append_id":"a1","event":{"time":"2026-03-01T12:00:00Z","message_id":"m-1","batch_number":1,"receipts":[
        [0,"ECHO","2026-03-01T12:00:00Z","m_0"],[0,"DELIVERED","2026-03-01T12:00:01Z",""],
        [0,"READ","2026-03-01T12:00:02Z",""]]}}""",
        receipts_recorded(echo(0, "m_0"), delivered(0), read(0)),
    ),
    (
        "PageRegistered.v1",
        """{"append_id":"a1","event":{"time":"2026-03-01T12:00:00Z","page_id":"1001","name":"A page",
        "messages_per_second":10.0,"send_mode":"SINGLE","token_verified":true}}""",
        page_registered(requested_by=""),
    ),
]


@pytest.mark.parametrize(("name", "state", "event"), STORED, ids=[name for name, _, _ in STORED])
def test_events_of_earlier_versions_can_be_read(name: str, state: str, event: Event) -> None:
    stored = StoredEvent(originator_id="stream", originator_version=1, topic=name, state=state.encode())

    assert decode(stored) == event
