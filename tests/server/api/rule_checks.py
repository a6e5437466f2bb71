"""Which rules each request has, and what breaking them says."""

from google.protobuf.message import Message

from domain.errors import InvalidRequest
from redrive.v1.content_pb2 import Attachment, Content, QuickReply, Recipient
from redrive.v1.delivery_service_pb2 import (
    CancelMessageRequest,
    GetMessageRequest,
    ListBatchesRequest,
    ListDeliveriesRequest,
    ListFailedRequest,
    ListMessagesRequest,
    Recipients,
    ResendRequest,
    SendRequest,
    WatchProgressRequest,
)
from redrive.v1.message_pb2 import RetryPolicy
from redrive.v1.page_service_pb2 import ListPagesRequest, PutPageRequest
from redrive.v1.retry_service_pb2 import ProcessBatchesRequest
from server.api.rules import content_rules, delivery_rules, page_rules, recipient_rules, send_rules
from server.api.rules.rule_set import Rules

RULES: dict[type[Message], type[Rules]] = {
    SendRequest: send_rules.SendRules,
    Recipients: send_rules.StreamPartRules,
    Content: content_rules.ContentRules,
    Attachment: content_rules.AttachmentRules,
    QuickReply: content_rules.QuickReplyRules,
    Recipient: recipient_rules.RecipientRules,
    RetryPolicy: send_rules.RetryPolicyRules,
    GetMessageRequest: delivery_rules.OneMessageRules,
    WatchProgressRequest: delivery_rules.OneMessageRules,
    ProcessBatchesRequest: delivery_rules.OneMessageRules,
    ListMessagesRequest: delivery_rules.ListMessagesRules,
    ListBatchesRequest: delivery_rules.ListBatchesRules,
    ListDeliveriesRequest: delivery_rules.ListDeliveriesRules,
    ListFailedRequest: delivery_rules.ListFailedRules,
    ResendRequest: delivery_rules.ResendRules,
    CancelMessageRequest: delivery_rules.CancelMessageRules,
    PutPageRequest: page_rules.PutPageRules,
    ListPagesRequest: page_rules.ListPagesRules,
}

NUL = "must not hold NUL characters"
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
