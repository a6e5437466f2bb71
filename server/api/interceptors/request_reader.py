"""Reads requests after the gate has admitted their call: a few at a time, with limits of size and time.

gRPC does not show whether a request is compressed: with per-message decompression off it hands over the bytes as they
arrived. A message of the contract never begins like gzip (with a wire type that does not exist), and it never ends in
the checksum of its inflated content if it begins like zlib. The reader recognizes compressed requests by that.
"""

import asyncio
import zlib
from contextlib import AbstractContextManager, closing

import grpc.aio
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from domain.errors import InvalidRequest, RedriveError, Violation
from server.api.caller import AdmittedCall, Context
from server.api.errors import CallTooLong, RequestTooLarge
from server.api.interceptors.byte_budget import SMALL_REQUEST_BYTES, ByteBudget
from server.api.interceptors.limits import Limits
from server.api.interceptors.reading_lanes import Lane, LaneLimits, Lanes, ReadingRefused

# One caller alone can make gRPC hold 96 MiB of requests that are being read (with the default of 32 MiB each), and
# twice the largest while gRPC copies one.
UNARY_LANES = LaneLimits(lanes=2, per_caller=1, slow_lanes=2, slow_per_caller=1)
STREAM_LANES = LaneLimits(lanes=6, per_caller=4, check_seconds=10.0)
OPEN_RPC_LANES = LaneLimits(lanes=1, per_caller=1)  # rpcs that need no credentials

# Limits of one request, uncompressed. The setting REDRIVE_REQUEST_BYTES limits all requests.
MAX_SMALL_REQUEST_BYTES = 64 * 1024  # of rpcs with ids, names and filters only
_LARGE_RPCS = frozenset(  # rpcs with recipients, contents or receipts
    f"/redrive.v1.{rpc}"
    for rpc in (
        "DeliveryService/Send",
        "DeliveryService/SendStream",
        "DeliveryService/Resend",
        "ReceiptService/RecordReceipts",
    )
)
_UNLIMITED = 1 << 31

# A request can grow when it is decoded: an empty recipient has 2 bytes on the wire and 60 in memory.
MAX_UNCOUNTED_BYTES = 4 * 1024 * 1024  # the elements of a request up to this size are not counted: it grows to 128 MiB
MAX_ELEMENTS = 600_000  # of one request: more than 10,000 recipients with 50 variables each
_GROWTH = 8  # assumed for requests whose elements are not counted: most grow less, empty recipients 32 times

_GZIP_MAGIC, _ZLIB_FIRST_BYTE = b"\x1f\x8b", 0x78


