"""Feeds receipts to the server: what comes in at the same moment goes in one call."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

import structlog

from redrive.v1.receipt_service_pb2 import Receipt, RecordReceiptsResponse

logger = structlog.get_logger()

GATHER_SECONDS = 0.05  # that a receipt waits for others
MOST_RECEIPTS = 1_000  # in one call: the contract's limit

Record = Callable[[Sequence[Receipt]], Awaitable[RecordReceiptsResponse]]


class _Waiting(NamedTuple):
    receipts: Sequence[Receipt]
    done: asyncio.Future[None]


class Feeder:
    """Makes one call after another; whoever feeds waits until its receipts are durable."""

    def __init__(self, record: Record) -> None:
        self._record = record
        self._waiting: list[_Waiting] = []
        self._news = asyncio.Event()

    async def feed(self, receipts: Sequence[Receipt]) -> None:
        """Returns once they are recorded; raises what the call raised."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(receipts, done))
        self._news.set()
        await done

    async def run(self) -> None:
        """Works until it is cancelled."""
        while True:
            await self._news.wait()
            await asyncio.sleep(GATHER_SECONDS)
            self._news.clear()
            waiting, self._waiting = self._waiting, []
            await self._record_all(waiting)

    async def _record_all(self, waiting: Sequence[_Waiting]) -> None:
        receipts = [receipt for one in waiting for receipt in one.receipts]
        error: Exception | None = None
        try:
            for start in range(0, len(receipts), MOST_RECEIPTS):
                await self._call(receipts[start : start + MOST_RECEIPTS])
        except Exception as raised:  # noqa: BLE001 - handed to those who wait
            error = raised
        for one in waiting:
            if one.done.done():
                continue  # its caller has gone
            if error is None:
                one.done.set_result(None)
            else:
                one.done.set_exception(error)

    async def _call(self, receipts: Sequence[Receipt]) -> None:
        answer = await self._record(receipts)
        logger.info(
            "receipts_recorded",
            recorded=answer.recorded,
            already_known=answer.already_known,
            unmatched=answer.unmatched,
        )
