"""Hints of the form Compose: which choice suits which case."""

from collections.abc import Mapping

from redrive.v1.content_pb2 import MessagingType
from redrive.v1.message_pb2 import OnUnconfirmed, RetryType

RETRY_HINTS: Mapping[int, str] = {
    RetryType.RETRY_TYPE_MANUAL: (
        "Nothing is resent until a user resends it under View failed. For small sends, and if each failure needs a "
        "check."
    ),
    RetryType.RETRY_TYPE_AUTO: (
        "Retryable failures are resent right after a round ends. For failures that pass within seconds or minutes; "
        "set a wait if the page reaches its rate limit."
    ),
    RetryType.RETRY_TYPE_CRON: (
        "Retryable failures are resent by the server's retry timer, every 15 minutes by default. For large sends, and "
        "for limits that last hours."
    ),
}
UNCONFIRMED_HINTS: Mapping[int, str] = {
    OnUnconfirmed.ON_UNCONFIRMED_HOLD: (
        "A delivery with an unknown outcome (a broken connection, a crash) waits for your decision. No recipient gets "
        "the message twice without it."
    ),
    OnUnconfirmed.ON_UNCONFIRMED_RESEND: (
        "A delivery with an unknown outcome is resent like a failure. Some recipients may get the message twice: only "
        "for messages where a missing one is worse."
    ),
}
MESSAGING_HINTS: Mapping[int, str] = {
    MessagingType.MESSAGING_TYPE_UPDATE: (
        "A message on your initiative. The platform accepts it within 24 hours of the recipient's last message, and "
        "refuses it after that; no retry helps."
    ),
    MessagingType.MESSAGING_TYPE_RESPONSE: "A response to the recipient's message, within 24 hours of it.",
    MessagingType.MESSAGING_TYPE_MESSAGE_TAG: (
        "After the 24 hours, only for the platform's exceptions. The platform may block a page for a wrong tag."
    ),
}
TAG_HINTS: Mapping[str, str] = {
    "HUMAN_AGENT": "A human agent answers, up to 7 days after the recipient's message.",
    "CUSTOMER_FEEDBACK": "A survey about a purchase or about the service.",
}
NEVER_HELPS = (
    "Every retry type takes only retryable failures: an unknown recipient or a closed 24-hour window stays failed, and "
    "an expired token must be replaced first. Recipients that were sent the message are never sent it again."
)
