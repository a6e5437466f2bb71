"""Writes the Graph API's requests.

The token travels in a header and its proof in the body, so that no address shows them. A GET has no body: there the
proof, which is of no use without the token, stands in the query.
"""

import hmac
import json
import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote, urlencode

import httpx

from domain.content import Attachment, Content, QuickReply
from server.channels.channel import Credentials, OutgoingMessage

_VERSION_PATH = re.compile(r"/v[0-9]+\.[0-9]+$")


class GraphRequests:
    """Requests to one Graph API; each method raises ValueError for what no request can carry."""

    def __init__(self, client: httpx.AsyncClient, graph_url: str) -> None:
        self._client = client
        self._graph_url = graph_url.rstrip("/")
        self._batch_url = _VERSION_PATH.sub("", self._graph_url) + "/"

    def message(self, credentials: Credentials, message: OutgoingMessage) -> httpx.Request:
        """One message, as JSON."""
        body = _fields(message) | _proof(credentials)
        headers = _bearer(credentials) | {"Content-Type": "application/json"}
        url = f"{self._graph_url}/{_messages_path(credentials)}"
        return self._client.build_request("POST", url, headers=headers, content=_json(body))

    def batch(self, credentials: Credentials, messages: Sequence[OutgoingMessage]) -> httpx.Request:
        """Up to 50 messages, as a form whose parts are forms; the parts' headers are asked for: they tell the usage."""
        parts = [_part(credentials, message) for message in messages]
        form = {"batch": _json(parts), "include_headers": "true"} | _proof(credentials)
        return self._client.build_request("POST", self._batch_url, headers=_bearer(credentials), data=form)

    def probe(self, credentials: Credentials) -> httpx.Request:
        """The harmless call that tries a token."""
        url = f"{self._graph_url}/{quote(credentials.page_id, safe='')}"
        query = {"fields": "id"} | _proof(credentials)
        return self._client.build_request("GET", url, headers=_bearer(credentials), params=query)


def secrets_of(credentials: Credentials) -> list[str]:
    """Everything about a page that must never be shown."""
    return [credentials.access_token, credentials.app_secret, *_proof(credentials).values()]


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


def _part(credentials: Credentials, message: OutgoingMessage) -> dict[str, str]:
    fields = _fields(message) | _proof(credentials)
    form = {name: value if isinstance(value, str) else _json(value) for name, value in fields.items()}
    return {"method": "POST", "relative_url": _messages_path(credentials), "body": urlencode(form)}


def _messages_path(credentials: Credentials) -> str:
    return f"{quote(credentials.page_id, safe='')}/messages"


def _fields(message: OutgoingMessage) -> dict[str, Any]:
    content = message.content
    fields = {
        "recipient": {"id": message.recipient_id},
        "messaging_type": content.messaging_type,
        "tag": content.tag,
        "notification_type": content.notification_type,
        "message": _message(content, metadata=message.delivery_id),
    }
    return {name: value for name, value in fields.items() if value}


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


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False)
