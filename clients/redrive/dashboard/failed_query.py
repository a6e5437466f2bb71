"""What the list of failed recipients is asked for."""

from collections.abc import Sequence
from dataclasses import dataclass

from redrive.client import Client
from redrive.v1.delivery_service_pb2 import ListFailedResponse
from redrive.v1.error_pb2 import ErrorType

PAGE = 50


@dataclass(frozen=True)
class FailedFilter:
    """Equal ones share their reads."""

    types: tuple[ErrorType.ValueType, ...] = ()
    retryable_only: bool = False

    async def read(self, client: Client, message_id: str, token: str) -> ListFailedResponse:
        """One page of the list, with the counts of all of it."""
        listing = client.list_failed(
            message_id, error_types=self.types, retryable_only=self.retryable_only, page_size=PAGE
        )
        return await listing.page(token)

    def with_type(self, error_type: ErrorType.ValueType, *, is_on: bool) -> "FailedFilter":
        """The same with one type more or less."""
        types = {*self.types, error_type} if is_on else {*self.types} - {error_type}
        return FailedFilter(tuple(sorted(types)), self.retryable_only)


def matching(answer: ListFailedResponse, types: Sequence[int]) -> int:
    """How many recipients are of these types, all where none is named."""
    return sum(entry.count for entry in answer.error_type_counts if not types or entry.error_type in types)


def types_there(answer: ListFailedResponse, wanted: Sequence[ErrorType.ValueType]) -> list[ErrorType.ValueType]:
    """The types that the filter lets through."""
    return [entry.error_type for entry in answer.error_type_counts if not wanted or entry.error_type in wanted]
