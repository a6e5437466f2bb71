"""Mapping of MaintenanceService: cleanups and erasures."""

from domain.commands import CleanupDeliveries, ErasePerson
from projections.cleanups import CleanupRow
from redrive.v1.maintenance_service_pb2 import (
    Cleanup,
    CleanupDeliveriesRequest,
    CleanupDeliveriesResponse,
    CleanupState,
    ErasePersonRequest,
    ErasePersonResponse,
    GetCleanupRequest,
    GetCleanupResponse,
)
from server.api.mapping.times import timestamp
from server.api.validation.maintenance import CleanupDeliveriesRules, ErasePersonRules, GetCleanupRules

DEFAULT_DAYS = 90  # the age of deliveries to remove


def cleanup_command(request: CleanupDeliveriesRequest, owner: str) -> CleanupDeliveries:
    """Return the command of a request; raises InvalidRequest."""
    CleanupDeliveriesRules.check(request)
    return CleanupDeliveries(
        owner=owner,
        request_id=request.request_id,
        older_than_days=request.older_than_days or DEFAULT_DAYS,
        validate_only=request.validate_only,
    )


def cleanup_id(request: GetCleanupRequest) -> str:
    """Return the id in a request; raises InvalidRequest."""
    GetCleanupRules.check(request)
    return request.cleanup_id


def cleanup_dry_run_response(deliveries: int) -> CleanupDeliveriesResponse:
    """Return the response to a dry run, with the number of deliveries that a cleanup would remove."""
    return CleanupDeliveriesResponse(deliveries_removed=deliveries)


def cleanup_response(row: CleanupRow) -> CleanupDeliveriesResponse:
    return CleanupDeliveriesResponse(deliveries_removed=row.deliveries_removed, cleanup=_cleanup(row))


def get_cleanup_response(row: CleanupRow) -> GetCleanupResponse:
    return GetCleanupResponse(cleanup=_cleanup(row))


def _cleanup(row: CleanupRow) -> Cleanup:
    return Cleanup(
        id=row.cleanup_id,
        state=CleanupState.CLEANUP_STATE_DONE if row.is_done else CleanupState.CLEANUP_STATE_RUNNING,
        deliveries_removed=row.deliveries_removed,
        deliveries_total=row.deliveries_total or 0,
        before_time=timestamp(row.before_time),
        create_time=timestamp(row.create_time),
        end_time=timestamp(row.end_time),
    )


def erase_command(request: ErasePersonRequest, owner: str) -> ErasePerson:
    """Return the command of a request; raises InvalidRequest."""
    ErasePersonRules.check(request)
    return ErasePerson(owner=owner, request_id=request.request_id, recipient_id=request.recipient_id)


def erase_response(messages: int) -> ErasePersonResponse:
    return ErasePersonResponse(messages_affected=messages)
