"""Follows a message's progress through lost connections and restarted servers, until it is done."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import TypeAlias

import grpc

from redrive.backoff import Backoff
from redrive.errors import DeadlineExceeded, RedriveError, Unavailable
from redrive.refusal import error_of
from redrive.v1.delivery_service_pb2 import WatchProgressRequest, WatchProgressResponse
from redrive.v1.message_pb2 import MessageStatus
from redrive.v1.progress_pb2 import Progress

Stream: TypeAlias = grpc.aio.UnaryStreamCall[WatchProgressRequest, WatchProgressResponse]

_DONE = {
    MessageStatus.MESSAGE_STATUS_SENT,
    MessageStatus.MESSAGE_STATUS_PARTIALLY_SENT,
    MessageStatus.MESSAGE_STATUS_FAILED,
    MessageStatus.MESSAGE_STATUS_CANCELLED,
}
# Between two looks at a message that waits for its next automatic round: a pause, a cancel or a hold shows as fast.
_LONGEST_LOOK_SECONDS = 5.0
_SHORTEST_LOOK_SECONDS = 0.5  # a round that is due starts within a second or so

CountRetryable: TypeAlias = Callable[[], Awaitable[int]]


class Watch:
    """One watch over as many streams as it takes.

    `patience` (seconds) is how long a stream may be silent, and how long the server may stay away before the watch
    gives up; a server that never answered is tried as often as for any other call.
    """

    def __init__(self, open_stream: Callable[[], Stream], *, patience: float, backoff: Backoff) -> None:
        self._open_stream = open_stream
        self._patience = patience
        self._backoff = backoff
        self._sequence = -1
        self._done = False
        self._losses = 0
        self._lost_at: float | None = None

    async def answers(self) -> AsyncGenerator[WatchProgressResponse, None]:
        """Answers in order; ends when the message is done. Raises RedriveError."""
        while not self._done:
            error: RedriveError = Unavailable(
                "The server ended the watch before the message was done.", code=grpc.StatusCode.UNAVAILABLE
            )
            stream = self._open_stream()
            try:
                while (answer := await self._read(stream)) is not None:
                    if self._is_news(answer):
                        yield answer
            except grpc.aio.AioRpcError as failure:
                self._done = False  # what was seen last may not have been the end: only a stream's own end says so
                error = error_of(failure)
            except TimeoutError:
                self._done = False
                error = DeadlineExceeded(
                    f"The server said nothing for {self._patience:g} s.", code=grpc.StatusCode.DEADLINE_EXCEEDED
                )
            finally:
                stream.cancel()
            if not self._done:
                await self._wait_after(error)

    async def answers_through_retries(
        self, count_retryable: CountRetryable
    ) -> AsyncGenerator[WatchProgressResponse, None]:
        """Yield answers in order until the message is done and no automatic round is due. Raises RedriveError.

        While a round is due later, the message is looked at every few seconds. `count_retryable` returns how many
        recipients an automatic round would take; the watch ends when there are none.
        """
        checked: tuple[int, int] | None = None  # counting is not cheap for a large message: once per round is enough
        found_none_at = -1  # the sequence at which there was no retryable recipient
        while True:
            latest: WatchProgressResponse | None = None
            async with aclosing(self.answers()) as answers:
                async for latest in answers:
                    yield latest
            if latest is None or not latest.progress.HasField("next_retry_time"):
                return
            round_due = latest.sequence, latest.progress.next_retry_time.ToNanoseconds()
            self._done = False
            if round_due != checked and not await _has_retryable(count_retryable):
                if latest.sequence == found_none_at:
                    return
                found_none_at = latest.sequence  # the round may have begun before the count: look once more
                continue
            checked = round_due
            await asyncio.sleep(_seconds_to_next_look(latest))

    async def _read(self, stream: Stream) -> WatchProgressResponse | None:
        async with asyncio.timeout(self._patience):
            answer = await stream.read()
        return answer if isinstance(answer, WatchProgressResponse) else None

    def _is_news(self, answer: WatchProgressResponse) -> bool:
        """Takes note of an answer; False for one that is older than what was seen."""
        self._lost_at = None
        if answer.sequence < self._sequence:
            return False
        if answer.sequence > self._sequence:
            self._losses = 0
        self._sequence = answer.sequence
        self._done = _is_done(answer.progress)
        return True

    async def _wait_after(self, error: RedriveError) -> None:
        """Waits before the next stream; raises the error when another stream is of no use."""
        if not isinstance(error, Unavailable | DeadlineExceeded):
            raise error
        self._losses += 1
        if self._sequence < 0 and self._losses >= self._backoff.attempts:
            raise error
        now = asyncio.get_running_loop().time()
        if self._lost_at is None:
            self._lost_at = now
        wait = self._backoff.wait(self._losses, error.retry_after if isinstance(error, Unavailable) else None)
        if now + wait > self._lost_at + self._patience:
            raise error
        await asyncio.sleep(wait)


def _is_done(progress: Progress) -> bool:
    return progress.status in _DONE and progress.counts.pending + progress.counts.sending == 0


async def _has_retryable(count_retryable: CountRetryable) -> bool:
    """Return whether a round would take a recipient; True while the server is away: the next look asks again."""
    try:
        return await count_retryable() > 0
    except (Unavailable, DeadlineExceeded):
        return True


def _seconds_to_next_look(answer: WatchProgressResponse) -> float:
    """Return how long to wait for a round that is due later; both times are the server's."""
    due_in = (answer.progress.next_retry_time.ToNanoseconds() - answer.time.ToNanoseconds()) / 1e9
    return min(_LONGEST_LOOK_SECONDS, max(_SHORTEST_LOOK_SECONDS, due_in))
