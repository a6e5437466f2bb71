"""Every value of the domain has its number in the contract, and the conversion is reversible."""

from collections.abc import Iterable
from typing import Any

import pytest

from domain.delivery import DeliveryStatus
from domain.fault import ErrorType
from domain.page_events import SendMode
from domain.retry import OnUnconfirmed, RetryType, SkipReason
from redrive.v1 import batch_pb2, message_pb2
from server.api.mapping import enums
from server.background.timer_report import TimerStatus

MESSAGE_STATUSES = ("PENDING", "SENDING", "SENT", "PARTIALLY_SENT", "FAILED", "PAUSED", "CANCELLED")
BATCH_STATUSES = ("PENDING", "STARTED", "COMPLETED", "CANCELLED")


@pytest.mark.parametrize(
    ("translated", "words"),
    [
        (enums.BATCH_STATUSES, BATCH_STATUSES),
        (enums.DELIVERY_STATUSES, DeliveryStatus),
        (enums.ERROR_TYPES, ErrorType),
        (enums.MESSAGE_STATUSES, MESSAGE_STATUSES),
        (enums.MESSAGING_TYPES, ("RESPONSE", "UPDATE", "MESSAGE_TAG")),
        (enums.NOTIFICATION_TYPES, ("REGULAR", "SILENT_PUSH", "NO_PUSH")),
        (enums.ATTACHMENT_TYPES, ("AUDIO", "FILE", "IMAGE", "VIDEO", "TEMPLATE")),
        (enums.ON_UNCONFIRMED, OnUnconfirmed),
        (enums.RETRY_TYPES, RetryType),
        (enums.SCHEDULED_RETRY_STATUSES, TimerStatus),
        (enums.SEND_MODES, SendMode),
        (enums.SKIP_REASONS, SkipReason),
    ],
)
def test_values_and_numbers_match_one_to_one(translated: Any, words: Iterable[str]) -> None:
    numbers = [translated.number(word) for word in words]

    assert sorted(numbers) == list(range(1, len(numbers) + 1))
    assert [translated.name(number, "default") for number in numbers] == list(words)


def test_an_unspecified_number_becomes_the_default() -> None:
    assert enums.RETRY_TYPES.name(message_pb2.RETRY_TYPE_UNSPECIFIED, "MANUAL") == "MANUAL"


def test_a_filter_contains_each_value_once() -> None:
    pending, started = batch_pb2.BATCH_STATUS_PENDING, batch_pb2.BATCH_STATUS_STARTED

    assert enums.BATCH_STATUSES.names([started, pending, started]) == ("STARTED", "PENDING")
