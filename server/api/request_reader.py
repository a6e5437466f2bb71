"""Reads requests: after the gate has let their caller in, a few at a time, each within its time and size."""

import asyncio

import grpc.aio
from google.protobuf.descriptor import Descriptor

from domain.errors import InvalidRequest, RedriveError, Violation
from server.api.admitted import Admitted
from server.api.byte_budget import FREE, ByteBudget
from server.api.caller import Context
from server.api.inflating import inflated, inflated_size
from server.api.limits import Limits, RequestTooLarge, TookTooLong
from server.api.reading_lanes import Lane, Lanes, ReadingRefused, Width
from server.api.request_shapes import UNCOUNTED, check_shape
from server.api.request_sizes import request_limit

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
