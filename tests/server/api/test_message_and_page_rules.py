"""Rules of the requests about messages and pages: violations, their paths and texts."""

import math

import pytest
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from redrive.v1.delivery_service_pb2 import (
    CancelMessageRequest,
    GetMessageRequest,
    ListBatchesRequest,
    ListDeliveriesRequest,
    ListEventsRequest,
    ListFailedRequest,
    ListMessagesRequest,
    ResendRequest,
    WatchProgressRequest,
)
from redrive.v1.page_service_pb2 import HoldPageRequest, ListPagesRequest, PutPageRequest
from redrive.v1.report_service_pb2 import (
    ExportDeliveriesRequest,
    GetDeliveryReportRequest,
    SummarizeFailuresRequest,
)
from redrive.v1.retry_service_pb2 import ProcessBatchesRequest
from tests.server.api.requests import of, put, resend
from tests.server.api.rule_checks import LINES, NUL, ONE_LINE, PAGE_ID, at_most, ids, violations

NO_TIME = Timestamp(seconds=2**62)
A_TIME = "must be a time in the years 1 to 9999"
CR_LF = "U+000D CARRIAGE RETURN (character 3 of 4), U+000A LINE FEED"
BEARER = "begins with 'Bearer ' (U+0020 SPACE): give the token alone"


def impossible(character: str, number: int, length: int) -> str:
    if character == CR_LF:
        number = length
    return f"holds {character} (character {number} of {length}): copy it again without them"


