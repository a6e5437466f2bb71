"""The rules of the requests for maintenance."""

from typing import Annotated

from pydantic import Field

from server.api.validation.field_kinds import LONGEST_ID, RequestId, StoredRecipientId, up_to
from server.api.validation.rule_set import Rules

MOST_DAYS = 3_650


class CleanupDeliveriesRules(Rules):
    """CleanupDeliveries."""

    older_than_days: Annotated[int, Field(ge=1, le=MOST_DAYS)] = 0
    request_id: RequestId = ""


class GetCleanupRules(Rules):
    """GetCleanup."""

    cleanup_id: Annotated[str, up_to(LONGEST_ID)]


class ErasePersonRules(Rules):
    """ErasePerson."""

    recipient_id: StoredRecipientId
    request_id: RequestId = ""
