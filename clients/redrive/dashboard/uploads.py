"""Upload of a file of recipients as the body of a request; the file name is not part of the URL."""

from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.responses import Response

from redrive.dashboard.state.compositions import Compositions
from redrive.dashboard.state.sessions import Sessions

UPLOAD_PATH = "/compose/recipients"
MAX_UPLOAD_BYTES = 64 * 1024 * 1024  # about a million recipients with a name and a variable
MAX_TOTAL_BYTES = 16 * MAX_UPLOAD_BYTES


def add_recipient_upload(app: FastAPI, sessions: Sessions, compositions: Compositions) -> None:
    """Register the upload. Its response says only whether the file was accepted; the page shows the content."""

    @app.post(UPLOAD_PATH)
    async def take(request: Request, composition: str) -> Response:
        found = compositions.find(composition, sessions.backend(request.cookies))
        if found is None or found.is_being_sent:
            return Response(status_code=409)
        if compositions.file_bytes > MAX_TOTAL_BYTES:
            return Response(status_code=507)
        found.clear_file()
        path = compositions.new_file()
        try:
            if not await _write(request, path):
                return Response(status_code=413)
            await found.load_file(path)
        finally:
            if found.recipients is None:
                path.unlink(missing_ok=True)
        return Response(status_code=204)


async def _write(request: Request, path: Path) -> bool:
    """Write the body to a file; return False if it is too large."""
    size = 0
    with path.open("wb") as file:
        async for part in request.stream():
            size += len(part)
            if size > MAX_UPLOAD_BYTES:
                return False
            file.write(part)
    return True
