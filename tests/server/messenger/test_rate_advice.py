"""Pace advice in the platform's headers; malformed headers are ignored."""

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest
import respx
from hypothesis import given
from hypothesis import strategies as st

from domain.outcome import Failed
from server.messenger.channel import OutgoingMessage, PageCredentials, RateAdvice
from server.messenger.messenger_channel import MessengerChannel
from server.messenger.rate_advice import OwnObjects, read_rate_advice

PAGE = "1001"
BUSINESS = "X-Business-Use-Case-Usage"


def record(kind: object = "messenger", *, minutes: object = 0, **values: object) -> dict[str, object]:
    usage = {"call_count": 1, "total_cputime": 1, "total_time": 1, "estimated_time_to_regain_access": minutes}
    return {"type": kind, **usage, **values}


def business_usage(**values: object) -> str:
    return json.dumps({"123": [record("pages", call_count=2)], "456": [record(**values)]})


def advised(header: str | dict[str, object], own: OwnObjects | None = None) -> RateAdvice | None:
    text = header if isinstance(header, str) else json.dumps(header)
    return read_rate_advice({"x-business-use-case-usage": text}, own)


def minutes_of(advice: RateAdvice | None) -> float:
    """Return the requested waiting time in minutes; 0 for no pause."""
    wait = advice.retry_after if advice else None
    return wait.total_seconds() / 60 if wait else 0.0


@pytest.mark.parametrize(
    ("headers", "advice"),
    [
        ({}, None),
        ({"content-type": "application/json"}, None),
        ({"retry-after": "120"}, RateAdvice(retry_after=timedelta(seconds=120), requested_by="Retry-After: 120")),
        ({"retry-after": "0.5"}, RateAdvice(retry_after=timedelta(seconds=0.5), requested_by="Retry-After: 0.5")),
        ({"retry-after": "9" * 30}, None),
        ({"retry-after": "200000"}, RateAdvice(retry_after=timedelta(days=1), requested_by="Retry-After: 200000")),
        ({"retry-after": "0"}, None),
        ({"retry-after": "Sat, 01 Jan 2000 00:00:00 GMT"}, None),
        ({"x-app-usage": '{"call_count":28,"total_time":25,"total_cputime":30}'}, RateAdvice(usage=0.30)),
        ({"x-page-usage": '{"call_count":110}'}, RateAdvice(usage=1.10)),
        ({"x-app-usage": '{"call_count":0}'}, RateAdvice(usage=0.0)),
        ({"x-app-usage": '{"call_count":28}', "x-page-usage": '{"total_time":64}'}, RateAdvice(usage=0.64)),
        ({"x-business-use-case-usage": business_usage(total_time=97)}, RateAdvice(usage=0.97)),
        (
            {"x-business-use-case-usage": business_usage(call_count=100, minutes=19)},
            RateAdvice(
                usage=1.0,
                retry_after=timedelta(minutes=19),
                requested_by=f"{BUSINESS}, messenger of 456: access again in 19 minutes",
            ),
        ),
        ({"x-business-use-case-usage": business_usage(call_count=95, minutes=0)}, RateAdvice(usage=0.95)),
        (
            {"x-business-use-case-usage": business_usage(minutes=1), "retry-after": "90"},
            RateAdvice(usage=0.02, retry_after=timedelta(seconds=90), requested_by="Retry-After: 90"),
        ),
    ],
)
def test_headers_become_advice(headers: dict[str, str], advice: RateAdvice | None) -> None:
    assert read_rate_advice(headers) == advice


def test_an_http_date_is_a_wait_from_now_on() -> None:
    advice = read_rate_advice({"retry-after": format_datetime(datetime.now(UTC) + timedelta(minutes=5), usegmt=True)})
    assert advice is not None
    assert advice.retry_after is not None
    assert timedelta(minutes=4) < advice.retry_after <= timedelta(minutes=5)


def test_an_http_date_is_converted_at_each_reading() -> None:
    headers = {"retry-after": format_datetime(datetime.now(UTC) + timedelta(minutes=5), usegmt=True)}
    waits = [
        advice.retry_after for advice in (read_rate_advice(headers), read_rate_advice(headers)) if advice is not None
    ]
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
    assert read_rate_advice(headers) is None


@given(st.dictionaries(st.sampled_from(["retry-after", "x-app-usage", "x-business-use-case-usage"]), st.text()))
def test_any_header_text_is_read_without_an_error(headers: dict[str, str]) -> None:
    advice = read_rate_advice(headers)
    assert advice is None or isinstance(advice, RateAdvice)


async def test_advice_is_returned_with_the_outcome(
    graph: respx.MockRouter, channel: MessengerChannel, credentials: PageCredentials, message: OutgoingMessage
) -> None:
    headers = {"X-Business-Use-Case-Usage": business_usage(call_count=100, minutes=3)}
    reply = httpx.Response(403, json={"error": {"code": 80006, "message": "slow down"}}, headers=headers)
    graph.post("/v25.0/1001/messages").mock(return_value=reply)
    attempt = await channel.send(credentials, message)
    assert isinstance(attempt.outcome, Failed)
    requested_by = f"{BUSINESS}, messenger of 456: access again in 3 minutes"
    assert attempt.advice == RateAdvice(usage=1.0, retry_after=timedelta(minutes=3), requested_by=requested_by)


