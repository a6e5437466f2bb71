"""What a message says, in the Send API's own fields."""

import json
from typing import Any

import msgspec

from domain.content import Attachment, Content, QuickReply
from server.channels.channel import OutgoingMessage

_dumps = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


def message_fields(message: OutgoingMessage) -> dict[str, Any]:
    """The fields of a request for one message; what is not given is left out."""
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
    """The fields as JSON; raises ValueError for what JSON cannot hold.

    msgspec is many times faster, but writes NaN as null; only a template can hold one.
    """
    if content.attachment is not None and content.attachment.template:
        return json_text(fields).encode()
    return msgspec.json.encode(fields)


def json_text(value: object) -> str:
    """JSON in ASCII without spaces; raises ValueError for what JSON cannot hold."""
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
