"""Writes requests to the Graph API.

The token is in a header and its proof in the body, so that no URL shows them. A GET has no body: there the proof is in
the query; it is useless without the token.
"""

import hmac
import json
import re
from collections.abc import Iterator, Sequence
from secrets import token_hex
from typing import Any
from urllib.parse import quote, quote_plus, urlencode

import httpx
import msgspec

from domain.content import Attachment, Content, QuickReply
from server.messenger.channel import OutgoingMessage, PageCredentials

_VERSION_PATH = re.compile(r"/v[0-9]+\.[0-9]+$")
_dumps = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode
_lines_of_json = json.JSONEncoder(separators=("\n", ":")).encode
_RECIPIENT, _TEXT, _DELIVERY = _MARKS = tuple(token_hex(16) for _ in range(3))  # random: they occur in no content
_UNSAFE = [character for character in map(chr, range(0x20, 0x80)) if quote_plus(character) != character]
# Percent and plus first, in this order: quoted texts contain them, and must not be quoted twice.
_QUOTED = [(it, quote_plus(it)) for it in sorted(_UNSAFE, key=lambda character: character not in "%+")]
_ACCEPT = {"Accept-Encoding": "gzip, deflate"}  # every version of httpx can decode these


class GraphRequests:
    """Writes requests to one Graph API; each method raises ValueError for values that no request can hold."""

    def __init__(self, graph_url: str) -> None:
        self._graph_url = graph_url.rstrip("/")
        self._batch_url = _VERSION_PATH.sub("", self._graph_url) + "/"
        self._pages: dict[str, _PageRequests] = {}

    def message(self, credentials: PageCredentials, message: OutgoingMessage) -> httpx.Request:
        """Return a request for one message, as JSON."""
        return self._requests_of(credentials).message(message)

    def batch(self, credentials: PageCredentials, messages: Sequence[OutgoingMessage]) -> httpx.Request:
        """Return a request for up to 50 messages, as a form of forms.

        It asks for the headers of the parts, which hold the usage.
        """
        return self._requests_of(credentials).batch(messages)

    def page(self, credentials: PageCredentials) -> httpx.Request:
        """Return a request that reads the page's id, to check a token."""
        return self._read_id(credentials, _path(credentials))

    def token_owner(self, credentials: PageCredentials) -> httpx.Request:
        """Return a request that reads the id of the token's owner: the page, only for the page's own token."""
        return self._read_id(credentials, "me")

    def _read_id(self, credentials: PageCredentials, path: str) -> httpx.Request:
        query = {"fields": "id"} | _proof(credentials)
        url = httpx.URL(f"{self._graph_url}/{path}", params=query)
        return httpx.Request("GET", url, headers=_bearer(credentials) | _ACCEPT)

    def _requests_of(self, credentials: PageCredentials) -> "_PageRequests":
        page = self._pages.get(credentials.page_id)
        if page is None or page.credentials != credentials:
            page = self._pages[credentials.page_id] = _PageRequests(credentials, self._graph_url, self._batch_url)
        return page


class _PageRequests:
    """Writes requests of one page; their common parts are made once."""

    def __init__(self, credentials: PageCredentials, graph_url: str, batch_url: str) -> None:
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


def secrets_of(credentials: PageCredentials) -> list[str]:
    """Return all secrets of a page, which must never be shown."""
    return [credentials.access_token, credentials.app_secret, *_proof(credentials).values()]


def _post(url: httpx.URL, headers: httpx.Headers, body: bytes) -> httpx.Request:
    """Return a POST request. With the body as a stream, httpx adds no Host and Content-Length; the transport does."""
    return httpx.Request("POST", url, headers=headers, stream=httpx.ByteStream(body))


def _headers(credentials: PageCredentials, content_type: str) -> httpx.Headers:
    return httpx.Headers(_bearer(credentials) | _ACCEPT | {"Content-Type": content_type})


def _bearer(credentials: PageCredentials) -> dict[str, str]:
    token = credentials.access_token
    if not (token.isascii() and token.isprintable()):
        raise ValueError("the token has characters that a header cannot hold")
    return {"Authorization": f"Bearer {token}"}


def _proof(credentials: PageCredentials) -> dict[str, str]:
    if not credentials.app_secret:
        return {}
    key, token = credentials.app_secret.encode(), credentials.access_token.encode()
    return {"appsecret_proof": hmac.digest(key, token, "sha256").hex()}


def _path(credentials: PageCredentials) -> str:
    return quote(credentials.page_id, safe="")


def message_fields(message: OutgoingMessage) -> dict[str, Any]:
    """Return a message in the fields of the Send API, without empty ones."""
    content = message.content
    fields = {
        "recipient": {"id": message.recipient_id},
        "messaging_type": content.messaging_type,
        "tag": content.tag,
        "notification_type": content.notification_type,
        "message": _message(content, metadata=message.delivery_id),
    }
    return {name: value for name, value in fields.items() if value}