BROKEN: list[tuple[Message, str, str]] = [
    # Requests about a message
    *[
        (request(), "message_id", "is required")
        for request in (
            GetMessageRequest,
            WatchProgressRequest,
            ProcessBatchesRequest,
            ListBatchesRequest,
            ListDeliveriesRequest,
            ListFailedRequest,
            ListEventsRequest,
            ResendRequest,
            CancelMessageRequest,
        )
    ],
    (GetMessageRequest(message_id="m" * 129), "message_id", at_most(128, 129)),
    (GetMessageRequest(message_id="\0"), "message_id", NUL),
    (ListMessagesRequest(page_id="a b"), "page_id", PAGE_ID),
    (ListMessagesRequest(page_id="1" * 65), "page_id", at_most(64, 65)),
    (of(ListMessagesRequest, statuses=[1, 8]), "statuses[1]", "must be a known MessageStatus (1 to 7)"),
    (of(ListMessagesRequest, statuses=[0]), "statuses[0]", "must be a known MessageStatus (1 to 7)"),
    (
        of(ListBatchesRequest, message_id="m", statuses=[5]),
        "statuses[0]",
        "must be a known BatchStatus (1 to 4)",
    ),
    (
        of(ListDeliveriesRequest, message_id="m", statuses=[1, 2, 7]),
        "statuses[2]",
        "must be a known DeliveryStatus (1 to 6)",
    ),
    (
        of(ListDeliveriesRequest, message_id="m", error_types=[-5]),
        "error_types[0]",
        "must be a known ErrorType (1 to 6)",
    ),
    (ListDeliveriesRequest(message_id="m", recipient_id="a b"), "recipient_id", "holds U+0020 SPACE"),
    (ListDeliveriesRequest(message_id="m", recipient_id="a" * 129), "recipient_id", at_most(128, 129)),
    (
        of(ListFailedRequest, message_id="m", error_types=[7]),
        "error_types[0]",
        "must be a known ErrorType (1 to 6)",
    ),
    *[
        (of(request, page_size=size, **named), "page_size", words)
        for size, words in ((1001, "must be at most 1,000"), (-1, "must be at least 0"))
        for request, named in (
            (ListMessagesRequest, {}),
            (ListPagesRequest, {}),
            (SummarizeFailuresRequest, {}),
            (GetDeliveryReportRequest, {"message_id": "m"}),
            (ListEventsRequest, {"message_id": "m"}),
            (ListBatchesRequest, {"message_id": "m"}),
            (ListDeliveriesRequest, {"message_id": "m"}),
            (ListFailedRequest, {"message_id": "m"}),
        )
    ],
    (resend(recipient_ids=["a", ""]), "recipient_ids[1]", "must have at least 1 character"),
    (resend(recipient_ids=["a" * 129]), "recipient_ids[0]", at_most(128, 129)),
    (resend(recipient_ids=["ann", "a\u200b"]), "recipient_ids[1]", "holds U+200B ZERO WIDTH SPACE"),
    (resend(recipient_ids=["a"] * 10_001), "recipient_ids", "must have at most 10,000 entries, has 10,001"),
    (resend(error_types=[0]), "error_types[0]", "must be a known ErrorType (1 to 6)"),
    (resend(request_id="r" * 129), "request_id", at_most(128, 129)),
    (CancelMessageRequest(message_id="m", request_id="r" * 129), "request_id", at_most(128, 129)),
    # SummarizeFailures
    (SummarizeFailuresRequest(message_ids=["m", ""]), "message_ids[1]", "must have at least 1 character"),
    (SummarizeFailuresRequest(message_ids=["m" * 129]), "message_ids[0]", at_most(128, 129)),
    (SummarizeFailuresRequest(message_ids=["m"] * 101), "message_ids", "must have at most 100 entries, has 101"),
    (SummarizeFailuresRequest(page_id="a b"), "page_id", PAGE_ID),
    # Past states and events
    (GetMessageRequest(message_id="m", as_of_time=NO_TIME), "as_of_time", A_TIME),
    (ListFailedRequest(message_id="m", as_of_time=NO_TIME), "as_of_time", A_TIME),
    (of(ListEventsRequest, message_id="m", batch_number=-1), "batch_number", "must be at least 0"),
    (
        ListEventsRequest(message_id="m", batch_number=1, without_batches=True),
        "batch_number",
        "must not be given together with without_batches",
    ),
    # GetDeliveryReport and ExportDeliveries
    *[
        (of(request, **fields), path, words)
        for request in (GetDeliveryReportRequest, ExportDeliveriesRequest)
        for fields, path, words in (
            ({}, "message_id", "is required without a page_id"),
            ({"message_id": ""}, "message_id", "is required without a page_id"),
            ({"page_id": ""}, "message_id", "is required without a page_id"),
            ({"message_id": "m" * 129}, "message_id", at_most(128, 129)),
            ({"page_id": "a b"}, "page_id", PAGE_ID),
        )
    ],
    (GetDeliveryReportRequest(message_id="m", start_time=NO_TIME), "start_time", A_TIME),
    (GetDeliveryReportRequest(message_id="m", end_time=NO_TIME), "end_time", A_TIME),
    *[
        (
            GetDeliveryReportRequest(message_id="m", start_time=Timestamp(seconds=7), end_time=end),
            "end_time",
            "must be later than start_time",
        )
        for end in (Timestamp(seconds=7), Timestamp(seconds=6, nanos=999_999_999))
    ],
    (ExportDeliveriesRequest(message_id="m", recipient_id="a b"), "recipient_id", "holds U+0020 SPACE"),
    (
        of(ExportDeliveriesRequest, message_id="m", statuses=[7]),
        "statuses[0]",
        "must be a known DeliveryStatus (1 to 6)",
    ),
    (
        of(ExportDeliveriesRequest, message_id="m", error_types=[7]),
        "error_types[0]",
        "must be a known ErrorType (1 to 6)",
    ),
    (of(ExportDeliveriesRequest, message_id="m", rows=3), "rows", "must be a known ExportRows (1 to 2)"),
    (of(ExportDeliveriesRequest, message_id="m", format=3), "format", "must be a known ExportFormat (1 to 2)"),
    # PutPage
    (put(page_id=""), "page_id", "is required"),
    (put(page_id="p" * 65), "page_id", at_most(64, 65)),
    (put(page_id="é"), "page_id", PAGE_ID),
    (put(name="n" * 201), "name", at_most(200, 201)),
    *((put(name=f"a{control}b"), "name", ONE_LINE) for control in "\0\t\n\r\x1b\x7f\x85\x9b\u2028"),
    *((HoldPageRequest(page_id="1", reason=f"a{control}b"), "reason", LINES) for control in "\0\r\x1b\x7f\x9b"),
    *((ResendRequest(message_id="m", reason=f"a{control}b"), "reason", LINES) for control in "\0\r\x1b\x7f\x9b"),
    (put(access_token="t" * 2001), "access_token", at_most(2000, 2001)),
    (put(access_token="a b"), "access_token", impossible("U+0020 SPACE", 2, 3)),
    (put(access_token="a\nb"), "access_token", impossible("U+000A LINE FEED", 2, 3)),
    (put(access_token="ab\r\n"), "access_token", impossible(CR_LF, 3, 4)),
    (put(access_token="EAA\u200bB"), "access_token", impossible("U+200B ZERO WIDTH SPACE", 4, 5)),
    (put(access_token="\ufeffEAA"), "access_token", impossible("U+FEFF ZERO WIDTH NO-BREAK SPACE", 1, 4)),
    (put(access_token="EAA\xa0"), "access_token", impossible("U+00A0 NO-BREAK SPACE", 4, 4)),
    (put(access_token="\u0415AA"), "access_token", impossible("U+0415 CYRILLIC CAPITAL LETTER IE", 1, 3)),
    (put(access_token="E\U0001f600"), "access_token", impossible("U+1F600 GRINNING FACE", 2, 2)),
    (put(access_token="\ue000"), "access_token", impossible("U+E000 a character without a name", 1, 1)),
    (put(access_token='EAA"'), "access_token", impossible("U+0022 QUOTATION MARK", 4, 4)),
    (put(access_token="EAA\u2019"), "access_token", impossible("U+2019 RIGHT SINGLE QUOTATION MARK", 4, 4)),
    (put(access_token="Bearer EAA"), "access_token", BEARER),
    (put(access_token="bearer EAA"), "access_token", BEARER),
    (put(app_secret="abc\u200b"), "app_secret", impossible("U+200B ZERO WIDTH SPACE", 4, 4)),
    (put(app_secret="s" * 201), "app_secret", at_most(200, 201)),
    (put(app_secret="\0"), "app_secret", impossible("U+0000 NULL", 1, 1)),
    *[
        (
            put(messages_per_second=wrong),
            "messages_per_second",
            "must be from 0.001 to 100,000, or 0 if it is not given",
        )
        for wrong in (-0.5, -1e-300, 1e-300, 5e-324, 0.000_999, 100_000.5, math.inf, -math.inf, math.nan)
    ],
    (put(send_mode=3), "send_mode", "must be a known SendMode (1 to 2)"),
    (put(request_id="r" * 129), "request_id", at_most(128, 129)),
]


