"""What came back for one request, read whole."""

from collections.abc import Mapping
from typing import cast

import httpx
import msgspec


class Answer(msgspec.Struct, frozen=True, gc=False):
    """An answer of any status; headers by their names in lower case, of several by one name the last."""

    status: int
    headers: Mapping[str, str]
    content: bytes


async def read_answer(response: httpx.Response) -> Answer:
    """Reads a response to its end; raises what the connection, or the undoing of a compression, raises."""
    headers = {name.lower().decode("latin-1"): value.decode("latin-1") for name, value in response.headers.raw}
    return Answer(response.status_code, headers, await _content(response, is_encoded="content-encoding" in headers))


async def _content(response: httpx.Response, *, is_encoded: bool) -> bytes:
    """httpx's own reading costs 8 microseconds, so it is left for what has to be decoded."""
    stream = cast("httpx.AsyncByteStream", response.stream)  # an async transport gives no other
    try:
        return await response.aread() if is_encoded else b"".join([chunk async for chunk in stream])
    finally:
        await stream.aclose()
