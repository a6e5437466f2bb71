"""Reads requests: after the gate has let their caller in, a few at a time, each within its time and size."""

import asyncio
import zlib

import grpc.aio
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from domain.errors import InvalidRequest, RedriveError, Violation
from server.api.caller import Admitted, Context
from server.api.interceptors.byte_budget import FREE, ByteBudget
from server.api.interceptors.limits import Limits, RequestTooLarge, TookTooLong
from server.api.interceptors.reading_lanes import Lane, Lanes, ReadingRefused, Width

# By whether the caller is known and the requests are a stream. One caller alone can make gRPC hold 96 MiB of requests
# that are being read (the default of 32 MiB each), and twice the largest while it copies one.
_GROWTH = 8  # most requests grow less, and empty recipients 32 times

KNOWN = Width(lanes=2, of_one=1, slow_lanes=2, slow_of_one=1)
KNOWN_STREAMS = Width(lanes=6, of_one=4, patience=10.0)
OPEN = Width(lanes=1, of_one=1)


class Source:
    """The requests of one call. Its bytes are given back by `close`."""

    def __init__(
        self, reader: "RequestReader", method: str, kind: Descriptor | None, admitted: Admitted, context: Context
    ) -> None:
        self._reader = reader
        self._kind = kind
        self._limit = min(request_limit(method), reader.limits.request_bytes)
        self._admitted = admitted
        self._context = context
        self._taken = 0

    async def one(self) -> bytes:
        """Return the one request of a call; more are not read, as in any server of grpc.aio.

        Raises InvalidRequest where there is none, RequestTooLarge, ReadingRefused, TooManyBytes, TookTooLong.
        """
        seconds = self._reader.limits.read_seconds
        lanes = self._reader.lanes[self._admitted.is_known, False]
        raw = await self._read(lanes, seconds, f"the request did not come whole within {seconds:g} s")
        if raw is None:
            raise InvalidRequest([Violation("request", "is missing: the call sent no message")])
        return raw

    async def next(self) -> bytes | None:
        """Return the next request of a stream, None at its end, and give the one before back.

        Raises RequestTooLarge, ReadingRefused, TooManyBytes, TookTooLong.
        """
        self.close()
        seconds = self._reader.limits.stream_idle_seconds
        lanes = self._reader.lanes[self._admitted.is_known, True]
        return await self._read(lanes, seconds, f"the stream sent nothing whole for {seconds:g} s")

    def close(self) -> None:
        """The handler needs the request no more."""
        if self._taken:
            self._reader.budget.give_back(self._admitted.key, self._taken)
            self._taken = 0

    async def _read(self, lanes: Lanes, seconds: float, words: str) -> bytes | None:
        lane: Lane | None = None
        try:
            async with asyncio.timeout(seconds) as end:
                lane = await lanes.take(self._admitted.key)
                lane.end = end
                raw = await self._context.read()
                if raw is grpc.aio.EOF:
                    return None
                lanes.give_back(lane)
                lane = None
                return await self._checked(bytes(raw))
        except TimeoutError:
            if not end.expired():
                raise
            raise _refusal(lane, words) from None
        finally:
            if lane is not None:
                lanes.give_back(lane)

    async def _checked(self, raw: bytes) -> bytes:
        size = inflated_size(raw, self._limit)
        if max(size, len(raw)) > self._limit:
            raise RequestTooLarge(self._limit)
        if max(size, len(raw)) <= FREE:
            return inflated(raw, size)
        taken = _weight(size, self._reader.limits.request_bytes)
        await self._reader.budget.take(self._admitted.key, taken, len(raw))
        self._taken = taken
        if size == len(raw) <= UNCOUNTED:
            return inflated(raw, size)
        return await asyncio.to_thread(self._unpacked, raw, size)

    def _unpacked(self, raw: bytes, size: int) -> bytes:
        unpacked = inflated(raw, size)
        if self._kind is not None:
            check_shape(unpacked, self._kind)
        return unpacked


def _weight(size: int, largest: int) -> int:
    """What a request counts for: one whose parts are not counted may grow when it is decoded."""
    return size if size > UNCOUNTED else min(_GROWTH * size, largest)


def _refusal(lane: Lane | None, words: str) -> RedriveError:
    if lane is not None and lane.was_ended:
        return ReadingRefused.of_slow_read()
    return TookTooLong(words)


