"""Properties of the rules of all requests."""

import grpc
import pytest
from google.protobuf.message import Message

from domain.errors import InvalidRequest
from redrive.v1.content_pb2 import Content, QuickReply, Recipient
from redrive.v1.delivery_service_pb2 import (
    CancelMessageRequest,
    GetMessageRequest,
    ListBatchesRequest,
    ListDeliveriesRequest,
    ListEventsRequest,
    ListFailedRequest,
    ListMessagesRequest,
    PauseMessageRequest,
    Recipients,
    ResendRequest,
    ResumeMessageRequest,
    SendRequest,
)
from redrive.v1.page_service_pb2 import HoldPageRequest, ListPagesRequest, PutPageRequest, ReleasePageRequest
from redrive.v1.receipt_service_pb2 import RecordReceiptsRequest
from redrive.v1.report_service_pb2 import GetDeliveryReportRequest, SummarizeFailuresRequest
from redrive.v1.retry_service_pb2 import ProcessBatchesRequest
from server.api.validation import pages, sends
from server.api.validation.rule_set import Rules
from tests.server.api.edge import Edge
from tests.server.api.refusals import refusal_of
from tests.server.api.requests import put, replying, send_request, stream_header, template, to
from tests.server.api.rule_checks import RULES, violations


def test_a_header_has_no_recipients() -> None:
    request = stream_header(recipients=[Recipient(id="a b")])

    assert violations(request, sends.StreamHeaderRules) == {
        "recipients": "must be empty in a header: the parts after it hold the recipients"
    }
    assert violations(stream_header(), sends.StreamHeaderRules) == {}


def test_all_violations_are_reported_together() -> None:
    request = SendRequest(title="t" * 201, content=Content(tag="x"), recipients=[Recipient(), Recipient(id="a")])

    assert list(violations(request)) == ["page_id", "title", "content.text", "content.tag", "recipients[0].id"]


def test_recipients_of_a_part_are_numbered_from_the_start_of_the_stream() -> None:
    part = Recipients(recipients=[Recipient(id="ann"), Recipient(variables={"": ""})])

    assert list(violations(part, first=20_000)) == ["recipients[20001].id", 'recipients[20001].variables[""]']


def test_the_first_invalid_variable_of_each_recipient_is_reported() -> None:
    wrong = Recipient(id="ann", variables={"a-b": "", "c-d": ""})

    paths = list(violations(send_request(recipients=[wrong, wrong])))

    assert [path[: len("recipients[0].variables")] for path in paths] == [
        "recipients[0].variables",
        "recipients[1].variables",
    ]


SECRET = "EAAG-secret-5e4f"


@pytest.mark.parametrize(
    "request_",
    [
        put(access_token=f"{SECRET} {SECRET}", app_secret=f"{SECRET} ", name=SECRET * 20),
        send_request(text=SECRET * 200, title=SECRET * 20, request_id=SECRET * 20),
        replying(QuickReply(title=SECRET * 2, payload=SECRET * 100, content_type=SECRET)),
        to(id=f"{SECRET} ", name=SECRET * 20, variables={"a": SECRET * 100}),
        template(a=f"{SECRET}\0"),
    ],
    ids=["page", "message", "reply", "recipient", "template"],
)
def test_no_value_of_a_field_is_shown(request_: Message) -> None:
    with pytest.raises(InvalidRequest) as caught:
        RULES[type(request_)].check(request_)

    chain: list[BaseException | None] = [caught.value, caught.value.__cause__]
    assert SECRET not in repr(caught.value.violations)
    assert not any(SECRET in f"{error} {error!r}" for error in chain)
    assert caught.value.__suppress_context__


def fields_without_rules(message: type[Message], rules: type[Rules]) -> list[str]:
    """Return the fields without rules; booleans need none, and page_token is checked elsewhere."""
    ruled = {*rules.model_fields, "page_token"}
    return [
        field.name for field in message.DESCRIPTOR.fields if field.type != field.TYPE_BOOL and field.name not in ruled
    ]


@pytest.mark.parametrize(("message", "rules"), RULES.items(), ids=[message.__name__ for message in RULES])
def test_every_field_of_a_request_has_a_rule(message: type[Message], rules: type[Rules]) -> None:
    assert fields_without_rules(message, rules) == []


def test_a_field_without_a_rule_is_detected() -> None:
    assert fields_without_rules(SendRequest, pages.ListPagesRules)


@pytest.mark.parametrize(
    ("service", "method", "request_"),
    [
        ("delivery", "Send", SendRequest()),
        ("delivery", "GetMessage", GetMessageRequest()),
        ("delivery", "ListMessages", ListMessagesRequest(page_size=-1)),
        ("delivery", "ListBatches", ListBatchesRequest()),
        ("delivery", "ListDeliveries", ListDeliveriesRequest()),
        ("delivery", "ListFailed", ListFailedRequest()),
        ("delivery", "Resend", ResendRequest()),
        ("delivery", "PauseMessage", PauseMessageRequest()),
        ("delivery", "ResumeMessage", ResumeMessageRequest()),
        ("delivery", "CancelMessage", CancelMessageRequest()),
        ("pages", "PutPage", PutPageRequest()),
        ("pages", "HoldPage", HoldPageRequest()),
        ("pages", "ReleasePage", ReleasePageRequest()),
        ("pages", "ListPages", ListPagesRequest(page_size=-1)),
        ("retries", "ProcessBatches", ProcessBatchesRequest()),
        ("receipts", "RecordReceipts", RecordReceiptsRequest()),
        ("delivery", "ListEvents", ListEventsRequest()),
        ("reports", "SummarizeFailures", SummarizeFailuresRequest(page_size=-1)),
        ("reports", "GetDeliveryReport", GetDeliveryReportRequest()),
    ],
)
async def test_every_rpc_applies_its_rules(edge: Edge, service: str, method: str, request_: Message) -> None:
    refusal = await refusal_of(getattr(getattr(edge, service), method)(request_))

    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refusal.violations == violations(request_)
