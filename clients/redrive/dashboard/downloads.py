"""CSV downloads, streamed from the server to the browser."""

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Annotated

from fastapi import FastAPI, Query, Request
from fastapi.responses import PlainTextResponse, RedirectResponse, Response, StreamingResponse

from redrive.dashboard.state.sessions import Sessions
from redrive.errors import RedriveError, Unauthenticated
from redrive.texts.errors import error_text
from redrive.v1.delivery_pb2 import DeliveryStatus
from redrive.v1.error_pb2 import ErrorType
from redrive.v1.report_service_pb2 import ExportDeliveriesRequest, ExportRows

REPORT_EXPORT_PATH = "/reports/attempts.csv"
_FAILED = (DeliveryStatus.DELIVERY_STATUS_FAILED, DeliveryStatus.DELIVERY_STATUS_UNCONFIRMED)
_TYPES = [number for number in ErrorType.values() if number]


async def download(parts: AsyncGenerator[bytes, None], file_name: str) -> Response:
    """Return the file once its first part is there; an earlier error becomes a page, a later one ends the stream."""
    try:
        first = await anext(parts, b"")
    except Unauthenticated:
        return RedirectResponse("/login", status_code=303)
    except RedriveError as error:
        return PlainTextResponse(" ".join(error_text(error)) + "\n", 502)
    headers = {"content-disposition": f'attachment; filename="{file_name}"', "cache-control": "no-store"}
    return StreamingResponse(_all(first, parts), media_type="text/csv; charset=utf-8", headers=headers)


async def _all(first: bytes, parts: AsyncGenerator[bytes, None]) -> AsyncIterator[bytes]:
    yield first
    async for part in parts:
        yield part


def add_export(app: FastAPI, sessions: Sessions) -> None:
    """Register the download of a message's failed recipients."""

    @app.get("/messages/{message_id}/failed.csv")
    async def export(
        request: Request, message_id: str, error_type: Annotated[list[int] | None, Query()] = None
    ) -> Response:
        types = [number for number in _TYPES if number in (error_type or ())]
        export_request = ExportDeliveriesRequest(
            message_id=message_id, statuses=_FAILED, error_types=types, rows=ExportRows.EXPORT_ROWS_RECIPIENTS
        )
        parts = sessions.backend(request.cookies).client.export_deliveries(export_request)
        return await download(parts, f"failed-{message_id}.csv")


def add_report_export(app: FastAPI, sessions: Sessions) -> None:
    """Register the download of all attempts of a report."""

    @app.get(REPORT_EXPORT_PATH)
    async def export(request: Request, message: str = "", page: str = "") -> Response:
        export_request = ExportDeliveriesRequest(rows=ExportRows.EXPORT_ROWS_ATTEMPTS)
        if message:
            export_request.message_id = message
        else:
            export_request.page_id = page
        client = sessions.backend(request.cookies).client
        return await download(client.export_deliveries(export_request), "attempts.csv")
