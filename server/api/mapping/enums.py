"""The enums of the contract, by the words that the service has for the same things: their names without the prefix."""

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


class EnumWords(Generic[V]):
    """One enum both ways; its first name is that of 0, which ends in UNSPECIFIED."""

    def __init__(self, items: Sequence[tuple[str, V]]) -> None:
        prefix = items[0][0].removesuffix("UNSPECIFIED")
        self._numbers = {name.removeprefix(prefix): number for name, number in items}
        self._words = {number: word for word, number in self._numbers.items()}

    def number(self, word: str) -> V:
        """The number that the contract has for a word of the service."""
        return self._numbers[word]

    def word(self, number: V, default: str) -> str:
        """The word for a number that was checked; the default for 0."""
        return self._words[number] if number else default

    def words(self, numbers: Sequence[V]) -> tuple[str, ...]:
        """The words for numbers that were checked, each once."""
        return tuple(dict.fromkeys(self._words[number] for number in numbers))


ATTACHMENT_TYPES = EnumWords(AttachmentType.items())
BATCH_STATUSES = EnumWords(BatchStatus.items())
CANARY_STATES = EnumWords(CanaryState.items())
DELIVERY_STATUSES = EnumWords(DeliveryStatus.items())
ERROR_TYPES = EnumWords(ErrorType.items())
MESSAGE_STATUSES = EnumWords(MessageStatus.items())
MESSAGING_TYPES = EnumWords(MessagingType.items())
NOTIFICATION_TYPES = EnumWords(NotificationType.items())
ON_UNCONFIRMED = EnumWords(OnUnconfirmed.items())
RECEIPT_KINDS = EnumWords(ReceiptKind.items())
RESEND_CAUSES = EnumWords(ResendCause.items())
RETRY_TRIGGERS = EnumWords(RetryTrigger.items())
RETRY_TYPES = EnumWords(RetryType.items())
SCHEDULED_RETRY_STATUSES = EnumWords(ScheduledRetryStatus.items())
SEND_MODES = EnumWords(SendMode.items())
SKIP_REASONS = EnumWords(SkipReason.items())
STOP_CAUSES = EnumWords(StopCause.items())
