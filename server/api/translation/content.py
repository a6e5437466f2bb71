"""Requests in: what is sent, and to whom."""

from collections.abc import Iterable

from domain.content import Attachment, Content, QuickReply
from domain.recipient import Recipient
from redrive.v1 import content_pb2
from server.api.struct_values import plain
from server.api.translation.enum_words import ATTACHMENT_TYPES, MESSAGING_TYPES, NOTIFICATION_TYPES


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