def json_body(fields: dict[str, Any], content: Content) -> bytes:
    """Return the fields as JSON; raises ValueError for values that JSON cannot hold.

    msgspec is many times faster, but writes NaN as null. Only a template can hold NaN.
    """
    if content.attachment is not None and content.attachment.template:
        return json_text(fields).encode()
    return msgspec.json.encode(fields)


def json_text(value: object) -> str:
    """Return JSON in ASCII without spaces; raises ValueError for values that JSON cannot hold."""
    return _dumps(value)


def _message(content: Content, *, metadata: str) -> dict[str, Any]:
    fields = {
        "text": content.text,
        "attachment": _attachment(content.attachment) if content.attachment else None,
        "quick_replies": [_quick_reply(reply) for reply in content.quick_replies],
        "metadata": metadata,
    }
    return {name: value for name, value in fields.items() if value}


def _attachment(attachment: Attachment) -> dict[str, Any]:
    payload = attachment.template or {"url": attachment.url, "is_reusable": attachment.is_reusable}
    return {"type": attachment.type, "payload": payload}


def _quick_reply(reply: QuickReply) -> dict[str, str]:
    fields = {"content_type": reply.content_type, "title": reply.title, "payload": reply.payload}
    return {name: value for name, value in fields.items() if value}


class BatchParts:
    """Writes the parts of one Graph batch. Each part is quoted JSON that holds a form, which again holds quoted JSON.

    What the parts have in common is written once, as a pattern with placeholders for their differences.
    """

    def __init__(self, relative_url: str, proof: dict[str, str]) -> None:
        self._relative_url = relative_url
        self._proof = proof
        self._pattern = ""
        self._shape: object = None

    def write(self, messages: Sequence[OutgoingMessage]) -> list[str]:
        """Return the part of each message; raises ValueError for values that JSON cannot hold."""
        differences = _quoted_differences(messages)
        return [self._pattern_for(it).format(*its_own) for it, its_own in zip(messages, differences, strict=True)]

    def _pattern_for(self, message: OutgoingMessage) -> str:
        shape = _shape(message)
        if shape != self._shape:
            self._pattern, self._shape = self._pattern_like(message), shape
        return self._pattern

    def _pattern_like(self, message: OutgoingMessage) -> str:
        """Return the pattern: a part with marks, replaced by placeholders. Quoted text has no braces of its own."""
        pattern = quote_json(json_text(self._part(_marked(message))))
        for place, mark in enumerate(_MARKS):
            pattern = pattern.replace(_twice_quoted(f'"{mark}"'), f"{{{place}}}")
        return pattern

    def _part(self, message: OutgoingMessage) -> dict[str, str]:
        fields = message_fields(message) | self._proof
        form = {name: value if isinstance(value, str) else json_text(value) for name, value in fields.items()}
        return {"method": "POST", "relative_url": self._relative_url, "body": urlencode(form)}


def _shape(message: OutgoingMessage) -> object:
    """Return all that a pattern depends on; attachments by identity, because equal templates may differ as JSON."""
    content = message.content
    return (
        bool(content.text),
        bool(message.delivery_id),
        id(content.attachment),
        content.quick_replies,
        content.messaging_type,
        content.tag,
        content.notification_type,
    )


def _marked(message: OutgoingMessage) -> OutgoingMessage:
    """Return the message with marks for its differences; empty values stay empty, because they are not sent."""
    content = msgspec.structs.replace(message.content, text=_TEXT if message.content.text else "")
    delivery_id = _DELIVERY if message.delivery_id else ""
    return OutgoingMessage(recipient_id=_RECIPIENT, delivery_id=delivery_id, content=content)


def _quoted_differences(messages: Sequence[OutgoingMessage]) -> Iterator[tuple[str, str, str]]:
    """Yield the values for each pattern.

    All are quoted in one pass, one per line: JSON has no line breaks of its own.
    """
    differences = [text for it in messages for text in (it.recipient_id, it.content.text, it.delivery_id)]
    lines = iter(_twice_quoted(_lines_of_json(differences)[1:-1]).split("\n"))
    return zip(lines, lines, lines, strict=True)


def _twice_quoted(text: str) -> str:
    """Return JSON quoted for a form inside JSON inside a form; quoted once, JSON needs no escapes inside JSON."""
    return quote_again(quote_json(text))


def quote_json(text: str) -> str:
    """Quote JSON in ASCII for a form, like `urllib.parse.quote_plus` in a fifth of its time.

    Line breaks, which occur only between values, stay as they are.
    """
    for character, quoted in _QUOTED:
        if character in text:
            text = text.replace(character, quoted)
    return text


def quote_again(text: str) -> str:
    """Quote a text that is already quoted."""
    return text.replace("%", "%25").replace("+", "%2B")
