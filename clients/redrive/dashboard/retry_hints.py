"""Which choice is for which case: what people who send a lot have learned."""

from collections.abc import Mapping

from redrive.v1.content_pb2 import MessagingType
from redrive.v1.message_pb2 import OnUnconfirmed, RetryType

RETRY_HINTS: Mapping[int, str] = {
    RetryType.RETRY_TYPE_MANUAL: (
        "Nothing is resent until somebody does so under View failed. For small sends, and where each failure deserves "
        "a look."
    ),
    RetryType.RETRY_TYPE_AUTO: (
        "What another attempt can mend is resent right after a round ends. For faults that pass within seconds or "
        "minutes; give it a wait where the page runs into its rate limit."
    ),
    RetryType.RETRY_TYPE_CRON: (
        "What another attempt can mend is resent by the server's timer, every 15 minutes unless it was set otherwise. "
        "For big sends, and for limits that take hours to pass."
    ),
}
UNCONFIRMED_HINTS: Mapping[int, str] = {
    OnUnconfirmed.ON_UNCONFIRMED_HOLD: (
        "Where nobody knows whether a message arrived (a broken connection, a crash), it waits for your decision. "
        "Nobody gets it twice unasked."
    ),
    OnUnconfirmed.ON_UNCONFIRMED_RESEND: (
        "Where nobody knows whether a message arrived, it is resent like a failure. Some people may get it twice: only "
        "for messages where missing one is worse."
    ),
}
MESSAGING_HINTS: Mapping[int, str] = {
    MessagingType.MESSAGING_TYPE_UPDATE: (
        "A message of your own accord. The platform takes it within 24 hours of the person's last message, and refuses "
        "it after that: no retry helps."
    ),
    MessagingType.MESSAGING_TYPE_RESPONSE: "An answer to what the person wrote, within 24 hours of it.",
    MessagingType.MESSAGING_TYPE_MESSAGE_TAG: (
        "Outside the 24 hours, for one of the platform's exceptions only. A wrong tag can get the page blocked."
    ),
}
TAG_HINTS: Mapping[str, str] = {
    "HUMAN_AGENT": "A person answers a person, up to 7 days after their message.",
    "CUSTOMER_FEEDBACK": "A survey about a purchase or about the service.",
}
NEVER_HELPS = (
    "Whatever the choice, a retry takes only what another attempt can mend: an unknown recipient or a closed 24-hour "
    "window stays failed, and an expired token waits until it is replaced. Who was sent to is never sent to again."
)
