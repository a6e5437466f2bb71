"""Unexpected parts of a webhook body do not affect its other parts."""

import json
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redrive.v1.receipt_service_pb2 import RecordReceiptsRequest
from server.api.validation.receipts import RecordReceiptsRules
from server.webhooks.events import DELIVERED, ECHO, read_body
from tests.server.webhooks.bodies import receipts_in
from tests.server.webhooks.test_webhook_events import (
    DELIVERY_EVENT,
    ECHO_EVENT,
    ECHOED,
    PERSON,
    READ_EVENT,
    SEEN_AT,
    SENT_AT,
    at,
    body,
)

ODD: list[Any] = [None, 17, -1.5, "text", True, [], [1], {}, {"id": None}, [[]], float("nan"), float("inf"), 10**5_000]
ENTRY_OF_PAGE = {"id": "1001", "messaging": [ECHO_EVENT]}


@pytest.fixture(autouse=True, scope="module")
def long_numbers() -> Iterator[None]:
    """Allow integers of more than 4,300 digits to be written."""
    limit = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(0)
    yield
    sys.set_int_max_str_digits(limit)


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: repr(odd)[:12] if not isinstance(odd, int) else "number")
@pytest.mark.parametrize("name", ["standby", "time", "hop_context", "changes"])
def test_an_invalid_field_of_an_entry_does_not_affect_its_events(name: str, odd: Any) -> None:
    assert receipts_in(body(ECHO_EVENT, **{name: odd})) == [ECHOED]


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: repr(odd)[:12] if not isinstance(odd, int) else "number")
@pytest.mark.parametrize("name", ["sender", "delivery", "read", "postback", "unheard_of"])
def test_an_invalid_part_that_an_echo_does_not_need_is_ignored(name: str, odd: Any) -> None:
    assert receipts_in(body({**ECHO_EVENT, name: odd})) == [ECHOED]


@pytest.mark.parametrize("odd", [None, 17, "", [], {}, "\ud800", "a\0b"])
def test_one_invalid_message_id_of_a_delivery_does_not_affect_the_others(odd: Any) -> None:
    event = {**DELIVERY_EVENT, "delivery": {"mids": ["m_1", odd, "m_2"], "watermark": SEEN_AT}}

    assert [one.provider_message_id for one in receipts_in(body(event))] == ["m_1", "m_2"]


def test_a_delivery_with_an_invalid_time_gets_its_watermark() -> None:
    event = {**DELIVERY_EVENT, "timestamp": "soon"}

    assert [one.time for one in receipts_in(body(event))] == [at(SEEN_AT)] * 2


@pytest.mark.parametrize("time", [SENT_AT, float(SENT_AT), str(SENT_AT)])
def test_a_time_may_be_a_whole_float_or_a_string_of_digits(time: Any) -> None:
    read = {**READ_EVENT, "timestamp": None, "read": {"watermark": time}}

    echoed, seen = receipts_in(body({**ECHO_EVENT, "timestamp": time}, read, time=None))

    assert echoed == ECHOED
    assert (seen.time, seen.watermark) == (at(SENT_AT), at(SENT_AT))


UNUSABLE_TIMES: list[Any] = [
    *(None, 0, -5, True, 10**18, 1e300, 1.5, float("nan"), "", "soon", "-5", "9" * 400, "\u0661", [], {"a": 1})
]


@pytest.mark.parametrize("unusable", UNUSABLE_TIMES, ids=lambda time: repr(time)[:12])
@pytest.mark.parametrize("time_of_entry", [SENT_AT, str(SENT_AT), None])
def test_events_without_a_valid_time_get_that_of_their_entry_or_of_the_arrival(
    unusable: Any, time_of_entry: Any
) -> None:
    delivery = {"mids": ["m_1", None, 5, "m_2"], "watermark": unusable}
    events = [{**ECHO_EVENT, "timestamp": unusable}, {**DELIVERY_EVENT, "timestamp": unusable, "delivery": delivery}]

    reading = read_body(body(*events, time=time_of_entry), received=SEEN_AT)

    time = at(SENT_AT if time_of_entry else SEEN_AT)
    named = [(one.kind, one.provider_message_id, one.time) for one in reading.receipts]
    assert named == [(ECHO, "m_1", time), (DELIVERED, "m_1", time), (DELIVERED, "m_2", time)]
    assert reading.unparsed == {"delivery": 2}


