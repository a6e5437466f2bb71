"""What the headers say about the pace, and what malformed ones do not."""

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest
import respx
from hypothesis import given
from hypothesis import strategies as st

from domain.outcome import Failed
from server.channels.channel import Advice, Credentials, OutgoingMessage
from server.channels.graph_advice import advice_from
from server.channels.messenger import MessengerChannel


def business_usage(**values: object) -> str:
    record = {"type": "messenger", "call_count": 1, "total_cputime": 1, "total_time": 1, **values}
    return json.dumps({"123": [{"type": "pages", "call_count": 2}], "456": [record]})


@pytest.mark.parametrize(
    ("headers", "advice"),
    [
        ({}, None),
        ({"content-type": "application/json"}, None),
        ({"retry-after": "120"}, Advice(retry_after=timedelta(seconds=120))),
        ({"retry-after": "0.5"}, Advice(retry_after=timedelta(seconds=0.5))),
        ({"retry-after": "9" * 30}, None),
        ({"retry-after": "200000"}, Advice(retry_after=timedelta(days=1))),
        ({"retry-after": "0"}, None),
        ({"retry-after": "Sat, 01 Jan 2000 00:00:00 GMT"}, None),
        ({"x-app-usage": '{"call_count":28,"total_time":25,"total_cputime":30}'}, Advice(usage=0.30)),
        ({"x-page-usage": '{"call_count":110}'}, Advice(usage=1.10)),
        ({"x-app-usage": '{"call_count":0}'}, Advice(usage=0.0)),
        ({"x-app-usage": '{"call_count":28}', "x-page-usage": '{"total_time":64}'}, Advice(usage=0.64)),
        ({"x-business-use-case-usage": business_usage(total_time=97)}, Advice(usage=0.97)),
        (
            {"x-business-use-case-usage": business_usage(call_count=100, estimated_time_to_regain_access=19)},
            Advice(usage=1.0, retry_after=timedelta(minutes=19)),
        ),
        (
            {"x-business-use-case-usage": business_usage(call_count=95, estimated_time_to_regain_access=0)},
            Advice(usage=0.95),
        ),
        (
            {"x-business-use-case-usage": business_usage(estimated_time_to_regain_access=1), "retry-after": "90"},
            Advice(usage=0.02, retry_after=timedelta(seconds=90)),
        ),
    ],
)
def test_headers_become_advice(headers: dict[str, str], advice: Advice | None) -> None:
    assert advice_from(headers) == advice


def test_an_http_date_is_a_wait_from_now_on() -> None:
    advice = advice_from({"retry-after": format_datetime(datetime.now(UTC) + timedelta(minutes=5), usegmt=True)})
    assert advice is not None
    assert advice.retry_after is not None
    assert timedelta(minutes=4) < advice.retry_after <= timedelta(minutes=5)


def test_an_http_date_counts_anew_from_each_reading() -> None:
    headers = {"retry-after": format_datetime(datetime.now(UTC) + timedelta(minutes=5), usegmt=True)}
    waits = [advice.retry_after for advice in (advice_from(headers), advice_from(headers)) if advice is not None]
    assert waits[0] != waits[1]


@pytest.mark.parametrize("retry_after", ["", "soon", "-5", "nan", "inf", "1e400", "Mon, 99 Foo 2026"])
@pytest.mark.parametrize(
    "usage",
    [
        "",
        "{",
        "[]",
        "7",
        "null",
        '{"call_count":"90"}',
        '{"call_count":true}',
        '{"call_count":-1}',
        '{"1":[7,[]]}',
        "\xff",
        '{"call_count":1' + "0" * 400 + "}",
        "[" * 9999,
    ],
)
def test_malformed_headers_are_ignored(retry_after: str, usage: str) -> None:
    names = ("x-app-usage", "x-page-usage", "x-business-use-case-usage")
    headers = dict.fromkeys(names, usage) | {"retry-after": retry_after}
    assert advice_from(headers) is None


@given(st.dictionaries(st.sampled_from(["retry-after", "x-app-usage", "x-business-use-case-usage"]), st.text()))
def test_no_header_whatever_breaks_the_advice(headers: dict[str, str]) -> None:
    advice = advice_from(headers)
    assert advice is None or isinstance(advice, Advice)


async def test_advice_comes_with_the_outcome(
    graph: respx.MockRouter, channel: MessengerChannel, credentials: Credentials, message: OutgoingMessage
) -> None:
    headers = {"X-Business-Use-Case-Usage": business_usage(call_count=100, estimated_time_to_regain_access=3)}
    reply = httpx.Response(403, json={"error": {"code": 80006, "message": "slow down"}}, headers=headers)
    graph.post("/v25.0/1001/messages").mock(return_value=reply)
    attempt = await channel.send(credentials, message)
    assert isinstance(attempt.outcome, Failed)
    assert attempt.advice == Advice(usage=1.0, retry_after=timedelta(minutes=3))
