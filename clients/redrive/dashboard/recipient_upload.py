"""Takes in a file of recipients, which the page sends as the body of a request: its name is no part of the address."""

from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.responses import Response

from redrive.dashboard.compositions import Compositions
from redrive.dashboard.sessions import Sessions

ADDRESS = "/compose/recipients"
MOST_BYTES = 64 * 1024 * 1024  # about a million recipients with a name and a variable
MOST_BYTES_OF_ALL = 16 * MOST_BYTES


def add_recipient_upload(app: FastAPI, sessions: Sessions, compositions: Compositions) -> None:
    """Registers the address; the answer says only whether the file was taken in, the page tells what stands in it."""

    @app.post(ADDRESS)
    async def take(request: Request, composition: str) -> Response:
        found = compositions.find(composition, sessions.backend(request.cookies))
        if found is None or found.is_being_sent:
            return Response(status_code=409)
        if compositions.file_bytes > MOST_BYTES_OF_ALL:
            return Response(status_code=507)
        found.forget_file()
        path = compositions.new_file()
        try:
            if not await _write(request, path):
                return Response(status_code=413)
            await found.take_file(path)
        finally:
            if found.recipients is None:
                path.unlink(missing_ok=True)
        return Response(status_code=204)


async def _write(request: Request, path: Path) -> bool:
    """False for a body that is too big."""
    size = 0
    with path.open("wb") as file:
        async for part in request.stream():
            size += len(part)
            if size > MOST_BYTES:
                return False
            file.write(part)
    return True
