"""Whom a resend is to take, as the page's buttons offer it."""

from collections.abc import Sequence
from dataclasses import dataclass

from redrive.dashboard.formats import counted, number
from redrive.v1.error_pb2 import ErrorType
from redrive.v1.resend_pb2 import ResendRequest

MOST_NAMED = 10_000  # recipients that one Resend can name


@dataclass(frozen=True)
class ResendChoice:
    """With nothing named: those whom another attempt can help. Naming a type or a recipient insists."""

    recipient_ids: tuple[str, ...] = ()
    error_types: tuple[ErrorType.ValueType, ...] = ()

    def request(self, message_id: str, *, sequence: int, include_unconfirmed: bool = False) -> ResendRequest:
        """The request, which is for a preview until its validate_only is taken back.

        It takes recipients only as they were at the sequence: as whoever chose them saw them.
        """
        return ResendRequest(
            message_id=message_id,
            recipient_ids=self.recipient_ids,
            error_types=self.error_types,
            include_unconfirmed=include_unconfirmed,
            as_of_sequence=sequence,
            validate_only=True,
        )


def everyone(count: int) -> str:
    """The word for whoever can be helped."""
    return f"Retry all ({number(count)})"


def selected(count: int) -> str:
    """The word for those with a tick."""
    return f"Retry selected ({number(count)})"


def of_types(types: Sequence[int], count: int) -> str:
    """The word for those of the types that are filtered by."""
    return f"Retry {counted(len(types), 'type')} ({number(count)})"
