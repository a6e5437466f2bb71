"""Mapping of contents and recipients in requests."""

from collections.abc import Iterable

from domain.commands import Recipient
from domain.content import Attachment, Content, QuickReply
from redrive.v1 import content_pb2
from server.api.mapping.enums import ATTACHMENT_TYPES, MESSAGING_TYPES, NOTIFICATION_TYPES
from server.api.struct_values import plain_values


def content(given: content_pb2.Content) -> Content:
    """Return the content of a valid request."""
    return Content(
        text=given.text,
        attachment=_attachment(given.attachment) if given.HasField("attachment") else None,
        quick_replies=tuple(_quick_reply(reply) for reply in given.quick_replies),
        messaging_type=MESSAGING_TYPES.name(given.messaging_type, "UPDATE"),
        tag=given.tag,
        notification_type=NOTIFICATION_TYPES.name(given.notification_type, "REGULAR"),
    )


def _attachment(given: content_pb2.Attachment) -> Attachment:
    return Attachment(
        type=ATTACHMENT_TYPES.name(given.type, "").lower(),
        url=given.url,
        is_reusable=given.is_reusable,
        template=plain_values(given.template) if given.template.fields else None,
    )


def _quick_reply(given: content_pb2.QuickReply) -> QuickReply:
    return QuickReply(content_type=given.content_type or "text", title=given.title, payload=given.payload)


def recipients(given: Iterable[content_pb2.Recipient]) -> list[Recipient]:
    """Return the recipients of a request, which need not be valid."""
    return [
        Recipient(id=one.id, name=one.name, variables=dict(one.variables) if one.variables else {}) for one in given
    ]
