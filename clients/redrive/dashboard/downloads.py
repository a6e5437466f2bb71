"""A file that the server writes part by part, passed on to the browser."""

from collections.abc import AsyncGenerator, AsyncIterator

from fastapi.responses import PlainTextResponse, RedirectResponse, Response, StreamingResponse

from redrive.dashboard.words import in_words
from redrive.errors import RedriveError, Unauthenticated


async def download(parts: AsyncGenerator[bytes, None], file_name: str) -> Response:
    """The file, once its first part is there: until then an error is a page in words; later it breaks the file off."""
    try:
        first = await anext(parts, b"")
    except Unauthenticated:
        return RedirectResponse("/login", status_code=303)
    except RedriveError as error:
        return PlainTextResponse(" ".join(in_words(error)) + "\n", 502)
    headers = {"content-disposition": f'attachment; filename="{file_name}"', "cache-control": "no-store"}
    return StreamingResponse(_all(first, parts), media_type="text/csv; charset=utf-8", headers=headers)


async def _all(first: bytes, parts: AsyncGenerator[bytes, None]) -> AsyncIterator[bytes]:
    yield first
    async for part in parts:
        yield part
