"""Receipts in the platform's webhook bodies."""

import json
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given, settings
from hypothesis import strategies as st

from redrive.v1.receipt_service_pb2 import Receipt, ReceiptKind, RecordReceiptsRequest
from server.api.validation.receipts import RecordReceiptsRules
from server.webhooks.events import DELIVERED, ECHO, READ, UnreadableError
from tests.server.webhooks.bodies import receipts_in

PAGE = {"id": "1001"}
PERSON = {"id": "7001"}
SENT_AT = 1_700_000_000_123
SEEN_AT = 1_700_000_000_456

# In the form of the platform's documentation
ECHO_EVENT = {
    "sender": PAGE,
    "recipient": PERSON,
    "timestamp": SENT_AT,
    "message": {"is_echo": True, "app_id": 1517776481860111, "metadata": "m-1.1.0", "mid": "m_1", "text": "hello"},
}
DELIVERY_EVENT = {"sender": PERSON, "recipient": PAGE, "delivery": {"mids": ["m_1", "m_2"], "watermark": SEEN_AT}}
READ_EVENT = {"sender": PERSON, "recipient": PAGE, "timestamp": SEEN_AT + 5, "read": {"watermark": SEEN_AT}}


def body(*events: Any, key: str = "messaging", **entry: Any) -> bytes:
    of_page = {"id": "1001", "time": SEEN_AT, key: list(events), **entry}
    return json.dumps({"object": "page", "entry": [of_page]}).encode()


def at(milliseconds: int) -> Timestamp:
    time = Timestamp()
    time.FromMilliseconds(milliseconds)
    return time


def receipt(kind: ReceiptKind.ValueType, time: int, **fields: Any) -> Receipt:
    return Receipt(kind=kind, page_id="1001", recipient_id="7001", time=at(time), **fields)


ECHOED = receipt(ECHO, SENT_AT, delivery_id="m-1.1.0", provider_message_id="m_1")


def test_an_echo_has_the_delivery_id_and_the_platforms_id() -> None:
    assert receipts_in(body(ECHO_EVENT)) == [ECHOED]


def test_an_echo_of_a_conversation_that_another_app_controls_counts_too() -> None:
    assert receipts_in(body(ECHO_EVENT, key="standby")) == [ECHOED]


def test_a_delivery_names_each_message() -> None:
    assert receipts_in(body(DELIVERY_EVENT)) == [
        receipt(DELIVERED, SEEN_AT, provider_message_id="m_1"),
        receipt(DELIVERED, SEEN_AT, provider_message_id="m_2"),
    ]


@pytest.mark.parametrize("mids", [{}, {"mids": []}, {"mids": None}])
def test_a_delivery_without_messages_has_a_watermark(mids: dict[str, Any]) -> None:
    event = {**DELIVERY_EVENT, "delivery": {"watermark": SENT_AT, **mids}, "timestamp": SEEN_AT}

    assert receipts_in(body(event)) == [receipt(DELIVERED, SEEN_AT, watermark=at(SENT_AT))]


def test_a_read_has_a_watermark_and_a_time() -> None:
    assert receipts_in(body(READ_EVENT)) == [receipt(READ, SEEN_AT + 5, watermark=at(SEEN_AT))]


def test_ids_may_be_numbers() -> None:
    event = {**ECHO_EVENT, "recipient": {"id": 7001}, "sender": {"id": 1001}}

    assert receipts_in(body(event, id=1001)) == [ECHOED]


def test_many_entries_and_events_come_in_order() -> None:
    entries = [{"id": "1001", "messaging": [ECHO_EVENT, READ_EVENT]}, {"id": "2002", "messaging": [ECHO_EVENT]}]

    found = receipts_in(json.dumps({"object": "page", "entry": entries}).encode())

    assert [(one.page_id, one.kind) for one in found] == [("1001", ECHO), ("1001", READ), ("2002", ECHO)]


