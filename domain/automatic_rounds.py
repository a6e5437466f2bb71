"""The recipients that automatic rounds may take after a manual resend.

A person who names recipients has confirmed these recipients and no others. The rules:

1. A manual resend that names recipients or error types, or sets `as_of_sequence`, limits the automatic rounds of an
   AUTO message: from then on they take only recipients of manual resends since. Further resends of this kind add their
   recipients.
2. A manual resend that names nothing ends the limit: the person has confirmed all retryable recipients.
3. While deliveries of the first send or of another round are open, a manual resend sets no limit, because the policy
   promises these deliveries an automatic round when they end. An existing limit stays. The policy no longer promises a
   round that was due but not started when the person named recipients (it waited for the message's own schedule or for
   a held page): the person has seen the failures and has chosen.
4. The rounds of a CRON message are never limited: the retry timer takes every message that has a retryable recipient,
   so a resend does not start a round of it.
5. A canary that stops its round suspends all automatic rounds of the message. ResumeMessage ends the suspension and the
   limit: the person requests the policy's rounds. A manual resend ends the suspension too, and rules 1 to 3 apply;
   unless a delivery is still open it sets a new limit, because the person has seen the canary fail and has chosen
   again.

A limit is a batch number: recipients with an attempt in this batch or a later one are within it. Batch numbers grow
with each round, so the batches of an automatic round within a limit stay within it.
"""

from domain.message import Message
from domain.retry import DEFAULT_SELECTION, RetrySelection, RetryType


def limit_after_resend(message: Message, selection: RetrySelection, *, is_under_way: bool) -> int:
    """Return the first batch whose recipients automatic rounds may take after a manual resend; 0 for all.

    `is_under_way`: the first send or another round of the message has open deliveries.
    """
    confirms_everyone = not (selection.is_explicit or selection.as_of_sequence)
    if confirms_everyone or message.retry_policy.type is not RetryType.AUTO:
        return 0
    extends_limit = message.automatic_from_batch > 0 and not message.suspended
    return message.automatic_from_batch if is_under_way or extends_limit else message.batches + 1


def automatic_selection(from_batch: int) -> RetrySelection:
    """Return the selection of an automatic round within a limit; 0 is no limit."""
    return RetrySelection(from_batch=from_batch) if from_batch else DEFAULT_SELECTION
