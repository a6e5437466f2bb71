"""Refused requests: empty answers that name no version, and a limited number of log lines."""

import time
from collections import Counter

import structlog
from aiohttp import hdrs, web

logger = structlog.get_logger()

LINES_SECONDS = 10.0  # between two lines of one cause


class QuietResponse(web.Response):
    """A response without the header that names the versions of aiohttp and Python."""

    async def _prepare_headers(self) -> None:
        await super()._prepare_headers()
        self.headers.popall(hdrs.SERVER, None)


class RefusalLog:
    """Logs the first refusal of each cause at once, then their number at most every 10 seconds."""

    def __init__(self) -> None:
        self._times: Counter[str] = Counter()  # since the last line
        self._next_line: dict[str, float] = {}

    def add(self, cause: str, status: int) -> None:
        """Count a refusal, and log it if a line is due."""
        self._times[cause] += 1
        now = time.monotonic()
        if now < self._next_line.get(cause, 0.0):
            return
        self._next_line[cause] = now + LINES_SECONDS
        logger.warning("webhook_refused", cause=cause, status=int(status), times=self._times.pop(cause))
