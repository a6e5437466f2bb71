"""Calls of MaintenanceService."""

from functools import cached_property
from typing import TYPE_CHECKING

from redrive.calls.request_id import with_request_id
from redrive.connection import Connection
from redrive.v1.maintenance_service_pb2 import (
    Cleanup,
    CleanupDeliveriesRequest,
    CleanupDeliveriesResponse,
    ErasePersonRequest,
    ErasePersonResponse,
    GetCleanupRequest,
)
from redrive.v1.maintenance_service_pb2_grpc import MaintenanceServiceStub

if TYPE_CHECKING:  # defined in the .pyi file of the stubs only
    from redrive.v1.maintenance_service_pb2_grpc import MaintenanceServiceAsyncStub

COUNTING_TIMEOUT = 300.0  # seconds for a dry run: the server scans all deliveries


class MaintenanceCalls:
    """The methods of Client for MaintenanceService. All raise RedriveError."""

    _connection: Connection

    @cached_property
    def _maintenance(self) -> "MaintenanceServiceAsyncStub":
        return MaintenanceServiceStub(self._connection.channel)

    async def cleanup_deliveries(self, request: CleanupDeliveriesRequest) -> CleanupDeliveriesResponse:
        """Start a cleanup of old finished deliveries; wait a few seconds for its end."""
        seconds = COUNTING_TIMEOUT if request.validate_only else None
        return await self._connection.call(
            self._maintenance.CleanupDeliveries, with_request_id(request), seconds=seconds
        )

    async def get_cleanup(self, cleanup_id: str) -> Cleanup:
        """Return the progress of a cleanup."""
        request = GetCleanupRequest(cleanup_id=cleanup_id)
        return (await self._connection.call(self._maintenance.GetCleanup, request)).cleanup

    async def erase_person(self, recipient_id: str, request_id: str = "") -> ErasePersonResponse:
        """Erase a person from every message of every owner. This cannot be undone."""
        request = with_request_id(ErasePersonRequest(recipient_id=recipient_id, request_id=request_id))
        return await self._connection.call(self._maintenance.ErasePerson, request)
