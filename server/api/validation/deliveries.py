"""Rules of the requests about existing messages."""

from typing import Annotated, Any

from pydantic import Field, ValidationInfo, field_validator

from redrive.v1.batch_pb2 import BatchStatus
from redrive.v1.delivery_pb2 import DeliveryStatus
from redrive.v1.error_pb2 import ErrorType
from redrive.v1.message_pb2 import MessageStatus
from server.api.validation.field_types import (
    MessageId,
    Owner,
    PageId,
    PageSize,
    RecipientId,
    RequestId,
    Time,
    enum_value,
    rule_error,
)
from server.api.validation.rule_set import Rules

MAX_FILTER_VALUES = 100  # statuses or error types in a request: each enum has fewer than ten
EnumFilter: Any = Field(default_factory=list, max_length=MAX_FILTER_VALUES)

ErrorTypes = Annotated[list[Annotated[int, enum_value(ErrorType.DESCRIPTOR, required=True)]], EnumFilter]


class OneMessageRules(Rules):
    """A request whose only rule is about its message: WatchProgress, ProcessBatches."""

    message_id: MessageId


class GetMessageRules(OneMessageRules):
    """GetMessage."""

    as_of_time: Time = None


class ListMessagesRules(Rules):
    """ListMessages."""

    page_id: PageId = ""
    owner: Owner = ""
    statuses: Annotated[
        list[Annotated[int, enum_value(MessageStatus.DESCRIPTOR, required=True)]],
        EnumFilter,
    ]
    page_size: PageSize = 0


class ListBatchesRules(OneMessageRules):
    """ListBatches."""

    statuses: Annotated[
        list[Annotated[int, enum_value(BatchStatus.DESCRIPTOR, required=True)]],
        EnumFilter,
    ]
    page_size: PageSize = 0


class ListDeliveriesRules(OneMessageRules):
    """ListDeliveries."""

    recipient_id: RecipientId | None = None
    statuses: Annotated[
        list[Annotated[int, enum_value(DeliveryStatus.DESCRIPTOR, required=True)]],
        EnumFilter,
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
    def _excludes_without_batches(cls, batch_number: int, given: ValidationInfo) -> int:
        if given.data["without_batches"]:
            raise rule_error("must not be given together with without_batches")
        return batch_number


class ChangeMessageRules(OneMessageRules):
    """PauseMessage, ResumeMessage, CancelMessage."""

    request_id: RequestId = ""
