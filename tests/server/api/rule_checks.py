"""Which rules each request has, and what breaking them says."""

from google.protobuf.message import Message

from domain.errors import InvalidRequest
from redrive.v1.content_pb2 import Attachment, Content, QuickReply, Recipient
from redrive.v1.delivery_service_pb2 import (
    CancelMessageRequest,
    GetMessageRequest,
    ListBatchesRequest,
    ListDeliveriesRequest,
    ListEventsRequest,
    ListFailedRequest,
    ListMessagesRequest,
    ListRetriesRequest,
    PauseMessageRequest,
    Recipients,
    ResendRequest,
    ResumeMessageRequest,
    SendRequest,
    WatchProgressRequest,
)
from redrive.v1.message_pb2 import ExponentialBackoff, RetryPolicy
from redrive.v1.page_service_pb2 import HoldPageRequest, ListPagesRequest, PutPageRequest, ReleasePageRequest
from redrive.v1.receipt_service_pb2 import Receipt, RecordReceiptsRequest
from redrive.v1.report_service_pb2 import (
    ExportDeliveriesRequest,
    GetDeliveryReportRequest,
    SummarizeFailuresRequest,
)
from redrive.v1.retry_service_pb2 import ProcessBatchesRequest
from server.api.rules import (
    content_rules,
    delivery_rules,
    page_rules,
    receipt_rules,
    recipient_rules,
    report_rules,
    resend_rules,
    retry_rules,
    send_rules,
)
from server.api.rules.rule_set import Rules

RULES: dict[type[Message], type[Rules]] = {
    SendRequest: send_rules.SendRules,
    Recipients: send_rules.StreamPartRules,
    Content: content_rules.ContentRules,
    Attachment: content_rules.AttachmentRules,
    QuickReply: content_rules.QuickReplyRules,
    Recipient: recipient_rules.RecipientRules,
    RetryPolicy: retry_rules.RetryPolicyRules,
    ExponentialBackoff: retry_rules.BackoffRules,
    GetMessageRequest: delivery_rules.GetMessageRules,
    WatchProgressRequest: delivery_rules.OneMessageRules,
    ProcessBatchesRequest: delivery_rules.OneMessageRules,
    ListMessagesRequest: delivery_rules.ListMessagesRules,
    ListBatchesRequest: delivery_rules.ListBatchesRules,
    ListDeliveriesRequest: delivery_rules.ListDeliveriesRules,
    ListFailedRequest: delivery_rules.ListFailedRules,
    ListEventsRequest: delivery_rules.ListEventsRules,
    ResendRequest: resend_rules.ResendRules,
    ListRetriesRequest: resend_rules.ListRetriesRules,
    PauseMessageRequest: delivery_rules.ChangeMessageRules,
    ResumeMessageRequest: delivery_rules.ChangeMessageRules,
    CancelMessageRequest: delivery_rules.ChangeMessageRules,
    PutPageRequest: page_rules.PutPageRules,
    HoldPageRequest: page_rules.HoldPageRules,
    ReleasePageRequest: page_rules.ReleasePageRules,
    ListPagesRequest: page_rules.ListPagesRules,
    RecordReceiptsRequest: receipt_rules.RecordReceiptsRules,
    Receipt: receipt_rules.ReceiptRules,
    SummarizeFailuresRequest: report_rules.SummarizeFailuresRules,
    GetDeliveryReportRequest: report_rules.GetDeliveryReportRules,
    ExportDeliveriesRequest: report_rules.ExportDeliveriesRules,
}

NUL = "must not hold NUL characters"
ONE_LINE = "must be one line without control characters"
PERSON_NAME = "must not hold control characters but tabs and line ends"
LINES = "must not hold control characters but tabs and line feeds"
NO_SPACES = "must not hold spaces or NUL characters"
PAGE_ID = "may hold only letters, digits, dots, dashes and underscores"


def at_most(limit: int, has: int) -> str:
    return f"must have at most {limit:,} characters, has {has:,}"


def violations(request: Message, rules: type[Rules] | None = None, *, first: int = 0) -> dict[str, str]:
    """Path and words of each broken rule."""
    try:
        (rules or RULES[type(request)]).check(request, first=first)
    except InvalidRequest as error:
        return dict(error.violations)
    return {}


def ids(cases: list[tuple[Message, str, str]]) -> list[str]:
    return [f"{type(request).__name__} {path} {words}" for request, path, words in cases]
