"""The recipients that a resend takes, and the selection of rows."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from redrive.texts.formats import format_count, format_number
from redrive.v1.error_pb2 import ErrorType
from redrive.v1.resend_pb2 import ResendRequest

MAX_NAMED = 10_000  # the server's limit for one Resend


@dataclass(frozen=True)
class ResendChoice:
    """Recipients of a resend; without ids and types: all retryable ones."""

    recipient_ids: tuple[str, ...] = ()
    error_types: tuple[ErrorType.ValueType, ...] = ()

    def request(self, message_id: str, *, sequence: int, include_unconfirmed: bool = False) -> ResendRequest:
        """Return the request for a dry run.

        It takes recipients only in their state at `sequence`, which is what the user saw.
        """
        return ResendRequest(
            message_id=message_id,
            recipient_ids=self.recipient_ids,
            error_types=self.error_types,
            include_unconfirmed=include_unconfirmed,
            as_of_sequence=sequence,
            validate_only=True,
        )


def retry_all_text(count: int) -> str:
    """Return the text of the button for all retryable recipients."""
    return f"Retry all ({format_number(count)})"


def retry_selected_text(count: int) -> str:
    """Return the text of the button for the selected recipients."""
    return f"Retry selected ({format_number(count)})"


def retry_types_text(types: Sequence[int], count: int) -> str:
    """Return the text of the button for the error types of the filter."""
    return f"Retry {format_count(len(types), 'type')} ({format_number(count)})"


class Selection:
    """The selected recipients: some by id, or all that match the filter. Another filter clears it."""

    def __init__(self) -> None:
        self._ids: set[str] = set()
        self.is_all = False

    def has(self, recipient_id: str) -> bool:
        """Return whether the recipient is selected."""
        return self.is_all or recipient_id in self._ids

    def set(self, recipient_id: str, *, is_on: bool, on_page: Iterable[str]) -> None:
        """Select or deselect one. If all were selected, deselecting one leaves those on the present page."""
        if self.is_all:
            self.is_all = False
            self._ids = set(on_page)
        (self._ids.add if is_on else self._ids.discard)(recipient_id)

    def set_page(self, on_page: Iterable[str], *, is_on: bool) -> None:
        """Select or deselect all on the page."""
        self.is_all = False
        self._ids = self._ids | set(on_page) if is_on else self._ids - set(on_page)

    def select_all(self) -> None:
        """Select all that match, on every page."""
        self.is_all = True

    def clear(self) -> None:
        self._ids.clear()
        self.is_all = False

    def count(self, matching: int) -> int:
        """Return how many are selected, if this many match the filter."""
        return matching if self.is_all else len(self._ids)

    def choice(self, types: Sequence[ErrorType.ValueType]) -> ResendChoice:
        """Return what to resend; `types` are the error types that match the filter."""
        if self.is_all:
            return ResendChoice(error_types=tuple(types))
        return ResendChoice(recipient_ids=tuple(sorted(self._ids)))
