"""Requests in: what is sent, and to whom."""

from collections.abc import Iterable
from typing import Any

from google.protobuf.struct_pb2 import ListValue, Struct, Value

from domain.commands import Recipient
from domain.content import Attachment, Content, QuickReply
from redrive.v1 import content_pb2
from server.api.mapping.enums import ATTACHMENT_TYPES, MESSAGING_TYPES, NOTIFICATION_TYPES


def content(given: content_pb2.Content) -> Content:
    """A content that was checked."""
    return Content(
        text=given.text,
        attachment=_attachment(given.attachment) if given.HasField("attachment") else None,
        quick_replies=tuple(_quick_reply(reply) for reply in given.quick_replies),
        messaging_type=MESSAGING_TYPES.word(given.messaging_type, "UPDATE"),
        tag=given.tag,
        notification_type=NOTIFICATION_TYPES.word(given.notification_type, "REGULAR"),
    )


def _attachment(given: content_pb2.Attachment) -> Attachment:
    return Attachment(
        type=ATTACHMENT_TYPES.word(given.type, "").lower(),
        url=given.url,
        is_reusable=given.is_reusable,
        template=plain(given.template) if given.template.fields else None,
    )


def _quick_reply(given: content_pb2.QuickReply) -> QuickReply:
    return QuickReply(content_type=given.content_type or "text", title=given.title, payload=given.payload)


def recipients(given: Iterable[content_pb2.Recipient]) -> list[Recipient]:
    """Recipients, checked or not."""
    return [
        Recipient(id=one.id, name=one.name, variables=dict(one.variables) if one.variables else {}) for one in given
    ]


# A protobuf Struct as plain values.


_EXACT = 2**53  # whole numbers up to here are exact in a Struct, which knows only doubles


def plain(given: Struct) -> dict[str, Any]:
    """Return what a Struct holds; whole numbers are ints, as their sender most likely wrote them."""
    return {name: _value(value) for name, value in given.fields.items()}


def _value(given: Value) -> Any:
    kind = given.WhichOneof("kind")
    if kind is None or kind == "null_value":
        return None
    value = getattr(given, kind)
    if isinstance(value, Struct):
        return plain(value)
    if isinstance(value, ListValue):
        return [_value(entry) for entry in value.values]
    is_whole = isinstance(value, float) and value.is_integer() and abs(value) <= _EXACT
    return int(value) if is_whole else value
