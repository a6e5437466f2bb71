"""What came back for one request, read whole and no further than a limit."""

import zlib
from collections.abc import AsyncIterable, Mapping
from typing import cast

import httpx
import msgspec

# Bytes, as they come and once they are decompressed. The largest answers are those to a Graph batch: 50 parts, each
# with about 15 headers and an error of a kilobyte, all of it quoted in JSON: some 300 KB.
MAX_ANSWER_BYTES = 1024 * 1024
_MOST_CODINGS = 2
_WINDOW_BITS = {"gzip": 16 + zlib.MAX_WBITS, "x-gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}


class AnswerTooLargeError(Exception):
    """The answer has more bytes than are read: what it says is unknown."""


class Answer(msgspec.Struct, frozen=True, gc=False):
    """An answer of any status; headers by their names in lower case, of several by one name the last."""

    status: int
    headers: Mapping[str, str]
    content: bytes


async def read_answer(response: httpx.Response) -> Answer:
    """Read a whole response; raises what the connection raises, AnswerTooLargeError and httpx.DecodingError."""
    headers = {name.lower().decode("latin-1"): value.decode("latin-1") for name, value in response.headers.raw}
    stream = cast("httpx.AsyncByteStream", response.stream)  # an async transport gives no other
    try:
        content = await read_bounded(stream)
    finally:
        await stream.aclose()
    if "content-encoding" in headers:
        content = _decoded(content, headers["content-encoding"])
    return Answer(response.status_code, headers, content)


async def read_bounded(chunks: AsyncIterable[bytes]) -> bytes:
    """Return all that comes; raises AnswerTooLargeError."""
    read: list[bytes] = []
    size = 0
    async for chunk in chunks:
        size += len(chunk)
        if size > MAX_ANSWER_BYTES:
            raise AnswerTooLargeError
        read.append(chunk)
    return b"".join(read)


def _decoded(content: bytes, header: str) -> bytes:
    """Undo the codings of Content-Encoding, the last one first; only those that requests ask for."""
    codings = [coding for name in header.split(",") if (coding := name.strip().lower()) not in ("", "identity")]
    if len(codings) > _MOST_CODINGS:
        raise httpx.DecodingError(f"the answer is encoded {len(codings)} times")
    for coding in reversed(codings):
        content = _inflated(content, coding)
    return content


def _inflated(content: bytes, coding: str) -> bytes:
    if coding not in _WINDOW_BITS:
        raise httpx.DecodingError("the answer has a coding that was not asked for")
    try:
        return _inflate(content, _WINDOW_BITS[coding])
    except zlib.error as error:
        if coding != "deflate":
            raise httpx.DecodingError(str(error)) from error
    try:
        return _inflate(content, -zlib.MAX_WBITS)  # some servers leave the frame of zlib out
    except zlib.error as error:
        raise httpx.DecodingError(str(error)) from error


def _inflate(content: bytes, window_bits: int) -> bytes:
    inflating = zlib.decompressobj(window_bits)
    inflated = inflating.decompress(content, MAX_ANSWER_BYTES + 1)
    if len(inflated) > MAX_ANSWER_BYTES:
        raise AnswerTooLargeError
    if not inflating.eof:
        raise zlib.error("the answer is cut off")
    return inflated
