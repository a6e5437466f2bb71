"""A request that got no answer: had it left, or not, and why in words."""

import socket
import ssl
from collections.abc import Sequence

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
# The first that fits is said: no text of an exception is, as it may show an address with what stands in it.
_UNCONNECTED: Sequence[tuple[type[Exception] | tuple[type[Exception], ...], str]] = (
    (socket.gaierror, "the name of the platform's host could not be looked up"),
    (ConnectionRefusedError, "nobody accepts connections at the platform's address"),
    (ssl.SSLCertVerificationError, "the certificate at the platform's address cannot be trusted"),
    (ssl.SSLError, "no TLS could be agreed on with the platform's address"),
    ((aiohttp.InvalidURL, httpx.UnsupportedProtocol), "the platform's address is no web address"),
    ((TimeoutError, httpx.TimeoutException), "none came about, or none was free, within the time limit"),
)
_UNREACHABLE = "the platform's address cannot be reached"
_UNANSWERED: Sequence[tuple[type[Exception] | tuple[type[Exception], ...], str]] = (
    ((TimeoutError, httpx.TimeoutException), "none came within the time limit"),
    ((aiohttp.ClientPayloadError, httpx.ReadError), "the answer broke off"),
    ((aiohttp.ClientResponseError, httpx.DecodingError), "what came cannot be read"),
    (
        (aiohttp.ClientConnectionError, httpx.TransportError, ConnectionError),
        "the connection broke before an answer came",
    ),
)
_UNEXPECTED = "something unexpected went wrong on this side"


def no_answer(error: Exception) -> Failed | Unconfirmed:
    """Failed only where no connection came about; whatever else went wrong, the message may have arrived."""
    if isinstance(error, _NEVER_LEFT):
        reason = getattr(error, "os_error", error)
        return unconnected(next((words for kind, words in _UNCONNECTED if isinstance(reason, kind)), _UNREACHABLE))
    return unanswered(next((words for kind, words in _UNANSWERED if isinstance(error, kind)), _UNEXPECTED))
