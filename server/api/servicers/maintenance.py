"""MaintenanceService, as gRPC calls it: translate, call, translate."""

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
from server.api.caller import Context, caller
from server.api.mapping import maintenance
from server.commands.cleanup import CleanupService
from server.commands.erasure import ErasureService


class MaintenanceServicer(MaintenanceServiceBase):
    """Raises domain errors: the interceptor makes statuses of them."""

    def __init__(self, cleanups: CleanupService, erasures: ErasureService) -> None:
        self._cleanups = cleanups
        self._erasures = erasures

    async def CleanupDeliveries(self, request: CleanupDeliveriesRequest, context: Context) -> CleanupDeliveriesResponse:
        command = maintenance.cleanup_deliveries(request, caller(context))
        if command.validate_only:
            return maintenance.would_clean(await self._cleanups.would_remove(command))
        return maintenance.cleaned(await self._cleanups.clean(command))

    async def GetCleanup(self, request: GetCleanupRequest, _context: Context) -> GetCleanupResponse:
        return maintenance.cleanup_found(await self._cleanups.find(maintenance.cleanup_id(request)))

    async def ErasePerson(self, request: ErasePersonRequest, context: Context) -> ErasePersonResponse:
        return maintenance.person_erased(await self._erasures.erase(maintenance.erase_person(request, caller(context))))
