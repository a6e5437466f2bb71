"""The failed recipients of a message as a file, passed on part by part."""

from typing import Annotated

from fastapi import FastAPI, Query, Request
from fastapi.responses import Response

from redrive.dashboard.downloads import download
from redrive.dashboard.sessions import Sessions
from redrive.v1.delivery_pb2 import DeliveryStatus
from redrive.v1.error_pb2 import ErrorType
from redrive.v1.report_service_pb2 import ExportDeliveriesRequest, ExportRows

_FAILED = (DeliveryStatus.DELIVERY_STATUS_FAILED, DeliveryStatus.DELIVERY_STATUS_UNCONFIRMED)
_TYPES = [number for number in ErrorType.values() if number]


def add_export(app: FastAPI, sessions: Sessions) -> None:
    """Registers the download."""

    @app.get("/messages/{message_id}/failed.csv")
    async def export(
        request: Request, message_id: str, error_type: Annotated[list[int] | None, Query()] = None
    ) -> Response:
        types = [number for number in _TYPES if number in (error_type or ())]
        wanted = ExportDeliveriesRequest(
            message_id=message_id, statuses=_FAILED, error_types=types, rows=ExportRows.EXPORT_ROWS_RECIPIENTS
        )
        parts = sessions.backend(request.cookies).client.export_deliveries(wanted)
        return await download(parts, f"failed-{message_id}.csv")
