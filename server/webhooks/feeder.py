"""Sends receipts to the server, those of the same moment in one call."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

import structlog

from redrive.v1.receipt_service_pb2 import Receipt, RecordReceiptsResponse

logger = structlog.get_logger()

GATHER_SECONDS = 0.05  # how long a receipt waits for others
MAX_RECEIPTS = 1_000  # in one call: the contract's limit

Record = Callable[[Sequence[Receipt]], Awaitable[RecordReceiptsResponse]]


class _Submission(NamedTuple):
    receipts: Sequence[Receipt]
    done: asyncio.Future[None]


class Feeder:
    """Makes one call at a time; a caller of feed waits until its receipts are durable."""

    def __init__(self, record: Record) -> None:
        self._record = record
        self._submissions: list[_Submission] = []
        self._wakeup = asyncio.Event()

    async def feed(self, receipts: Sequence[Receipt]) -> None:
        """Return once the receipts are recorded; raises what the call raised."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._submissions.append(_Submission(receipts, done))
        self._wakeup.set()
        await done

    async def run(self) -> None:
        """Send receipts until cancelled."""
        while True:
            await self._wakeup.wait()
            await asyncio.sleep(GATHER_SECONDS)
            self._wakeup.clear()
            submissions, self._submissions = self._submissions, []
            await self._record_all(submissions)

    async def _record_all(self, submissions: Sequence[_Submission]) -> None:
        receipts = [receipt for one in submissions for receipt in one.receipts]
        error: Exception | None = None
        try:
            for start in range(0, len(receipts), MAX_RECEIPTS):
                await self._call(receipts[start : start + MAX_RECEIPTS])
        except Exception as raised:  # noqa: BLE001 - handed to those who wait
            error = raised
        for one in submissions:
            if one.done.done():
                continue  # its caller was cancelled
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
