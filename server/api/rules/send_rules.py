"""The rules of a Send, whole or as a stream."""

from typing import Annotated, Any

from pydantic import AfterValidator, Field

from domain.retry import MAX_RETRY_ATTEMPTS
from redrive.v1.message_pb2 import OnUnconfirmed, RetryType
from server.api.rules.broken_rule import broken_rule
from server.api.rules.content_rules import ContentRules
from server.api.rules.field_kinds import PageId, RequestId, known, up_to
from server.api.rules.recipient_rules import RecipientRules
from server.api.rules.rule_set import Rules

MOST_RECIPIENTS = 10_000

Recipients = Annotated[
    list[RecipientRules], Field(default=[], min_length=1, max_length=MOST_RECIPIENTS, validate_default=True)
]


class RetryPolicyRules(Rules):
    """What happens with failures."""

    type: Annotated[int, known(RetryType.DESCRIPTOR)] = 0
    max_retry_attempts: Annotated[int, Field(ge=0, le=MAX_RETRY_ATTEMPTS)] = 0


class MessageRules(Rules):
    """What is sent, but for the recipients."""

    request_id: RequestId = ""
    page_id: PageId
    title: Annotated[str, up_to(200)] = ""
    content: ContentRules
    retry_policy: RetryPolicyRules | None = None
    on_unconfirmed: Annotated[int, known(OnUnconfirmed.DESCRIPTOR)] = 0


class SendRules(MessageRules):
    """A SendRequest of its own."""

    recipients: Recipients


def _empty(recipients: Any) -> Any:
    if recipients:
        raise broken_rule("must be empty in a header: recipients come in the parts that follow")
    return recipients


class StreamHeaderRules(MessageRules):
    """The SendRequest that begins a stream."""

    recipients: Annotated[Any, AfterValidator(_empty)] = None


class StreamPartRules(Rules):
    """The recipients in one part of a stream."""

    recipients: Recipients
