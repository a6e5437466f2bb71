"""Valid requests; tests change single fields, also to undefined enum numbers."""

from typing import Any, TypeVar

from google.protobuf.message import Message

from redrive.v1.content_pb2 import Attachment, Content, QuickReply, Recipient
from redrive.v1.delivery_service_pb2 import ResendRequest, SendRequest
from redrive.v1.message_pb2 import RetryPolicy
from redrive.v1.page_service_pb2 import PutPageRequest
from tests.builders import PAGE, TOKEN

M = TypeVar("M", bound=Message)

# ATTACHMENT_TYPE_ and MESSAGING_TYPE_
IMAGE, TEMPLATE = 3, 5
MESSAGE_TAG = 3


def of(kind: type[M], **fields: Any) -> M:
    """Return a request of any type."""
    return kind(**fields)


def send_request(*ids: str, text: str = "Hello {{name}}", **fields: Any) -> SendRequest:
    recipients = [Recipient(id=id_, name=id_.title()) for id_ in ids or ("ann", "bob")]
    return SendRequest(**{"page_id": PAGE, "content": Content(text=text), "recipients": recipients, **fields})


def stream_header(text: str = "Hello {{name}}", **fields: Any) -> SendRequest:
    """Return the header of a stream."""
    return SendRequest(**{"page_id": PAGE, "content": Content(text=text), **fields})


def sending(**fields: Any) -> SendRequest:
    """Return a text message with other fields."""
    return send_request(content=Content(**{"text": "Hello", **fields}))


def replying(*replies: QuickReply) -> SendRequest:
    """Return a text with quick replies."""
    return sending(quick_replies=replies)


def attached(text: str = "", **fields: Any) -> SendRequest:
    """Return an attachment instead of a text."""
    return send_request(content=Content(text=text, attachment=Attachment(**fields)))


def template(**payload: Any) -> SendRequest:
    """Return a template with this payload."""
    request = attached(type=TEMPLATE)
    request.content.attachment.template.update(payload)
    return request


def to(**fields: Any) -> SendRequest:
    """Return a request whose eighteenth recipient has these fields."""
    return send_request(recipients=[Recipient(id="ann")] * 17 + [Recipient(**{"id": "bob", **fields})])


def retrying(**fields: Any) -> SendRequest:
    """Return a text with a retry policy."""
    return send_request(retry_policy=RetryPolicy(**fields))


def resend(message_id: str = "m-1", **fields: Any) -> ResendRequest:
    return ResendRequest(message_id=message_id, **fields)


def put(**fields: Any) -> PutPageRequest:
    return PutPageRequest(**{"page_id": PAGE, "access_token": TOKEN, **fields})
