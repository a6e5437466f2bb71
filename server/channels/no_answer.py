"""A request that got no answer: had it left, or not?"""

import aiohttp
import httpx

from domain.classification import unanswered, unconnected
from domain.outcome import Failed, Unconfirmed

_NEVER_LEFT = (
    aiohttp.ClientConnectorError,  # refused, unreachable, unknown host, TLS
    aiohttp.ConnectionTimeoutError,
    aiohttp.InvalidURL,
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.UnsupportedProtocol,
)


def no_answer(error: Exception) -> Failed | Unconfirmed:
    """Failed only where no connection came about; whatever else went wrong, the message may have arrived.

    The aiohttp transport turns a refused connection and a reset after the request alike into `httpx.ConnectTimeout`
    (its exception map, version 0.2.0), so aiohttp's own exception decides, which it keeps as the cause.
    """
    truth = error.__cause__ if isinstance(error.__cause__, aiohttp.ClientError) else error
    reason = type(getattr(truth, "os_error", truth)).__name__  # the text of an exception may show the address
    return unconnected(reason) if isinstance(truth, _NEVER_LEFT) else unanswered(reason)
