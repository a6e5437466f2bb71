"""The enums of the contract. The service uses the same names without the prefix, such as SENT."""

from collections.abc import Sequence
from typing import Generic, TypeVar

from redrive.v1.batch_pb2 import BatchStatus
from redrive.v1.content_pb2 import AttachmentType, MessagingType, NotificationType
from redrive.v1.delivery_pb2 import DeliveryStatus
from redrive.v1.error_pb2 import ErrorType
from redrive.v1.message_pb2 import MessageStatus, OnUnconfirmed, RetryType, StopCause
from redrive.v1.page_pb2 import SendMode
from redrive.v1.receipt_service_pb2 import ReceiptKind
from redrive.v1.resend_pb2 import CanaryState, ResendCause, RetryTrigger, SkipReason
from redrive.v1.retry_service_pb2 import ScheduledRetryStatus

V = TypeVar("V", bound=int)


class EnumNames(Generic[V]):
    """Converts between the names and the numbers of one enum; its first name, for 0, ends in UNSPECIFIED."""

    def __init__(self, items: Sequence[tuple[str, V]]) -> None:
        prefix = items[0][0].removesuffix("UNSPECIFIED")
        self._numbers = {name.removeprefix(prefix): number for name, number in items}
        self._names = {number: name for name, number in self._numbers.items()}

    def number(self, name: str) -> V:
        """Return the number of a name."""
        return self._numbers[name]

    def name(self, number: V, default: str) -> str:
        """Return the name of a valid number, or the default for 0."""
        return self._names[number] if number else default

    def names(self, numbers: Sequence[V]) -> tuple[str, ...]:
        """Return the names of valid numbers, without duplicates."""
        return tuple(dict.fromkeys(self._names[number] for number in numbers))


ATTACHMENT_TYPES = EnumNames(AttachmentType.items())
BATCH_STATUSES = EnumNames(BatchStatus.items())
CANARY_STATES = EnumNames(CanaryState.items())
DELIVERY_STATUSES = EnumNames(DeliveryStatus.items())
ERROR_TYPES = EnumNames(ErrorType.items())
MESSAGE_STATUSES = EnumNames(MessageStatus.items())
MESSAGING_TYPES = EnumNames(MessagingType.items())
NOTIFICATION_TYPES = EnumNames(NotificationType.items())
ON_UNCONFIRMED = EnumNames(OnUnconfirmed.items())
RECEIPT_KINDS = EnumNames(ReceiptKind.items())
RESEND_CAUSES = EnumNames(ResendCause.items())
RETRY_TRIGGERS = EnumNames(RetryTrigger.items())
RETRY_TYPES = EnumNames(RetryType.items())
SCHEDULED_RETRY_STATUSES = EnumNames(ScheduledRetryStatus.items())
SEND_MODES = EnumNames(SendMode.items())
SKIP_REASONS = EnumNames(SkipReason.items())
STOP_CAUSES = EnumNames(StopCause.items())
