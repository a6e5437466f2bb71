"""Requests in and answers out: cleanups."""

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

DEFAULT_DAYS = 90


def cleanup_deliveries(request: CleanupDeliveriesRequest, owner: str) -> CleanupDeliveries:
    """What to clean up."""
    CleanupDeliveriesRules.check(request)
    return CleanupDeliveries(
        owner=owner,
        request_id=request.request_id,
        older_than_days=request.older_than_days or DEFAULT_DAYS,
        validate_only=request.validate_only,
    )


def cleanup_id(request: GetCleanupRequest) -> str:
    """The cleanup that a request names."""
    GetCleanupRules.check(request)
    return request.cleanup_id


def would_clean(deliveries: int) -> CleanupDeliveriesResponse:
    """What a cleanup would remove."""
    return CleanupDeliveriesResponse(deliveries_removed=deliveries)


def cleaned(row: CleanupRow) -> CleanupDeliveriesResponse:
    """How far a cleanup has come that was asked for."""
    return CleanupDeliveriesResponse(deliveries_removed=row.deliveries_removed, cleanup=_cleanup(row))


def cleanup_found(row: CleanupRow) -> GetCleanupResponse:
    """How far a cleanup is."""
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


# Erasures: requests in, answers out.


def erase_person(request: ErasePersonRequest, owner: str) -> ErasePerson:
    """Whom to erase; raises InvalidRequest."""
    ErasePersonRules.check(request)
    return ErasePerson(owner=owner, request_id=request.request_id, recipient_id=request.recipient_id)


def person_erased(messages: int) -> ErasePersonResponse:
    """What an ErasePerson changed."""
    return ErasePersonResponse(messages_affected=messages)
