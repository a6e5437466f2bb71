"""The client's part for what is done to all that is kept."""

from functools import cached_property
from typing import TYPE_CHECKING

from redrive.connection import Connection
from redrive.request_id import with_request_id
from redrive.v1.maintenance_service_pb2 import (
    Cleanup,
    CleanupDeliveriesRequest,
    CleanupDeliveriesResponse,
    ErasePersonRequest,
    ErasePersonResponse,
    GetCleanupRequest,
)
from redrive.v1.maintenance_service_pb2_grpc import MaintenanceServiceStub

if TYPE_CHECKING:  # it stands in the stubs' .pyi file only
    from redrive.v1.maintenance_service_pb2_grpc import MaintenanceServiceAsyncStub

COUNTING_TIMEOUT = 300.0  # seconds for a dry run: everything that is kept is looked through


class MaintenanceCalls:
    """What Client has of MaintenanceService; all raise RedriveError."""

    _connection: Connection

    @cached_property
    def _maintenance(self) -> "MaintenanceServiceAsyncStub":
        return MaintenanceServiceStub(self._connection.channel)

    async def cleanup_deliveries(self, request: CleanupDeliveriesRequest) -> CleanupDeliveriesResponse:
        """Starts to remove what is shown of deliveries that are over for long, and waits a few seconds for the end."""
        seconds = COUNTING_TIMEOUT if request.validate_only else None
        return await self._connection.ask(
            self._maintenance.CleanupDeliveries, with_request_id(request), seconds=seconds
        )

    async def get_cleanup(self, cleanup_id: str) -> Cleanup:
        """How far a cleanup is."""
        request = GetCleanupRequest(cleanup_id=cleanup_id)
        return (await self._connection.ask(self._maintenance.GetCleanup, request)).cleanup

    async def erase_person(self, recipient_id: str, request_id: str = "") -> ErasePersonResponse:
        """Forgets a person, in every message of every owner, for good."""
        request = with_request_id(ErasePersonRequest(recipient_id=recipient_id, request_id=request_id))
        return await self._connection.ask(self._maintenance.ErasePerson, request)
