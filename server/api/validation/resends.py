"""Rules of the requests about resends."""

from typing import Annotated

from pydantic import AfterValidator, Field

from domain.canary import MAX_CANARY_RECIPIENTS
from server.api.validation.content import ContentRules
from server.api.validation.deliveries import ErrorTypes, OneMessageRules
from server.api.validation.field_types import (
    LINES,
    MessagesPerSecond,
    PageSize,
    RecipientId,
    RequestId,
    rule_error,
    share,
    text_up_to,
)
from server.api.validation.rule_set import Rules

RecipientIds = Annotated[list[RecipientId], Field(default_factory=list, max_length=10_000)]


def _canary_size(recipients: int) -> int:
    if not 1 <= recipients <= MAX_CANARY_RECIPIENTS:
        raise rule_error(f"must be from 1 to {MAX_CANARY_RECIPIENTS:,}")
    return recipients


class CanaryRules(Rules):
    """A canary."""

    recipients: Annotated[int, AfterValidator(_canary_size), Field(validate_default=True)] = 0
    max_failure_share: Annotated[float, AfterValidator(share)] = 0.0


class ResendRules(OneMessageRules):
    """Resend."""

    recipient_ids: RecipientIds
    error_types: ErrorTypes
    request_id: RequestId = ""
    as_of_sequence: Annotated[int, Field(ge=0)] = 0
    canary: CanaryRules | None = None
    messages_per_second: MessagesPerSecond = 0.0
    reason: Annotated[str, text_up_to(500, LINES)] = ""
    content: ContentRules | None = None


class ListRetriesRules(OneMessageRules):
    """ListRetries."""

    page_size: PageSize = 0