@pytest.mark.parametrize(("request_", "path", "words"), BROKEN, ids=ids(BROKEN))
def test_a_violation_is_reported_at_its_field_only(request_: Message, path: str, words: str) -> None:
    assert violations(request_) == {path: words}


FITTING: list[Message] = [
    of(ListMessagesRequest, page_size=1000, statuses=[1, 2, 3, 4, 5, 6, 7]),
    ListMessagesRequest(),
    SummarizeFailuresRequest(),
    GetDeliveryReportRequest(
        page_id="1001", start_time=Timestamp(seconds=7), end_time=Timestamp(seconds=7, nanos=1), page_size=1000
    ),
    of(ExportDeliveriesRequest, page_id="1001", statuses=[1, 6], error_types=[1, 6], rows=2, format=2),
    GetMessageRequest(message_id="m", as_of_time=Timestamp(seconds=-1)),
    ListEventsRequest(message_id="m", batch_number=1, page_size=1000),
    ListEventsRequest(message_id="m", without_batches=True),
    SummarizeFailuresRequest(message_ids=["m" * 128] * 100, page_id="1001", page_size=1000),
    resend(recipient_ids=["a" * 128] * 10_000, error_types=[1, 6]),
    put(messages_per_second=0.001),
    put(messages_per_second=100_000.0, access_token="t" * 2000, app_secret="s" * 200),
    PutPageRequest(page_id="1001"),
]


@pytest.mark.parametrize("request_", FITTING, ids=range(len(FITTING)))
def test_values_at_the_limit_are_accepted(request_: Message) -> None:
    assert violations(request_) == {}
