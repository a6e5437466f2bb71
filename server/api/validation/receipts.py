"""Rules of receipts."""

from typing import Annotated, Any

from pydantic import Field, ValidationInfo, field_validator

from redrive.v1.receipt_service_pb2 import ReceiptKind
from server.api.validation.field_types import PageId, StoredRecipientId, Time, enum_value, rule_error, text_up_to
from server.api.validation.rule_set import Rules

MAX_RECEIPTS = 1_000
MAX_METADATA_LENGTH = 1_000  # characters, the platform's limit: an echo can carry the metadata of another sender


class ReceiptRules(Rules):
    """One receipt of the platform."""

    kind: Annotated[int, enum_value(ReceiptKind.DESCRIPTOR, required=True)]
    page_id: PageId
    recipient_id: StoredRecipientId
    delivery_id: Annotated[str, text_up_to(MAX_METADATA_LENGTH)] = Field(default="", validate_default=True)
    provider_message_id: Annotated[str, text_up_to(MAX_METADATA_LENGTH)] = Field(default="", validate_default=True)
    watermark: Time | None = Field(default=None, validate_default=True)
    time: Time

    @field_validator("delivery_id")
    @classmethod
    def _delivery_of_an_echo(cls, delivery_id: str, given: ValidationInfo) -> str:
        if not delivery_id and _is_echo(given):
            raise rule_error("is required for an echo")
        if delivery_id and _is_other(given):
            raise rule_error("must be empty, except for an echo")
        return delivery_id

    @field_validator("provider_message_id")
    @classmethod
    def _id_of_an_echo(cls, provider_message_id: str, given: ValidationInfo) -> str:
        if not provider_message_id and _is_echo(given):
            raise rule_error("is required for an echo")
        return provider_message_id

    @field_validator("watermark")
    @classmethod
    def _watermark_or_id(cls, watermark: Any, given: ValidationInfo) -> Any:
        if watermark is not None and _is_echo(given):
            raise rule_error("must be empty for an echo")
        if not _is_other(given) or "provider_message_id" not in given.data:
            return watermark
        has_id = bool(given.data["provider_message_id"])
        if watermark is None and not has_id:
            raise rule_error("is required without a provider_message_id")
        if watermark is not None and has_id:
            raise rule_error("must be empty with a provider_message_id")
        return watermark


def _is_echo(given: ValidationInfo) -> bool:
    return given.data.get("kind") == ReceiptKind.RECEIPT_KIND_ECHO


def _is_other(given: ValidationInfo) -> bool:
    return given.data.get("kind") not in (None, ReceiptKind.RECEIPT_KIND_ECHO)


class RecordReceiptsRules(Rules):
    """RecordReceipts."""

    receipts: Annotated[
        list[ReceiptRules], Field(default=[], min_length=1, max_length=MAX_RECEIPTS, validate_default=True)
    ]
