"""Abandons an open SendStream when its call ends without submitting it, also when the call is cancelled."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import structlog

from domain.commands import SendMessage
from domain.errors import RedriveError
from server.commands.send_stream import RecipientStream, StreamSendService

logger = structlog.get_logger()

_unfinished: set[asyncio.Task[None]] = set()  # the event loop holds tasks only by weak references


@asynccontextmanager
async def open_stream(sends: StreamSendService, command: SendMessage) -> AsyncIterator[RecipientStream]:
    """Open a stream for the block; abandon it if the block raises or is cancelled."""
    stream = await _open(sends, command)
    try:
        yield stream
    except BaseException as error:
        await _finish(_abandon(stream, _cause(error)))
        raise


async def _open(sends: StreamSendService, command: SendMessage) -> RecipientStream:
    opening = asyncio.create_task(sends.open(command))
    try:
        return await asyncio.shield(opening)
    except asyncio.CancelledError:
        await _finish(_abandon_once_open(opening))
        raise


async def _abandon_once_open(opening: asyncio.Task[RecipientStream]) -> None:
    try:
        stream = await opening
    except RedriveError:
        return  # it was not opened
    await _abandon(stream, _cause(asyncio.CancelledError()))


async def _abandon(stream: RecipientStream, cause: str) -> None:
    try:
        await stream.abandon(cause)
    except RedriveError as error:
        logger.warning("stream_not_abandoned", cause=cause, reason=error.reason)


def _cause(error: BaseException) -> str:
    return error.reason if isinstance(error, RedriveError) else type(error).__name__


async def _finish(work: Coroutine[Any, Any, None]) -> None:
    """Wait for work that continues when the waiting task is cancelled."""
    task = asyncio.create_task(work)
    _unfinished.add(task)
    task.add_done_callback(_unfinished.discard)
    await asyncio.shield(task)