# Which entries count


@pytest.mark.parametrize(
    "kind",
    [
        "ads_management",
        "ads_insights",
        "custom_audience",
        "instagram",
        "whatsapp",
        "leadgen",
        "catalog_batch",
        "new",
        "",
        "messenger ",
        "messengers",
        None,
        7,
        ["messenger"],
        {"messenger": 1},
        True,
    ],
)
def test_limits_of_other_products_neither_slow_nor_pause(kind: object) -> None:
    assert advised({"777": [record(kind, call_count=100, minutes=30)]}) is None


@pytest.mark.parametrize("kind", ["messenger", "pages"])
def test_a_limit_of_messenger_pauses_regardless_of_other_entries(kind: str) -> None:
    others = [record("ads_management", minutes=90, call_count=100), record("instagram", minutes=60)]

    advice = advised({"777": [*others, record(kind, minutes=30)], "888": others})

    assert advice is not None
    assert (advice.usage, minutes_of(advice)) == (0.01, 30.0)
    assert advice.requested_by == f"{BUSINESS}, {kind} of 777: access again in 30 minutes"


def test_of_several_objects_only_the_page_counts() -> None:
    header: dict[str, object] = {
        "777": [record(minutes=30)],
        PAGE: [record(minutes=2)],
        "888": [record("pages", minutes=9)],
    }

    assert minutes_of(advised(header, OwnObjects(PAGE))) == 2.0
    assert minutes_of(advised(header, OwnObjects("another"))) == 30.0, "no entry is known to belong to the page"


def test_a_business_that_was_listed_alone_belongs_to_the_page() -> None:
    own = OwnObjects(PAGE)
    other_products = {"999": [record("ads_management")]}
    advised({"777": [record()], **other_products}, own)

    several: dict[str, object] = {"777": [record(minutes=3)], "888": [record(minutes=30)]}

    assert minutes_of(advised(several, own)) == 3.0
    advised({PAGE: [record()]}, own)
    assert minutes_of(advised(several, own)) == 3.0, "a page listed alone does not identify its business"
    assert minutes_of(advised({**several, PAGE: [record(minutes=5)]}, own)) == 5.0, "both entries belong to the page"
    advised({"888": [record()]}, own)
    assert minutes_of(advised(several, own)) == 30.0, "it belongs to another business now"


ODD_HEADERS = [
    "null",
    "7",
    "[]",
    '"messenger"',
    "{",
    '{"1":null}',
    '{"1":7}',
    '{"1":{}}',
    '{"1":[]}',
    '{"1":[null,7,"x",[]]}',
    '{"1":{"type":"messenger","call_count":100,"estimated_time_to_regain_access":30}}',
    '{"type":"messenger","call_count":100,"estimated_time_to_regain_access":30}',
    '[{"type":"messenger","call_count":100,"estimated_time_to_regain_access":30}]',
    '{"1":[[{"type":"messenger","call_count":100,"estimated_time_to_regain_access":30}]]}',
    '{"1":[{"messenger":{"call_count":100,"estimated_time_to_regain_access":30}}]}',
    '{"1":[{"type":"ads_management","type":"messenger","estimated_time_to_regain_access":30}]}',
    '{"1":[{"type":"messenger","estimated_time_to_regain_access":30}],"1":[]}',
    '{"1":[{"type":"messenger","call_count":NaN,"estimated_time_to_regain_access":Infinity}]}',
    '{"1":[{"type":"messenger","estimated_time_to_regain_access":30}]',
    '{"1":[{"type":"messenger","estimated_time_to_regain_access":30}]}, {"1":[]}',
    '{"1":' * 5_000 + "1" + "}" * 5_000,
]


@pytest.mark.parametrize("header", ODD_HEADERS, ids=range(len(ODD_HEADERS)))
def test_a_malformed_header_neither_slows_nor_pauses(header: str) -> None:
    assert advised(header, OwnObjects("1")) is None


@pytest.mark.parametrize("minutes", ["30", -30, None, True, [30], {"value": 30}, 10**12, 1e300, 10**400, 0, 0.0])
def test_a_malformed_estimate_does_not_pause(minutes: object) -> None:
    assert minutes_of(advised({PAGE: [record(minutes=minutes)]}, OwnObjects(PAGE))) == 0.0


def test_no_estimate_pauses_for_more_than_a_day() -> None:
    advice = advised({PAGE: [record(minutes=100_000)]}, OwnObjects(PAGE))

    assert advice is not None
    assert advice.retry_after == timedelta(days=1)
    assert "100,000 minutes" in advice.requested_by


def test_the_reason_can_be_stored() -> None:
    advice = advised({"\0\ud800\n" + "9" * 10_000: [record(minutes=1)]})

    assert advice is not None
    assert advice.requested_by.isprintable()
    assert len(advice.requested_by) < 300


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["messenger", "pages"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "call_count", "estimated_time_to_regain_access", PAGE, "777"]), inner, max_size=4
        )
    ),
    max_leaves=20,
)


@given(json_values)
def test_any_header_gives_a_bounded_pause_with_a_reason(value: object) -> None:
    advice = advised(json.dumps(value), OwnObjects(PAGE))

    if advice is not None and advice.retry_after is not None:
        assert timedelta() < advice.retry_after <= timedelta(days=1)
        assert advice.requested_by.startswith(BUSINESS)
