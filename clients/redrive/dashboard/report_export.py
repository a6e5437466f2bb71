"""The attempts of a report's page or message as a file."""

from fastapi import FastAPI, Request
from fastapi.responses import Response

from redrive.dashboard.downloads import download
from redrive.dashboard.sessions import Sessions
from redrive.v1.report_service_pb2 import ExportDeliveriesRequest, ExportRows

ADDRESS = "/reports/attempts.csv"


def add_report_export(app: FastAPI, sessions: Sessions) -> None:
    """Registers the downloads."""

    @app.get(ADDRESS)
    async def export(request: Request, message: str = "", page: str = "") -> Response:
        wanted = ExportDeliveriesRequest(rows=ExportRows.EXPORT_ROWS_ATTEMPTS)
        if message:
            wanted.message_id = message
        else:
            wanted.page_id = page
        client = sessions.backend(request.cookies).client
        return await download(client.export_deliveries(wanted), "attempts.csv")
