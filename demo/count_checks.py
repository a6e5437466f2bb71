"""Checks that a message's counts add up and agree with the sandbox's record."""

from collections.abc import Sequence

from redrive.v1.message_pb2 import Counts
from server.sandbox.record import Summary


def discrepancies(counts: Counts, received: Summary) -> Sequence[str]:
    """Return one sentence for each count that is wrong; empty when all are right."""
    stated = counts.pending + counts.sending + counts.sent + counts.failed + counts.unconfirmed + counts.cancelled
    found = []
    if counts.total != stated:
        found.append(f"The counts do not add up: {counts.total} recipients in total, {stated} with a status.")
    if counts.sent != received.recipients_accepted:
        found.append(
            f"{counts.sent} recipients count as sent, but {received.recipients_accepted} received the message."
        )
    if received.repeat_count:
        found.append(f"{received.repeat_count} recipients received the message more than once.")
    return found
