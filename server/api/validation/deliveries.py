"""The rules of the requests about messages that were sent."""

from typing import Annotated, Any

from pydantic import Field, ValidationInfo, field_validator

from redrive.v1.batch_pb2 import BatchStatus
from redrive.v1.delivery_pb2 import DeliveryStatus
from redrive.v1.error_pb2 import ErrorType
from redrive.v1.message_pb2 import MessageStatus
from server.api.validation.field_kinds import (
    MessageId,
    Owner,
    PageId,
    PageSize,
    RecipientId,
    RequestId,
    Time,
    broken_rule,
    known,
)
from server.api.validation.rule_set import Rules

MOST_KINDS = 100  # of statuses or error types that a request names: there are fewer than ten of each
Kinds: Any = Field(default_factory=list, max_length=MOST_KINDS)

ErrorTypes = Annotated[list[Annotated[int, known(ErrorType.DESCRIPTOR, required=True)]], Kinds]


class OneMessageRules(Rules):
    """A request that names a message, and has no other rule: WatchProgress, ProcessBatches."""

    message_id: MessageId


class GetMessageRules(OneMessageRules):
    """GetMessage."""

    as_of_time: Time = None


class ListMessagesRules(Rules):
    """ListMessages."""

    page_id: PageId = ""
    owner: Owner = ""
    statuses: Annotated[
        list[Annotated[int, known(MessageStatus.DESCRIPTOR, required=True)]],
        Kinds,
    ]
    page_size: PageSize = 0


class ListBatchesRules(OneMessageRules):
    """ListBatches."""

    statuses: Annotated[
        list[Annotated[int, known(BatchStatus.DESCRIPTOR, required=True)]],
        Kinds,
    ]
    page_size: PageSize = 0


class ListDeliveriesRules(OneMessageRules):
    """ListDeliveries."""

    recipient_id: RecipientId | None = None
    statuses: Annotated[
        list[Annotated[int, known(DeliveryStatus.DESCRIPTOR, required=True)]],
        Kinds,
    ]
    error_types: ErrorTypes
    page_size: PageSize = 0


class ListFailedRules(OneMessageRules):
    """ListFailed."""

    error_types: ErrorTypes
    page_size: PageSize = 0
    as_of_time: Time = None


class ListEventsRules(OneMessageRules):
    """ListEvents."""

    without_batches: bool = False
    batch_number: Annotated[int, Field(ge=0)] = 0
    page_size: PageSize = 0

    @field_validator("batch_number")
    @classmethod
    def _a_batch_or_none(cls, batch_number: int, given: ValidationInfo) -> int:
        if given.data["without_batches"]:
            raise broken_rule("must not be given together with without_batches")
        return batch_number


class ChangeMessageRules(OneMessageRules):
    """PauseMessage, ResumeMessage, CancelMessage."""

    request_id: RequestId = ""
