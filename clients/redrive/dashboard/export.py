"""The failed recipients of a message as a file, passed on part by part."""

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Annotated

from fastapi import FastAPI, Query, Request
from fastapi.responses import PlainTextResponse, RedirectResponse, Response, StreamingResponse

from redrive.dashboard.sessions import Sessions
from redrive.dashboard.words import in_words
from redrive.errors import RedriveError, Unauthenticated
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
        return await _download(sessions.backend(request.cookies).client.export_deliveries(wanted), message_id)


async def _download(parts: AsyncGenerator[bytes, None], message_id: str) -> Response:
    """The file, once its first part is there: until then an error is a page in words; later it breaks the file off."""
    try:
        first = await anext(parts, b"")
    except Unauthenticated:
        return RedirectResponse("/login", status_code=303)
    except RedriveError as error:
        return PlainTextResponse(" ".join(in_words(error)) + "\n", 502)
    headers = {"content-disposition": f'attachment; filename="failed-{message_id}.csv"', "cache-control": "no-store"}
    return StreamingResponse(_all(first, parts), media_type="text/csv; charset=utf-8", headers=headers)


async def _all(first: bytes, parts: AsyncGenerator[bytes, None]) -> AsyncIterator[bytes]:
    yield first
    async for part in parts:
        yield part