@pytest.mark.parametrize(
    "event",
    [
        {
            "sender": PERSON,
            "recipient": PAGE,
            "timestamp": SENT_AT,
            "message": {"mid": "m_3", "text": "a person writes"},
        },
        {"sender": PERSON, "recipient": PAGE, "timestamp": SENT_AT, "postback": {"title": "Start"}},
        {**ECHO_EVENT, "message": {"is_echo": True, "mid": "m_4", "text": "written in the inbox"}},
        {**ECHO_EVENT, "message": {"is_echo": True, "mid": "m_4", "metadata": ""}},
        {**ECHO_EVENT, "message": {"is_echo": True, "metadata": "m-1.1.0"}},
        {**ECHO_EVENT, "message": {"is_echo": True, "mid": 17, "metadata": "m-1.1.0"}},
        {**ECHO_EVENT, "message": {"is_echo": True, "mid": "m_1", "metadata": "a\0b"}},
        {**ECHO_EVENT, "recipient": {}},
        {**ECHO_EVENT, "recipient": {"id": "with a space"}},
        {**READ_EVENT, "read": {}},
        {**READ_EVENT, "read": {"watermark": 10**18}},
        {**DELIVERY_EVENT, "delivery": {"mids": [""], "watermark": SEEN_AT}},
        "no object",
        None,
        [],
    ],
)
def test_events_without_receipts_are_ignored_and_the_others_are_read(event: Any) -> None:
    assert receipts_in(body(event, ECHO_EVENT)) == [ECHOED]


def test_objects_other_than_pages_are_ignored() -> None:
    entry = {"id": "1001", "messaging": [ECHO_EVENT]}

    assert receipts_in(json.dumps({"object": "instagram", "entry": [entry]}).encode()) == []
    assert receipts_in(b"{}") == []
    assert receipts_in(body(ECHO_EVENT, id="no page")) == []
    assert receipts_in(json.dumps({"object": "page", "entry": [17, entry]}).encode()) == [ECHOED]


@pytest.mark.parametrize(
    "unreadable", [b"", b"[]", b"null", b"\xff\xfe", b'{"object": 1}', b'{"entry": 5}', b'{"a":' * 9_999]
)
def test_a_body_without_an_object_and_entries_is_unreadable(unreadable: bytes) -> None:
    with pytest.raises(UnreadableError):
        receipts_in(unreadable)


def test_the_error_contains_no_part_of_a_body() -> None:
    with pytest.raises(UnreadableError) as caught:
        receipts_in(b'{"object": "page", "entry": "secret-text"}')

    assert "secret" not in repr(caught.value)
    assert caught.value.__suppress_context__


ids = st.one_of(st.text(max_size=3), st.integers(-1, 2**70), st.just("7001"), st.none())
times = st.one_of(st.integers(-(2**70), 2**70), st.just(SENT_AT), st.text(max_size=2))
parties = st.fixed_dictionaries({"id": ids})
texts = st.one_of(st.text(max_size=4), st.just("m-1.1.0"), st.just("x" * 1_001), st.integers(), st.none())
messages = st.fixed_dictionaries({"is_echo": st.booleans(), "mid": texts, "metadata": texts})
statuses = st.fixed_dictionaries({"watermark": times}, optional={"mids": st.lists(texts, max_size=2)})
events = st.fixed_dictionaries(
    {},
    optional={
        "sender": parties,
        "recipient": parties,
        "timestamp": times,
        "message": messages,
        "delivery": statuses,
        "read": statuses,
    },
)


@settings(derandomize=True, deadline=None, max_examples=500)
@given(st.lists(events, min_size=1, max_size=3), ids)
def test_any_body_gives_a_valid_request_or_none(found: list[Any], page: Any) -> None:
    """One invalid receipt would make the platform repeat all of them."""
    receipts = receipts_in(body(*found, id=page))

    if receipts:
        RecordReceiptsRules.check(RecordReceiptsRequest(receipts=receipts))
