"""Rules of the requests for maintenance."""

from typing import Annotated

from pydantic import Field

from server.api.validation.field_types import MAX_ID_LENGTH, RequestId, StoredRecipientId, text_up_to
from server.api.validation.rule_set import Rules

MAX_DAYS = 3_650


class CleanupDeliveriesRules(Rules):
    """CleanupDeliveries."""

    older_than_days: Annotated[int, Field(ge=1, le=MAX_DAYS)] = 0
    request_id: RequestId = ""


class GetCleanupRules(Rules):
    """GetCleanup."""

    cleanup_id: Annotated[str, text_up_to(MAX_ID_LENGTH)]


class ErasePersonRules(Rules):
    """ErasePerson."""

    recipient_id: StoredRecipientId
    request_id: RequestId = ""
