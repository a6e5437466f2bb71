"""A send request, in JSON or as form fields, and the platform's validation of it."""

from collections.abc import Mapping

import msgspec

from server.sandbox.graph_error import GraphError, graph_error

MAX_TEXT_LENGTH = 2_000
MAX_METADATA_LENGTH = 1_000
MAX_QUICK_REPLIES = 13
TAGS = frozenset({"HUMAN_AGENT", "CUSTOMER_FEEDBACK"})  # the others were retired on 2026-04-27
MESSAGING_TYPES = frozenset({"", "RESPONSE", "UPDATE", "MESSAGE_TAG"})
NOTIFICATION_TYPES = frozenset({"", "REGULAR", "SILENT_PUSH", "NO_PUSH"})
ATTACHMENT_TYPES = frozenset({"audio", "file", "image", "template", "video"})


class RecipientReference(msgspec.Struct, frozen=True, gc=False):
    """The recipient, in one of the platform's forms."""

    id: str = ""
    user_ref: str = ""
    comment_id: str = ""
    post_id: str = ""


class AttachmentField(msgspec.Struct, frozen=True):
    """The attachment; its payload is not validated."""

    type: str


class MessageField(msgspec.Struct, frozen=True):
    """The validated part of the content."""

    text: str = ""
    attachment: AttachmentField | None = None
    quick_replies: list[msgspec.Raw] = []
    metadata: str = ""


class SendRequest(msgspec.Struct, frozen=True):
    """The body of a send; the credentials may also come from a bearer header, the query or the batch."""

    recipient: RecipientReference | None = None
    message: MessageField | None = None
    messaging_type: str = ""
    tag: str = ""
    notification_type: str = ""
    access_token: str = ""
    appsecret_proof: str = ""

    @property
    def recipient_id(self) -> str:
        """Return the recipient's id in the record; empty if the request names none."""
        to = self.recipient
        return (to.id or to.user_ref or to.comment_id or to.post_id) if to else ""

    @property
    def metadata(self) -> str:
        """Return the metadata of the message."""
        return self.message.metadata if self.message else ""

    def refusal(self) -> GraphError | None:
        """Return why the platform refuses the request, always with code 100; None if it does not."""
        problem = self._problem()
        return graph_error(100, 0, f"(#100) {problem}") if problem else None

    def _problem(self) -> str:
        if not self.recipient_id:
            return "The parameter recipient is required"
        if self.message is None:
            return "The parameter message is required"
        return _content_problem(self.message) or self._type_problem()

    def _type_problem(self) -> str:
        if self.messaging_type not in MESSAGING_TYPES:
            return "Param messaging_type must be one of {RESPONSE, UPDATE, MESSAGE_TAG}"
        if self.messaging_type == "MESSAGE_TAG" and self.tag not in TAGS:
            return "Param tag must be one of {HUMAN_AGENT, CUSTOMER_FEEDBACK}"
        if self.notification_type not in NOTIFICATION_TYPES:
            return "Param notification_type must be one of {REGULAR, SILENT_PUSH, NO_PUSH}"
        return ""


def _content_problem(message: MessageField) -> str:
    if bool(message.text) == (message.attachment is not None):
        return "Param message must have either a text or an attachment"
    if len(message.text) > MAX_TEXT_LENGTH:
        return f"Length of param message[text] must be less than or equal to {MAX_TEXT_LENGTH}"
    if message.attachment is not None and message.attachment.type not in ATTACHMENT_TYPES:
        return "Param message[attachment][type] must be one of {audio, file, image, template, video}"
    if len(message.quick_replies) > MAX_QUICK_REPLIES:
        return f"Param message[quick_replies] must have at most {MAX_QUICK_REPLIES} elements"
    if len(message.metadata) > MAX_METADATA_LENGTH:
        return f"Length of param message[metadata] must be less than or equal to {MAX_METADATA_LENGTH}"
    return ""


_request_decoder = msgspec.json.Decoder(SendRequest)
_recipient_decoder = msgspec.json.Decoder(RecipientReference)
_message_decoder = msgspec.json.Decoder(MessageField)


def read_json(body: bytes) -> SendRequest | GraphError:
    """Read a request from a JSON body; an empty body is an empty request."""
    try:
        return _request_decoder.decode(body or b"{}")
    except (msgspec.DecodeError, UnicodeDecodeError):
        return graph_error(100, 0, "(#100) The body is not a JSON object with parameters of the right types")


def read_form(fields: Mapping[str, str]) -> SendRequest | GraphError:
    """Read a request from form fields; `recipient` and `message` hold JSON."""
    recipient, message = fields.get("recipient"), fields.get("message")
    try:
        return SendRequest(
            _recipient_decoder.decode(recipient) if recipient else None,
            _message_decoder.decode(message) if message else None,
            fields.get("messaging_type", ""),
            fields.get("tag", ""),
            fields.get("notification_type", ""),
            fields.get("access_token", ""),
            fields.get("appsecret_proof", ""),
        )
    except msgspec.DecodeError:
        return graph_error(100, 0, "(#100) Params recipient and message must be JSON objects with the right types")