@pytest.mark.parametrize("unusable", UNUSABLE_TIMES, ids=lambda time: repr(time)[:12])
def test_a_watermark_is_replaced_by_no_other_time(unusable: Any) -> None:
    """A later watermark would confirm messages that the platform has not named."""
    statuses = [{**READ_EVENT, "read": {"watermark": unusable}}, {**READ_EVENT, "delivery": {"watermark": unusable}}]

    assert receipts_in(body(*statuses), received=SEEN_AT) == []


def test_a_duplicate_key_loses_no_event() -> None:
    echo = json.dumps(ECHO_EVENT)
    twice = f'{{"id": "1001", "messaging": [{echo}], "messaging": [{echo}], "standby": [{echo}], "standby": null}}'

    assert receipts_in(f'{{"object": "page", "entry": [{twice}]}}'.encode()) == [ECHOED] * 3


def test_bytes_that_are_not_text_do_not_affect_the_rest() -> None:
    text = json.dumps({**ECHO_EVENT, "note": "?"}).encode().replace(b"?", b"\xff\xfe")

    assert receipts_in(b'{"object": "page", "entry": [{"id": "1001", "messaging": [' + text + b"]}]}") == [ECHOED]


def test_unknown_parts_are_counted_by_kind() -> None:
    events = [
        *(None, 17),
        {"sender": PERSON, "postback": {"title": "Start"}},
        {"sender": PERSON, "message": {"mid": "m_9", "text": "a person writes"}},
        {"sender": PERSON, "something_new": {}},
        {**ECHO_EVENT, "timestamp": 10**18},
        {**ECHO_EVENT, "message": {"is_echo": True, "mid": "m_4"}},
        {**READ_EVENT, "read": {"watermark": None}},
        {**DELIVERY_EVENT, "delivery": {"mids": "m_1", "watermark": SEEN_AT}},
    ]
    entries = [None, {"id": None}, {"id": "1001", "messaging": events, "standby": "none"}, ENTRY_OF_PAGE]

    reading = read_body(json.dumps({"object": "page", "entry": entries}).encode(), received=0)

    of_parts = {"entry": 1, "page_id": 1, "events": 1, "event": 2, "unknown_kind": 1}
    assert reading.unparsed == of_parts | {"echo": 1, "read": 1, "delivery": 1}
    assert [one.kind for one in reading.receipts] == [DELIVERED, ECHO]


NAMES_IN_EVENT = ["sender", "recipient", "timestamp", "message", "delivery", "read", "anything"]
OTHER_NAMES = ["id", "messaging", "standby", "is_echo", "mid", "mids", "metadata", "watermark"]
numbers = st.one_of(st.integers(), st.integers(-(10**40), 10**40), st.floats())
values = st.one_of(st.none(), st.booleans(), numbers, st.text(max_size=4))
names = st.one_of(st.text(max_size=3), st.sampled_from(NAMES_IN_EVENT + OTHER_NAMES))
anything = st.recursive(
    values,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(names, inner, max_size=4)),
    max_leaves=12,
)


@settings(derandomize=True, deadline=None, max_examples=500)
@given(anything, st.sampled_from(["entry", "event", "standby event", "messaging", "standby", "id", *NAMES_IN_EVENT]))
def test_any_json_in_place_of_a_part_does_not_affect_the_others(odd: Any, place: str) -> None:
    entry: Mapping[str, Any]
    match place:
        case "entry":
            entry = odd
        case "event" | "standby event":
            key = "messaging" if place == "event" else "standby"
            entry = {"id": "1001", key: [ECHO_EVENT, odd, ECHO_EVENT]}
        case "messaging" | "standby" | "id":
            entry = {"id": "1001", "messaging": [ECHO_EVENT], place: odd}
        case _:
            entry = {"id": "1001", "messaging": [ECHO_EVENT, {**READ_EVENT, place: odd}, ECHO_EVENT]}

    receipts = receipts_in(json.dumps({"object": "page", "entry": [ENTRY_OF_PAGE, entry, ENTRY_OF_PAGE]}).encode())

    least = {"event": 4, "standby event": 4, "standby": 3, "messaging": 2, "id": 2, "entry": 2}.get(place, 4)
    assert receipts.count(ECHOED) >= least
    RecordReceiptsRules.check(RecordReceiptsRequest(receipts=receipts))
