"""Writes the Graph API's requests.

The token travels in a header and its proof in the body, so that no address shows them. A GET has no body: there the
proof, which is of no use without the token, stands in the query.
"""

import hmac
import re
from collections.abc import Sequence
from urllib.parse import quote, urlencode

import httpx

from server.channels.batch_parts import BatchParts
from server.channels.channel import Credentials, OutgoingMessage
from server.channels.graph_fields import json_body, message_fields

_VERSION_PATH = re.compile(r"/v[0-9]+\.[0-9]+$")
_ACCEPT = {"Accept-Encoding": "gzip, deflate"}  # what every httpx can decode


class GraphRequests:
    """Requests to one Graph API; each method raises ValueError for what no request can carry."""

    def __init__(self, graph_url: str) -> None:
        self._graph_url = graph_url.rstrip("/")
        self._batch_url = _VERSION_PATH.sub("", self._graph_url) + "/"
        self._pages: dict[str, _PageRequests] = {}

    def message(self, credentials: Credentials, message: OutgoingMessage) -> httpx.Request:
        """One message, as JSON."""
        return self._page(credentials).message(message)

    def batch(self, credentials: Credentials, messages: Sequence[OutgoingMessage]) -> httpx.Request:
        """Up to 50 messages, as a form whose parts are forms; the parts' headers are asked for: they tell the usage."""
        return self._page(credentials).batch(messages)

    def probe(self, credentials: Credentials) -> httpx.Request:
        """The harmless call that tries a token."""
        return self._read_id(credentials, _path(credentials))

    def identity(self, credentials: Credentials) -> httpx.Request:
        """Ask whose token it is: the page itself only for a token of this page."""
        return self._read_id(credentials, "me")

    def _read_id(self, credentials: Credentials, path: str) -> httpx.Request:
        query = {"fields": "id"} | _proof(credentials)
        url = httpx.URL(f"{self._graph_url}/{path}", params=query)
        return httpx.Request("GET", url, headers=_bearer(credentials) | _ACCEPT)

    def _page(self, credentials: Credentials) -> "_PageRequests":
        page = self._pages.get(credentials.page_id)
        if page is None or page.credentials != credentials:
            page = self._pages[credentials.page_id] = _PageRequests(credentials, self._graph_url, self._batch_url)
        return page


class _PageRequests:
    """A page's requests; what all of them have in common is made once."""

    def __init__(self, credentials: Credentials, graph_url: str, batch_url: str) -> None:
        self.credentials = credentials
        self._proof = _proof(credentials)
        self._path = f"{_path(credentials)}/messages"
        self._url = httpx.URL(f"{graph_url}/{self._path}")
        self._batch_url = httpx.URL(batch_url)
        self._json = _headers(credentials, "application/json")
        self._form = _headers(credentials, "application/x-www-form-urlencoded")

    def message(self, message: OutgoingMessage) -> httpx.Request:
        body = json_body(message_fields(message) | self._proof, message.content)
        return _post(self._url, self._json, body)

    def batch(self, messages: Sequence[OutgoingMessage]) -> httpx.Request:
        parts = BatchParts(self._path, self._proof).write(messages)
        rest = urlencode({"include_headers": "true"} | self._proof)
        return _post(self._batch_url, self._form, f"batch=%5B{'%2C'.join(parts)}%5D&{rest}".encode())


def secrets_of(credentials: Credentials) -> list[str]:
    """Everything about a page that must never be shown."""
    return [credentials.access_token, credentials.app_secret, *_proof(credentials).values()]


def _post(url: httpx.URL, headers: httpx.Headers, body: bytes) -> httpx.Request:
    """Given as a stream, a body spares httpx the making of Host and Content-Length: the transport adds them anyway."""
    return httpx.Request("POST", url, headers=headers, stream=httpx.ByteStream(body))


def _headers(credentials: Credentials, content_type: str) -> httpx.Headers:
    return httpx.Headers(_bearer(credentials) | _ACCEPT | {"Content-Type": content_type})


def _bearer(credentials: Credentials) -> dict[str, str]:
    token = credentials.access_token
    if not (token.isascii() and token.isprintable()):
        raise ValueError("the token holds characters that no header can carry")
    return {"Authorization": f"Bearer {token}"}


def _proof(credentials: Credentials) -> dict[str, str]:
    if not credentials.app_secret:
        return {}
    key, token = credentials.app_secret.encode(), credentials.access_token.encode()
    return {"appsecret_proof": hmac.digest(key, token, "sha256").hex()}


def _path(credentials: Credentials) -> str:
    return quote(credentials.page_id, safe="")
