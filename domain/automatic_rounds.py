"""The recipients that automatic rounds take after a person has resent a message by hand.

A person who names recipients has confirmed these recipients and no others. So:

1. A resend by hand that names recipients or error types, or that freezes its set with `as_of_sequence`, limits the
   automatic rounds of an AUTO message: from then on they take only recipients that were resent to by hand since. More
   resends of this kind add their recipients.
2. A resend by hand that names nothing ends the limit: a person has confirmed everyone who can be retried.
3. While deliveries of the first send or of another round are open, a resend by hand sets no limit. The policy owes
   these deliveries a round of their own when they end, and the resend takes that away from no recipient. A limit that
   was set before stays. A round that was due and had not begun when the person named recipients (the wait of the
   message's own schedule, a hold of its page) is not owed any more: the person saw who failed, and has chosen.
4. The rounds of a CRON message are never limited: the timer takes every message that has a retryable recipient, so a
   resend does not start a round of it.
5. A stopped canary suspends all automatic rounds of its message. ResumeMessage ends the suspension and the limit: a
   person has asked for the policy's rounds. A resend by hand ends the suspension, and rules 1 to 3 say what follows;
   unless something is still open it sets a limit of its own, because the person has seen the recipients of the canary
   fail and has chosen again.

A limit is the number of a batch: recipients with an attempt in this batch or a later one are within it. Batches are
numbered in the order in which rounds make them, so what an automatic round makes within a limit stays within it.
"""

from domain.message import Message
from domain.retry import PLAIN, RetrySelection, RetryType


def limit_after_resend(message: Message, selection: RetrySelection, *, is_under_way: bool) -> int:
    """Return the first batch that automatic rounds may take recipients of after a resend by hand; 0 for all.

    `is_under_way`: the first send or another round of the message has not ended.
    """
    confirms_everyone = not (selection.names_something or selection.as_of_sequence)
    if confirms_everyone or message.retry_policy.type is not RetryType.AUTO:
        return 0
    adds_up = message.automatic_from_batch > 0 and not message.suspended
    return message.automatic_from_batch if is_under_way or adds_up else message.batches + 1


def automatic_selection(from_batch: int) -> RetrySelection:
    """Return what an automatic round asks for within a limit; 0 is no limit."""
    return RetrySelection(from_batch=from_batch) if from_batch else PLAIN
