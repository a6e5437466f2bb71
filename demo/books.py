"""Whether the books balance, and agree with what the platform itself wrote down."""

from collections.abc import Sequence

from redrive.v1.message_pb2 import Counts
from server.sandbox.record import Summary


def discrepancies(counts: Counts, received: Summary) -> Sequence[str]:
    """What is wrong, in words; nothing when all is well."""
    stated = counts.pending + counts.sending + counts.sent + counts.failed + counts.unconfirmed + counts.cancelled
    found = []
    if counts.total != stated:
        found.append(f"The books do not balance: {counts.total} recipients, {stated} accounted for.")
    if counts.sent != received.recipients_accepted:
        found.append(f"{counts.sent} count as sent to, but {received.recipients_accepted} people got the message.")
    if received.repeat_count:
        found.append(f"{received.repeat_count} people got the message twice.")
    return found
