"""The rules of a Send, whole or as a stream."""

import time
from typing import Annotated, Any

from google.protobuf.timestamp_pb2 import Timestamp
from pydantic import AfterValidator, Field

from redrive.v1.message_pb2 import OnUnconfirmed
from server.api.rules.broken_rule import broken_rule
from server.api.rules.content_rules import ContentRules
from server.api.rules.field_kinds import ONE_LINE, PageId, RequestId, Time, known, share, up_to
from server.api.rules.recipient_rules import RecipientRules
from server.api.rules.retry_rules import RetryPolicyRules
from server.api.rules.rule_set import Rules

MOST_RECIPIENTS = 10_000
DAYS_AHEAD = 366

Recipients = Annotated[
    list[RecipientRules], Field(default=[], min_length=1, max_length=MOST_RECIPIENTS, validate_default=True)
]


def _not_too_far_ahead(scheduled: Timestamp) -> Timestamp:
    if scheduled.seconds > time.time() + DAYS_AHEAD * 86_400:
        raise broken_rule(f"must be at most {DAYS_AHEAD} days ahead")
    return scheduled


def _min_attempts(attempts: int) -> int:
    if attempts < 0:
        raise broken_rule("must be at least 1; 0 means the default, 100")
    return attempts


class StopPolicyRules(Rules):
    """When the service stops the message by itself."""

    max_failure_share: Annotated[float, AfterValidator(share)] = 0.0
    min_attempts: Annotated[int, AfterValidator(_min_attempts)] = 0


class MessageRules(Rules):
    """What is sent, but for the recipients."""

    request_id: RequestId = ""
    page_id: PageId
    title: Annotated[str, up_to(200, ONE_LINE)] = ""
    content: ContentRules
    retry_policy: RetryPolicyRules | None = None
    on_unconfirmed: Annotated[int, known(OnUnconfirmed.DESCRIPTOR)] = 0
    schedule_time: Annotated[Time, AfterValidator(_not_too_far_ahead)] = None
    stop_policy: StopPolicyRules | None = None


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
