"""Watching of a message's progress across lost connections and restarts of the server."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import TypeAlias

import grpc

from redrive.connection import Backoff
from redrive.errors import DeadlineExceeded, RedriveError, Unavailable
from redrive.rpc_errors import error_from_rpc
from redrive.v1.delivery_service_pb2 import WatchProgressRequest, WatchProgressResponse
from redrive.v1.message_pb2 import MessageStatus
from redrive.v1.progress_pb2 import Progress

ProgressStream: TypeAlias = grpc.aio.UnaryStreamCall[WatchProgressRequest, WatchProgressResponse]

_DONE = {
    MessageStatus.MESSAGE_STATUS_SENT,
    MessageStatus.MESSAGE_STATUS_PARTIALLY_SENT,
    MessageStatus.MESSAGE_STATUS_FAILED,
    MessageStatus.MESSAGE_STATUS_CANCELLED,
}
# The interval of polls while a message waits for its next automatic round: the delay until a pause or a hold shows.
_MAX_POLL_SECONDS = 5.0
_MIN_POLL_SECONDS = 0.5  # a due round starts within about a second

CountRetryable: TypeAlias = Callable[[], Awaitable[int]]


class ProgressWatch:
    """One watch, over as many streams as needed.

    `max_silence` (seconds) limits how long a stream may be silent, and how long the server may be unavailable. A server
    that never responded gets as many attempts as for any other call.
    """

    def __init__(self, open_stream: Callable[[], ProgressStream], *, max_silence: float, backoff: Backoff) -> None:
        self._open_stream = open_stream
        self._max_silence = max_silence
        self._backoff = backoff
        self._sequence = -1
        self._done = False
        self._failed_streams = 0
        self._unavailable_since: float | None = None

    async def responses(self) -> AsyncGenerator[WatchProgressResponse, None]:
        """Yield the responses in order; end when the message is done. Raises RedriveError."""
        while not self._done:
            error: RedriveError = Unavailable(
                "The server ended the watch before the message was done.", code=grpc.StatusCode.UNAVAILABLE
            )
            stream = self._open_stream()
            try:
                while (response := await self._read(stream)) is not None:
                    if self._accept(response):
                        yield response
            except grpc.aio.AioRpcError as failure:
                self._done = False  # only the regular end of a stream proves that the message is done
                error = error_from_rpc(failure)
            except TimeoutError:
                self._done = False
                error = DeadlineExceeded(
                    f"The server sent nothing for {self._max_silence:g} s.", code=grpc.StatusCode.DEADLINE_EXCEEDED
                )
            finally:
                stream.cancel()
            if not self._done:
                await self._wait_before_reopening(error)

    async def responses_until_no_retry_is_due(
        self, count_retryable: CountRetryable
    ) -> AsyncGenerator[WatchProgressResponse, None]:
        """Yield the responses in order until the message is done and no automatic round is due. Raises RedriveError.

        While a round is due later, the watch opens a new stream every few seconds. `count_retryable` returns how many
        recipients an automatic round would take; the watch ends when there are none.
        """
        checked: tuple[int, int] | None = None  # counting is slow for a large message: count once per round
        found_none_at = -1  # the sequence at which no recipient was retryable
        while True:
            latest: WatchProgressResponse | None = None
            async with aclosing(self.responses()) as responses:
                async for latest in responses:
                    yield latest
            if latest is None or not latest.progress.HasField("next_retry_time"):
                return
            round_due = latest.sequence, latest.progress.next_retry_time.ToNanoseconds()
            self._done = False
            if round_due != checked and not await _has_retryable(count_retryable):
                if latest.sequence == found_none_at:
                    return
                found_none_at = latest.sequence  # the round may have started before the count: check again
                continue
            checked = round_due
            await asyncio.sleep(_seconds_to_next_poll(latest))

    async def _read(self, stream: ProgressStream) -> WatchProgressResponse | None:
        async with asyncio.timeout(self._max_silence):
            response = await stream.read()
        return response if isinstance(response, WatchProgressResponse) else None

    def _accept(self, response: WatchProgressResponse) -> bool:
        """Record a response; return False if it is older than the last one."""
        self._unavailable_since = None
        if response.sequence < self._sequence:
            return False
        if response.sequence > self._sequence:
            self._failed_streams = 0
        self._sequence = response.sequence
        self._done = _is_done(response.progress)
        return True

    async def _wait_before_reopening(self, error: RedriveError) -> None:
        """Wait before the next stream. Raise the error if it is final or the limits are reached."""
        if not isinstance(error, Unavailable | DeadlineExceeded):
            raise error
        self._failed_streams += 1
        if self._sequence < 0 and self._failed_streams >= self._backoff.attempts:
            raise error
        now = asyncio.get_running_loop().time()
        if self._unavailable_since is None:
            self._unavailable_since = now
        wait = self._backoff.wait(self._failed_streams, error.retry_after if isinstance(error, Unavailable) else None)
        if now + wait > self._unavailable_since + self._max_silence:
            raise error
        await asyncio.sleep(wait)


def _is_done(progress: Progress) -> bool:
    return progress.status in _DONE and progress.counts.pending + progress.counts.sending == 0


async def _has_retryable(count_retryable: CountRetryable) -> bool:
    """Return whether a round would take a recipient; True while the server is unavailable, to check again later."""
    try:
        return await count_retryable() > 0
    except (Unavailable, DeadlineExceeded):
        return True


def _seconds_to_next_poll(response: WatchProgressResponse) -> float:
    """Return how long to wait for a round that is due later; both times are the server's."""
    due_in = (response.progress.next_retry_time.ToNanoseconds() - response.time.ToNanoseconds()) / 1e9
    return min(_MAX_POLL_SECONDS, max(_MIN_POLL_SECONDS, due_in))
