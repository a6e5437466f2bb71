"""The rules of what is sent."""

from collections.abc import Iterator, Mapping
from math import isfinite
from typing import Annotated, Any

from google.protobuf.struct_pb2 import Struct, Value
from pydantic import AfterValidator, Field, StringConstraints, ValidationInfo, field_validator

from redrive.v1.content_pb2 import AttachmentType, MessagingType, NotificationType
from server.api.rules.broken_rule import broken_rule
from server.api.rules.field_kinds import NO_NUL, WEB_ADDRESS, known, up_to
from server.api.rules.filled_text import FilledText
from server.api.rules.rule_set import Rules
from server.api.rules.stray_braces import stray_braces

CONTENT_TYPES = ("text", "user_phone_number", "user_email")
TAGS = ("HUMAN_AGENT", "CUSTOMER_FEEDBACK")


class AttachmentRules(Rules):
    """A file by its address, or a template."""

    type: Annotated[int, known(AttachmentType.DESCRIPTOR, required=True)]
    url: Annotated[str, up_to(2048, WEB_ADDRESS)] | None = Field(default=None, validate_default=True)
    template: Any = Field(default=None, validate_default=True)

    @field_validator("url")
    @classmethod
    def _address_of_a_file(cls, url: str | None, given: ValidationInfo) -> str | None:
        if url is None and given.data.get("type") not in (None, AttachmentType.ATTACHMENT_TYPE_TEMPLATE):
            raise broken_rule("is required, except for a template")
        return url

    @field_validator("template")
    @classmethod
    def _payload_of_a_template(cls, template: Struct | None, given: ValidationInfo) -> Struct | None:
        if "type" not in given.data:
            return template
        is_template = given.data["type"] == AttachmentType.ATTACHMENT_TYPE_TEMPLATE
        fields = template.fields if template is not None else {}
        if is_template and not fields:
            raise broken_rule("is required for a template")
        if fields and not is_template:
            raise broken_rule("must be empty, except for a template")
        if not all(map(_is_plain, _leaves(fields))):
            raise broken_rule("must not hold NUL characters or numbers that are not finite")
        return template


def _leaves(fields: Mapping[str, Value]) -> Iterator[str | float]:
    for name, value in fields.items():
        yield name
        yield from _leaves_of(value)


def _leaves_of(value: Value) -> Iterator[str | float]:
    match value.WhichOneof("kind"):
        case "struct_value":
            yield from _leaves(value.struct_value.fields)
        case "list_value":
            for entry in value.list_value.values:
                yield from _leaves_of(entry)
        case "string_value":
            yield value.string_value
        case "number_value":
            yield value.number_value


def _is_plain(leaf: str | float) -> bool:
    return "\0" not in leaf if isinstance(leaf, str) else isfinite(leaf)


def _known_content_type(content_type: str) -> str:
    if content_type not in CONTENT_TYPES:
        raise broken_rule("must be text, user_phone_number or user_email")
    return content_type


class QuickReplyRules(Rules):
    """A button under the text."""

    content_type: Annotated[str, AfterValidator(_known_content_type)] = "text"
    title: Annotated[str, up_to(20)] = Field(default="", validate_default=True)
    payload: Annotated[str, up_to(1000)] = ""

    @field_validator("title")
    @classmethod
    def _title_of_a_text(cls, title: str, given: ValidationInfo) -> str:
        if not title and given.data.get("content_type") == "text":
            raise broken_rule("must have 1 to 20 characters, unless content_type is another than text")
        return title


class ContentRules(Rules):
    """A text or an attachment, and what goes with it."""

    attachment: AttachmentRules | None = None
    text: Annotated[str, StringConstraints(pattern=NO_NUL.pattern)] = Field(default="", validate_default=True)
    quick_replies: Annotated[list[QuickReplyRules], Field(default_factory=list, max_length=13)]
    messaging_type: Annotated[int, known(MessagingType.DESCRIPTOR)] = 0
    tag: str = Field(default="", validate_default=True)
    notification_type: Annotated[int, known(NotificationType.DESCRIPTOR)] = 0

    @field_validator("text")
    @classmethod
    def _text_or_attachment(cls, text: str, given: ValidationInfo) -> str:
        has_attachment = given.data.get("attachment") is not None
        if not text and not has_attachment and "attachment" in given.data:  # one that breaks a rule is not in data
            raise broken_rule("is required without an attachment")
        if text and has_attachment:
            raise broken_rule("must be empty with an attachment: the platform takes one or the other")
        if (problem := FilledText(text).problem() or stray_braces(text)) is not None:
            raise broken_rule(problem)
        return text

    @field_validator("tag")
    @classmethod
    def _tag_of_a_tagged_message(cls, tag: str, given: ValidationInfo) -> str:
        if "messaging_type" not in given.data:
            return tag
        is_tagged = given.data["messaging_type"] == MessagingType.MESSAGING_TYPE_MESSAGE_TAG
        if is_tagged and tag not in TAGS:
            raise broken_rule("must be HUMAN_AGENT or CUSTOMER_FEEDBACK with MESSAGING_TYPE_MESSAGE_TAG")
        if tag and not is_tagged:
            raise broken_rule("must be empty, except with MESSAGING_TYPE_MESSAGE_TAG")
        return tag
