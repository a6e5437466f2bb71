"""A request that got no answer: had it left, or not, and why in words.

What this machine lacks itself, a free connection, a file descriptor or the service that looks up names, is no answer
of the platform's, and says nothing about the next attempt: see nothing_left.
"""

import errno
import socket
import ssl
from collections.abc import Sequence

import aiohttp
import httpx

from domain.classification import unanswered, unconnected
from domain.outcome import Failed, Unconfirmed
from server.channels.answer import MAX_ANSWER_BYTES, AnswerTooLargeError


class NoFreeConnectionError(Exception):
    """All connections of a client were in use for as long as a request waits for one."""


_NO_FREE_CONNECTION = (NoFreeConnectionError, httpx.PoolTimeout)
# Descriptors of the process and of the machine, memory, buffers, and local ports.
_LACKS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS, errno.EADDRNOTAVAIL})
# Of looking up a name, all but those that say that there is no such name.
_LOOK_UP_LACKS = frozenset({socket.EAI_AGAIN, socket.EAI_FAIL, socket.EAI_MEMORY, socket.EAI_SYSTEM})

_NEVER_LEFT = (
    aiohttp.ClientConnectorError,  # refused, unreachable, unknown host, TLS
    aiohttp.ConnectionTimeoutError,
    aiohttp.InvalidURL,
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.UnsupportedProtocol,
)
# The first that fits is said: no text of an exception is, as it may show an address with what stands in it.
_UNCONNECTED: Sequence[tuple[type[Exception] | tuple[type[Exception], ...], str]] = (
    (socket.gaierror, "the name of the platform's host could not be looked up"),
    (ConnectionRefusedError, "nobody accepts connections at the platform's address"),
    (ssl.SSLCertVerificationError, "the certificate at the platform's address cannot be trusted"),
    (ssl.SSLError, "no TLS could be agreed on with the platform's address"),
    ((aiohttp.InvalidURL, httpx.UnsupportedProtocol), "the platform's address is no web address"),
    ((TimeoutError, httpx.TimeoutException), "none came about within the time limit"),
)
_UNREACHABLE = "the platform's address cannot be reached"
_UNANSWERED: Sequence[tuple[type[Exception] | tuple[type[Exception], ...], str]] = (
    (AnswerTooLargeError, f"what came has more than {MAX_ANSWER_BYTES:,} bytes"),
    ((TimeoutError, httpx.TimeoutException), "none came within the time limit"),
    ((aiohttp.ClientPayloadError, httpx.ReadError), "the answer broke off"),
    ((aiohttp.ClientResponseError, httpx.DecodingError), "what came cannot be read"),
    (
        (aiohttp.ClientConnectionError, httpx.TransportError, ConnectionError),
        "the connection broke before an answer came",
    ),
)
_UNEXPECTED = "something unexpected went wrong on this side"


def nothing_left(error: Exception) -> str | None:
    """Return what this machine lacked to let a request leave, in words; None where it lacked nothing."""
    if isinstance(error, _NO_FREE_CONNECTION):
        return "no connection was free"
    if isinstance(error, RuntimeError) and error.args == ("can't start new thread",):  # one that looks up the host
        return "this machine has no means for another thread"
    reason = getattr(error, "os_error", None)
    if isinstance(reason, socket.gaierror):
        return "the name of the platform's host cannot be looked up now" if reason.errno in _LOOK_UP_LACKS else None
    if isinstance(reason, OSError) and reason.errno in _LACKS:
        return f"this machine has no means for another connection ({errno.errorcode[reason.errno]})"
    return None


def no_answer(error: Exception) -> Failed | Unconfirmed:
    """Failed only where no connection came about; whatever else went wrong, the message may have arrived."""
    if isinstance(error, _NEVER_LEFT):
        reason = getattr(error, "os_error", error)
        return unconnected(next((words for kind, words in _UNCONNECTED if isinstance(reason, kind)), _UNREACHABLE))
    return unanswered(next((words for kind, words in _UNANSWERED if isinstance(error, kind)), _UNEXPECTED))
