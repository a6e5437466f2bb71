"""The fast reader and the complete reader give the same result for every reply."""

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from domain.outcome import Outcome, Sent
from server.messenger import reply
from server.messenger.channel import RateAdvice, SendResult
from server.messenger.http import HttpResponse
from server.messenger.reply import Reply, parse_json, read_any_batch_results, read_batch_results, read_outcome

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
JSON = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=5)
ERRORS = st.sampled_from([{"code": 2}, {"fbtrace_id": "A"}, {}, "no", "", None]) | JSON
BODIES = st.fixed_dictionaries(
    {"message_id": st.just("m_1") | st.sampled_from(["", None, "m_\ud800"]) | JSON},
    optional={"recipient_id": st.just("psid-1") | JSON, "attachment_id": st.just("7") | JSON},
)
BODIES |= st.builds(lambda body, error: body | error, BODIES, st.fixed_dictionaries({"error": ERRORS}))
BODIES |= st.builds(lambda body, code: body | code, BODIES, st.fixed_dictionaries({"error_code": st.just(190) | JSON}))
BROKEN = st.sampled_from(['{"message_id":"m_1"', '{"message_id":"m_1"} {}', '{"message_id":"m_1","message_id":"m_2"}'])
TEXTS = BODIES.map(json.dumps) | JSON.map(json.dumps) | BROKEN
STATUSES = st.sampled_from([200, 201, 302, 400, 500])
CODES = STATUSES | st.sampled_from(["200", 200.0, True, None, 2**31, -(2**31) - 1, 10**30])
HEADERS = st.fixed_dictionaries(
    {
        "name": st.sampled_from(["X-Page-Usage", "x-page-usage", "Retry-After", "Date"]),
        "value": st.sampled_from(['{"call_count":90}', '{"total_time":7}', "5", "[]"]),
    }
)
PARTS = st.none() | st.fixed_dictionaries(
    {"code": CODES, "body": TEXTS}, optional={"headers": st.none() | st.lists(HEADERS, max_size=3)}
)
ODD_HEADERS = JSON | st.lists(HEADERS | st.fixed_dictionaries({}, optional={"name": JSON, "value": JSON, "else": JSON}))
ODD_PARTS = JSON | st.fixed_dictionaries(
    {}, optional={"code": CODES | JSON, "body": TEXTS | JSON, "headers": ODD_HEADERS, "else": JSON}
)
BATCHES = st.lists(PARTS, min_size=1, max_size=3) | st.lists(PARTS | ODD_PARTS, max_size=3) | JSON
OUTER_HEADERS = st.sampled_from([{}, {"retry-after": "5"}, {"x-app-usage": '{"call_count":12}'}])

USUAL = '{"recipient_id":"psid-1","message_id":"m_1"}'


def read_completely(status: int, body: bytes | str) -> Outcome:
    return Reply(status=status, body=parse_json(body)).outcome()


@given(STATUSES, TEXTS | st.binary())
@example(200, USUAL)
@example(200, "[" * 100_000)
def test_the_fast_and_the_complete_reader_give_the_same_outcome(status: int, body: bytes | str) -> None:
    assert read_outcome(status, body) == read_completely(status, body)


@given(OUTER_HEADERS, BATCHES, st.sampled_from([0, 0, 0, 1, -1]))
def test_the_fast_and_the_complete_reader_give_the_same_batch(headers: dict[str, str], batch: Any, more: int) -> None:
    answer = HttpResponse(status=200, headers=headers, content=json.dumps(batch).encode())
    size = max(1, len(batch) + more if isinstance(batch, list) else 1)
    assert read_batch_results(answer, size=size) == read_any_batch_results(answer, size=size)


@pytest.mark.parametrize("body", [USUAL, '{"message_id":"m_1"}', '{"message_id":"m_1","attachment_id":"7"}'])
def test_the_usual_success_is_read_by_the_fast_reader(body: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(reply, "parse_json")
    assert read_outcome(200, body) == Sent("m_1")


def test_the_usual_batch_is_read_by_the_fast_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(reply, "read_any_batch_results")
    headers = [{"name": "Date", "value": "today"}, {"name": "X-Page-Usage", "value": '{"call_count":90}'}]
    parts = [{"code": 200, "body": USUAL, "headers": headers}, None]
    answer = HttpResponse(status=200, headers={}, content=json.dumps(parts).encode())
    assert read_batch_results(answer, size=2)[0] == SendResult(outcome=Sent("m_1"), advice=RateAdvice(usage=0.9))