class RequestReader:
    """Reads the requests of all calls within shared limits."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.budget = ByteBudget(limits.request_bytes)
        self._unary, self._streams, self._open_rpcs = Lanes(UNARY_LANES), Lanes(STREAM_LANES), Lanes(OPEN_RPC_LANES)

    def source(
        self, method: str, descriptor: Descriptor | None, call: AdmittedCall, context: Context
    ) -> AbstractContextManager["RequestSource"]:
        """Return the requests of an admitted call; their elements are counted only with a descriptor."""
        return closing(RequestSource(self, method, descriptor, call, context))

    def lanes_for(self, call: AdmittedCall, *, is_stream: bool) -> Lanes:
        """Return the lanes in which the requests of a call are read."""
        if not call.is_known:
            return self._open_rpcs
        return self._streams if is_stream else self._unary


class RequestSource:
    """The requests of one call. `close` releases the bytes of the last one."""

    def __init__(
        self, reader: RequestReader, method: str, descriptor: Descriptor | None, call: AdmittedCall, context: Context
    ) -> None:
        self._reader = reader
        self._descriptor = descriptor
        self._limit = min(request_limit(method), reader.limits.request_bytes)
        self._call = call
        self._context = context
        self._taken = 0

    async def read_one(self) -> bytes:
        """Return the only request of a unary call; further ones are not read, as in every server of grpc.aio.

        Raises InvalidRequest if there is none, RequestTooLarge, ReadingRefused, TooManyBytes, CallTooLong.
        """
        seconds = self._reader.limits.read_seconds
        lanes = self._reader.lanes_for(self._call, is_stream=False)
        raw = await self._read(lanes, seconds, f"the request did not arrive completely within {seconds:g} s")
        if raw is None:
            raise InvalidRequest([Violation("request", "is missing: the call sent no message")])
        return raw

    async def read_next(self) -> bytes | None:
        """Release the last request and return the next one of a stream, or None at the end of the stream.

        Raises RequestTooLarge, ReadingRefused, TooManyBytes, CallTooLong.
        """
        self.close()
        seconds = self._reader.limits.stream_idle_seconds
        lanes = self._reader.lanes_for(self._call, is_stream=True)
        return await self._read(lanes, seconds, f"the stream sent no complete request for {seconds:g} s")

    def close(self) -> None:
        """Release the bytes of the last request."""
        if self._taken:
            self._reader.budget.release(self._call.key, self._taken)
            self._taken = 0

    async def _read(self, lanes: Lanes, seconds: float, timeout_message: str) -> bytes | None:
        lane: Lane | None = None
        try:
            async with asyncio.timeout(seconds) as timeout:
                lane = await lanes.acquire(self._call.key)
                lane.timeout = timeout
                raw = await self._context.read()
                if raw is grpc.aio.EOF:
                    return None
                lanes.release(lane)
                lane = None
                return await self._unpack(bytes(raw))
        except TimeoutError:
            if not timeout.expired():
                raise
            raise _timeout_error(lane, timeout_message) from None
        finally:
            if lane is not None:
                lanes.release(lane)

    async def _unpack(self, raw: bytes) -> bytes:
        size = inflated_size(raw, self._limit)
        if max(size, len(raw)) > self._limit:
            raise RequestTooLarge(self._limit)
        if max(size, len(raw)) <= SMALL_REQUEST_BYTES:
            return inflate(raw, size)
        taken = _decoded_size(size, self._reader.limits.request_bytes)
        await self._reader.budget.acquire(self._call.key, taken, len(raw))
        self._taken = taken
        if size == len(raw) <= MAX_UNCOUNTED_BYTES:
            return inflate(raw, size)
        return await asyncio.to_thread(self._inflate_and_check, raw, size)

    def _inflate_and_check(self, raw: bytes, size: int) -> bytes:
        inflated = inflate(raw, size)
        if self._descriptor is not None:
            check_elements(inflated, self._descriptor)
        return inflated


def _timeout_error(lane: Lane | None, message: str) -> RedriveError:
    if lane is not None and lane.was_stopped:
        return ReadingRefused.for_slow_read()
    return CallTooLong(message)


def request_limit(method: str) -> int:
    """Return the most bytes of one request of this rpc, before the limit of the settings."""
    return _UNLIMITED if method in _LARGE_RPCS else MAX_SMALL_REQUEST_BYTES


def _decoded_size(size: int, largest: int) -> int:
    """Return the bytes to reserve for a request: more than its size if its elements are not counted."""
    return size if size > MAX_UNCOUNTED_BYTES else min(_GROWTH * size, largest)


class _ElementCounter:
    """Counts the elements of one request."""

    def __init__(self) -> None:
        self._left = MAX_ELEMENTS

    def count_one(self) -> None:
        """Count one element; raises InvalidRequest above the limit."""
        self._left -= 1
        if self._left < 0:
            message = f"holds more than {MAX_ELEMENTS:,} recipients, variables and other parts: send it in several"
            raise InvalidRequest([Violation("request", message)])


def check_elements(raw: bytes, descriptor: Descriptor) -> None:
    """Raise InvalidRequest for a large request with too many elements.

    Malformed bytes are not reported here: decoding refuses them.
    """
    if len(raw) > MAX_UNCOUNTED_BYTES:
        _count(raw, 0, len(raw), descriptor, _ElementCounter())


def _count(raw: bytes, offset: int, end: int, descriptor: Descriptor | None, counter: _ElementCounter) -> None:
    fields = {} if descriptor is None else descriptor.fields_by_number
    while offset < end:
        tag, offset = _varint(raw, offset, end)
        counter.count_one()
        field = fields.get(tag >> 3)
        match tag & 7:
            case 0:
                _, offset = _varint(raw, offset, end)
            case 1:
                offset += 8
            case 5:
                offset += 4
            case 2:
                size, offset = _varint(raw, offset, end)
                if field is not None and size > 0:
                    _count_nested(raw, offset, min(offset + size, end), field, counter)
                offset += size
            case _:
                return


def _count_nested(raw: bytes, offset: int, end: int, field: FieldDescriptor, counter: _ElementCounter) -> None:
    inner = field.message_type
    if inner is None or (inner.GetOptions().map_entry and inner.fields_by_name["value"].message_type is None):
        return
    _count(raw, offset, end, inner, counter)


def _varint(raw: bytes, offset: int, end: int) -> tuple[int, int]:
    number = shift = 0
    while offset < end and shift < 70:
        byte = raw[offset]
        offset += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            break
        shift += 7
    return number, offset


def inflated_size(raw: bytes, limit: int) -> int:
    """Return the inflated size of a request: as a gzip trailer states it, or the limit if it may be zlib."""
    if raw.startswith(_GZIP_MAGIC):
        return min(int.from_bytes(raw[-4:], "little"), limit + 1)
    return limit if _may_be_zlib(raw) else len(raw)


def inflate(raw: bytes, limit: int) -> bytes:
    """Return the uncompressed request; raises RequestTooLarge, and InvalidRequest if it cannot be inflated."""
    if raw.startswith(_GZIP_MAGIC):
        inflated = _inflate(raw, limit, zlib.MAX_WBITS | 16)
        if inflated is None:
            raise InvalidRequest([Violation("request", "is compressed, but cannot be inflated")])
        return inflated
    return (_inflate(raw, limit, zlib.MAX_WBITS) or raw) if _may_be_zlib(raw) else raw


def _may_be_zlib(raw: bytes) -> bool:
    return len(raw) > 1 and raw[0] == _ZLIB_FIRST_BYTE and not int.from_bytes(raw[:2]) % 31


def _inflate(raw: bytes, limit: int, window: int) -> bytes | None:
    """Return None for bytes that are not compressed, or are truncated."""
    inflator = zlib.decompressobj(window)
    try:
        inflated = inflator.decompress(raw, limit + 1)
    except zlib.error:
        return None
    if len(inflated) > limit:
        raise RequestTooLarge(limit)
    return inflated if inflator.eof and not inflator.unused_data else None
