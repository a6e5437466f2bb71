"""The rules of each request, and their error messages."""

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
from server.api.validation import content, deliveries, pages, receipts, recipients, reports, resends, sends
from server.api.validation.rule_set import Rules

RULES: dict[type[Message], type[Rules]] = {
    SendRequest: sends.SendRules,
    Recipients: sends.StreamPartRules,
    Content: content.ContentRules,
    Attachment: content.AttachmentRules,
    QuickReply: content.QuickReplyRules,
    Recipient: recipients.RecipientRules,
    RetryPolicy: sends.RetryPolicyRules,
    ExponentialBackoff: sends.BackoffRules,
    GetMessageRequest: deliveries.GetMessageRules,
    WatchProgressRequest: deliveries.OneMessageRules,
    ProcessBatchesRequest: deliveries.OneMessageRules,
    ListMessagesRequest: deliveries.ListMessagesRules,
    ListBatchesRequest: deliveries.ListBatchesRules,
    ListDeliveriesRequest: deliveries.ListDeliveriesRules,
    ListFailedRequest: deliveries.ListFailedRules,
    ListEventsRequest: deliveries.ListEventsRules,
    ResendRequest: resends.ResendRules,
    ListRetriesRequest: resends.ListRetriesRules,
    PauseMessageRequest: deliveries.ChangeMessageRules,
    ResumeMessageRequest: deliveries.ChangeMessageRules,
    CancelMessageRequest: deliveries.ChangeMessageRules,
    PutPageRequest: pages.PutPageRules,
    HoldPageRequest: pages.HoldPageRules,
    ReleasePageRequest: pages.ReleasePageRules,
    ListPagesRequest: pages.ListPagesRules,
    RecordReceiptsRequest: receipts.RecordReceiptsRules,
    Receipt: receipts.ReceiptRules,
    SummarizeFailuresRequest: reports.SummarizeFailuresRules,
    GetDeliveryReportRequest: reports.GetDeliveryReportRules,
    ExportDeliveriesRequest: reports.ExportDeliveriesRules,
}

NUL = "must not hold NUL characters"
ONE_LINE = "must be one line without control characters"
PERSON_NAME = "must not hold control characters except tabs and line ends"
LINES = "must not hold control characters except tabs and line feeds"
NO_SPACES = "must not hold spaces or NUL characters"
PAGE_ID = "may hold only letters, digits, dots, dashes and underscores"


def at_most(limit: int, has: int) -> str:
    return f"must have at most {limit:,} characters, has {has:,}"


def violations(request: Message, rules: type[Rules] | None = None, *, first: int = 0) -> dict[str, str]:
    """Return the path and the text of each violation."""
    try:
        (rules or RULES[type(request)]).check(request, first=first)
    except InvalidRequest as error:
        return dict(error.violations)
    return {}


def ids(cases: list[tuple[Message, str, str]]) -> list[str]:
    return [f"{type(request).__name__} {path} {words}" for request, path, words in cases]