class RequestReader:
    """Reads what callers send."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.budget = ByteBudget(limits.request_bytes)
        known, streams, open_to_all = Lanes(KNOWN), Lanes(KNOWN_STREAMS), Lanes(OPEN)
        self.lanes = {
            (True, False): known,
            (True, True): streams,
            (False, False): open_to_all,
            (False, True): open_to_all,
        }

    def source(self, method: str, kind: Descriptor | None, admitted: Admitted, context: Context) -> Source:
        """The requests of a call that the gate has let in; of the kind, where that is known."""
        return Source(self, method, kind, admitted, context)


# Refuses requests that grow when they are decoded: an empty recipient has 2 bytes on the wire and 60 in memory.


UNCOUNTED = 4 * 1024 * 1024  # a request up to this size may grow: to 128 MiB
MOST_ELEMENTS = 600_000  # of one request: 10,000 recipients with 50 variables each, and more


class _Counter:
    def __init__(self, most: int) -> None:
        self._left = most

    def one(self) -> None:
        self._left -= 1
        if self._left < 0:
            words = f"holds more than {MOST_ELEMENTS:,} recipients, variables and other parts: send it in several"
            raise InvalidRequest([Violation("request", words)])


def check_shape(raw: bytes, descriptor: Descriptor) -> None:
    """Raises InvalidRequest for a large request of very many parts; one that is not well-formed is left to decoding."""
    if len(raw) > UNCOUNTED:
        _count(raw, 0, len(raw), descriptor, _Counter(MOST_ELEMENTS))


def _count(raw: bytes, place: int, end: int, descriptor: Descriptor | None, counter: _Counter) -> None:
    fields = {} if descriptor is None else descriptor.fields_by_number
    while place < end:
        tag, place = _varint(raw, place, end)
        counter.one()
        field = fields.get(tag >> 3)
        match tag & 7:
            case 0:
                _, place = _varint(raw, place, end)
            case 1:
                place += 8
            case 5:
                place += 4
            case 2:
                size, place = _varint(raw, place, end)
                if field is not None and size > 0:
                    _descend(raw, place, min(place + size, end), field, counter)
                place += size
            case _:
                return


def _descend(raw: bytes, place: int, end: int, field: FieldDescriptor, counter: _Counter) -> None:
    inner = field.message_type
    if inner is None or (inner.GetOptions().map_entry and inner.fields_by_name["value"].message_type is None):
        return
    _count(raw, place, end, inner, counter)


def _varint(raw: bytes, place: int, end: int) -> tuple[int, int]:
    number = shift = 0
    while place < end and shift < 70:
        byte = raw[place]
        place += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            break
        shift += 7
    return number, place


# How large the requests of each rpc may be, uncompressed. The settings limit all of them.


SMALL = 64 * 1024
_DELIVERY = "/redrive.v1.DeliveryService/"
_UNLIMITED = 1 << 31

# Those that hold recipients, contents or receipts. Whatever is not named here has ids, names and filters.
_LARGE = frozenset(
    (*(_DELIVERY + rpc for rpc in ("Send", "SendStream", "Resend")), "/redrive.v1.ReceiptService/RecordReceipts")
)


def request_limit(method: str) -> int:
    """The most bytes of one request of this rpc, as long as the settings allow them."""
    return _UNLIMITED if method in _LARGE else SMALL


# Inflates compressed requests, up to a size. gRPC itself would inflate before anybody has said how much may come.
#
# gRPC does not show whether a request is compressed. A message of the contract never begins like gzip (a wire type that
# does not exist), and does not end in the checksum of what it would hold if it began like zlib.


_GZIP, _ZLIB = b"\x1f\x8b", 0x78


def inflated_size(raw: bytes, limit: int) -> int:
    """How many bytes a request holds by its own account, and the limit where it gives none."""
    if raw.startswith(_GZIP):
        return min(int.from_bytes(raw[-4:], "little"), limit + 1)
    return limit if _may_be_zlib(raw) else len(raw)


def inflated(raw: bytes, limit: int) -> bytes:
    """What a request holds; raises RequestTooLarge, and InvalidRequest where it cannot be inflated."""
    if raw.startswith(_GZIP):
        found = _inflated(raw, limit, zlib.MAX_WBITS | 16)
        if found is None:
            raise InvalidRequest([Violation("request", "is compressed, but cannot be inflated")])
        return found
    return (_inflated(raw, limit, zlib.MAX_WBITS) or raw) if _may_be_zlib(raw) else raw


def _may_be_zlib(raw: bytes) -> bool:
    return len(raw) > 1 and raw[0] == _ZLIB and not int.from_bytes(raw[:2]) % 31


def _inflated(raw: bytes, limit: int, window: int) -> bytes | None:
    """None: it is not compressed, or is cut off."""
    inflator = zlib.decompressobj(window)
    try:
        found = inflator.decompress(raw, limit + 1)
    except zlib.error:
        return None
    if len(found) > limit:
        raise RequestTooLarge(limit)
    return found if inflator.eof and not inflator.unused_data else None
