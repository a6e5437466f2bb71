"""Rules of the requests for reports."""

from typing import Annotated, Any

from pydantic import Field, ValidationInfo, field_validator

from redrive.v1.delivery_pb2 import DeliveryStatus
from redrive.v1.report_service_pb2 import ExportFormat, ExportRows
from server.api.validation.deliveries import EnumFilter, ErrorTypes
from server.api.validation.field_types import (
    MAX_ID_LENGTH,
    MessageId,
    PageId,
    PageSize,
    RecipientId,
    Time,
    enum_value,
    rule_error,
    text_up_to,
)
from server.api.validation.rule_set import Rules

MessageIds = Annotated[
    list[Annotated[str, text_up_to(MAX_ID_LENGTH, at_least=1)]], Field(default_factory=list, max_length=100)
]


class SummarizeFailuresRules(Rules):
    """SummarizeFailures."""

    message_ids: MessageIds
    page_id: PageId = ""
    page_size: PageSize = 0


class SubjectRules(Rules):
    """A request about a message or a page; at least one of them is set."""

    page_id: PageId = ""
    message_id: MessageId = Field(default="", validate_default=True)

    @field_validator("message_id")
    @classmethod
    def _message_or_page(cls, message_id: str, given: ValidationInfo) -> str:
        if not message_id and given.data.get("page_id") == "":  # an invalid page_id is not in data
            raise rule_error("is required without a page_id")
        return message_id


class GetDeliveryReportRules(SubjectRules):
    """GetDeliveryReport."""

    start_time: Time = None
    end_time: Time = None
    page_size: PageSize = 0

    @field_validator("end_time")
    @classmethod
    def _end_after_start(cls, end_time: Any, given: ValidationInfo) -> Any:
        start_time = given.data.get("start_time")
        if start_time is not None and end_time.ToNanoseconds() <= start_time.ToNanoseconds():
            raise rule_error("must be later than start_time")
        return end_time


class ExportDeliveriesRules(SubjectRules):
    """ExportDeliveries."""

    recipient_id: RecipientId | None = None
    statuses: Annotated[
        list[Annotated[int, enum_value(DeliveryStatus.DESCRIPTOR, required=True)]],
        EnumFilter,
    ]
    error_types: ErrorTypes
    rows: Annotated[int, enum_value(ExportRows.DESCRIPTOR)] = 0
    format: Annotated[int, enum_value(ExportFormat.DESCRIPTOR)] = 0
