"""The servicer of MaintenanceService: map the request, call a service, map the result."""

# ruff: noqa: N802 - the contract names the rpcs

from redrive.v1.maintenance_service_pb2 import (
    CleanupDeliveriesRequest,
    CleanupDeliveriesResponse,
    ErasePersonRequest,
    ErasePersonResponse,
    GetCleanupRequest,
    GetCleanupResponse,
)
from redrive.v1.maintenance_service_pb2_grpc import MaintenanceServiceServicer as MaintenanceServiceBase
from server.api.caller import Context, calling_owner
from server.api.mapping import maintenance
from server.api.services import Services


class MaintenanceServicer(MaintenanceServiceBase):
    """Raises domain errors, which the error interceptor maps to statuses."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def CleanupDeliveries(self, request: CleanupDeliveriesRequest, context: Context) -> CleanupDeliveriesResponse:
        command = maintenance.cleanup_command(request, calling_owner(context))
        if command.validate_only:
            return maintenance.cleanup_dry_run_response(await self._services.cleanups.count_removable(command))
        return maintenance.cleanup_response(await self._services.cleanups.start(command))

    async def GetCleanup(self, request: GetCleanupRequest, _context: Context) -> GetCleanupResponse:
        return maintenance.get_cleanup_response(await self._services.cleanups.find(maintenance.cleanup_id(request)))

    async def ErasePerson(self, request: ErasePersonRequest, context: Context) -> ErasePersonResponse:
        return maintenance.erase_response(
            await self._services.erasures.erase(maintenance.erase_command(request, calling_owner(context)))
        )
