"""What is sent: the content of a message, and every string of it with a recipient's variables filled in."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from domain.placeholders import Fillable, Placeholder, is_blank, is_web_address
from domain.template_size import MAX_TEMPLATE_BYTES, excess, json_size

# Characters after filling in. The platform's limits for message.text, a quick reply and an address; a string of a
# template with placeholders has no longer one than a text, and all of them together are bounded.
MAX_TEXT_LENGTH = 2_000
MAX_URL_LENGTH = 2_048
MAX_TITLE_LENGTH = 20
MAX_PAYLOAD_LENGTH = 1_000
MAX_TEMPLATE_LENGTH = 50_000

_URL_KEY = re.compile(r"(?i:(.*_)?urls?)")
_TEMPLATE_PATH = "attachment.template"
_NEVER_BLANK_KEYS = frozenset({"text", "title"})
_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")


class Attachment(msgspec.Struct, frozen=True, kw_only=True):
    """A file by its address, or a template by its payload; type in the platform's own words."""

    type: str
    url: str = ""
    is_reusable: bool = False
    template: dict[str, Any] | None = None


class QuickReply(msgspec.Struct, frozen=True, kw_only=True):
    """A button under the text."""

    content_type: str = "text"
    title: str = ""
    payload: str = ""


class Content(msgspec.Struct, frozen=True, kw_only=True):
    """One message as its sender wrote it; enum-like fields hold the platform's own words."""

    text: str = ""
    attachment: Attachment | None = None
    quick_replies: Sequence[QuickReply] = ()
    messaging_type: str = "UPDATE"
    tag: str = ""
    notification_type: str = "REGULAR"

    def __repr__(self) -> str:
        return "Content()"


class StringRule(msgspec.Struct, frozen=True, kw_only=True):
    """What must hold for a string once it is filled in: its limit in characters, and whether it may be blank."""

    limit: int
    is_required: bool = False
    is_url: bool = False
    is_payload: bool = False


TEXT = StringRule(limit=MAX_TEXT_LENGTH, is_required=True)
URL = StringRule(limit=MAX_URL_LENGTH, is_url=True)
TITLE = StringRule(limit=MAX_TITLE_LENGTH, is_required=True)
OTHER_TITLE = StringRule(limit=MAX_TITLE_LENGTH)  # of a quick reply whose title the platform does not show
PAYLOAD = StringRule(limit=MAX_PAYLOAD_LENGTH, is_payload=True)
TEMPLATE_STRING = StringRule(limit=MAX_TEXT_LENGTH)
TEMPLATE_TITLE = StringRule(limit=MAX_TEXT_LENGTH, is_required=True)
TEMPLATE_PAYLOAD = StringRule(limit=MAX_TEXT_LENGTH, is_payload=True)


class ContentString(msgspec.Struct, frozen=True):
    """One string of a content: the path of its field, what it says, and the rule for it."""

    path: str
    text: str
    rule: StringRule


Change = Callable[[ContentString], str]


class ContentProblem(msgspec.Struct, frozen=True):
    """Why a recipient cannot be sent a content, in words that do not show it; `missing` names variables they lack."""

    words: str
    missing: Sequence[str] = ()


def content_excess(content: Content) -> str | None:
    """Return which limit a content exceeds for every recipient, in words that do not show it.

    Releases before accepted templates of any size, so what the log holds has to be looked at too.
    """
    template = content.attachment.template if content.attachment is not None else None
    words = None if template is None else excess(template)
    return words and f"content.attachment.template {words}"


def strings_of(content: Content) -> Sequence[ContentString]:
    """Return every string of a content in which placeholders are filled in, but for empty ones that may be empty."""
    found: list[ContentString] = []
    _changed(content, _noting(found))
    return found


def template_strings(template: dict[str, Any]) -> Sequence[ContentString]:
    """Return every string of a template's values, with its path inside the template."""
    found: list[ContentString] = []
    _changed_value("", "", template, _noting(found))
    return found


def _noting(found: list[ContentString]) -> Change:
    def note(string: ContentString) -> str:
        if string.text or string.rule.is_required:
            found.append(string)
        return string.text

    return note


def filled(content: Content, fillings: Mapping[str, str]) -> Content | ContentProblem:
    """Return the content as one recipient gets it, or why they cannot; for many recipients, see FillableContent."""
    return FillableContent(content).filled(fillings)


class FillableContent:
    """A content within its limits (see content_excess), parsed once to be filled in for many recipients.

    `text_only` leaves placeholders outside the text as they are written: releases before did not know them.
    """

    def __init__(self, content: Content, *, text_only: bool = False) -> None:
        self._content = content
        strings = [one for one in strings_of(content) if "{{" in one.text and (one.path == "text" or not text_only)]
        parsed = [(string, Fillable(string.text, is_url=string.rule.is_url)) for string in strings]
        self._asking = [(string, fillable) for string, fillable in parsed if fillable.count]
        self._placeholders: Mapping[str, Placeholder] = {
            written: placeholder
            for _, fillable in self._asking
            for written, placeholder in fillable.placeholders.items()
        }
        self.variables = frozenset(placeholder.name for placeholder in self._placeholders.values())
        self.count = sum(fillable.count for _, fillable in self._asking)
        template = content.attachment.template if content.attachment is not None else None
        self.template_size = 0 if template is None else json_size(template)  # bytes, as it is written
        self._fixed_size = self.template_size - sum(json_size(one.text) for one, _ in self._asking_in_template())

    @property
    def is_plain(self) -> bool:
        """Whether the releases before fill it in alike: it asks for variables in its text only, without defaults."""
        has_defaults = any(placeholder.default is not None for placeholder in self._placeholders.values())
        return not has_defaults and all(string.path == "text" for string, _ in self._asking)

    def filled(self, fillings: Mapping[str, str]) -> Content | ContentProblem:
        """Return the content as a recipient with these fillings gets it, or why they cannot."""
        if not self._asking:
            return self._content
        texts = self._texts(fillings)
        return texts if isinstance(texts, ContentProblem) else self._with(texts)

    def problem(self, fillings: Mapping[str, str]) -> ContentProblem | None:
        """Return why a recipient with these fillings cannot be sent the content, or None."""
        texts = self._texts(fillings)
        return texts if isinstance(texts, ContentProblem) else None

    def _asking_in_template(self) -> Sequence[tuple[ContentString, Fillable]]:
        return [(string, fillable) for string, fillable in self._asking if string.path.startswith(_TEMPLATE_PATH)]

    def _texts(self, fillings: Mapping[str, str]) -> Mapping[str, str] | ContentProblem:
        """Return each string that asks for something, filled in, by its path."""
        values, missing = self._values(fillings)
        if missing:
            return self._lacks(missing)
        texts: dict[str, str] = {}
        for string, fillable in self._asking:
            if (words := _too_long(string, fillable.least_length(values))) is not None:
                return ContentProblem(words)  # without making it first: it may be a thousand times too long
            text = texts[string.path] = fillable.filled(values)
            if (words := _broken(string, text)) is not None:
                return ContentProblem(words)
        return texts if not self.template_size else self._within_template_limits(texts)

    def _within_template_limits(self, texts: Mapping[str, str]) -> Mapping[str, str] | ContentProblem:
        in_template = [text for path, text in texts.items() if path.startswith(_TEMPLATE_PATH)]
        length = sum(map(len, in_template))
        if length > MAX_TEMPLATE_LENGTH:
            return _too_large_template(f"{length:,} characters", MAX_TEMPLATE_LENGTH)
        size = self._fixed_size + sum(map(json_size, in_template))
        if size > MAX_TEMPLATE_BYTES:
            return _too_large_template(f"{size:,} bytes as JSON", MAX_TEMPLATE_BYTES)
        return texts

    def _values(self, fillings: Mapping[str, str]) -> tuple[Mapping[str, str], set[str]]:
        """Return the value of each placeholder, and the names of variables that are missing."""
        values: dict[str, str] = {}
        missing: set[str] = set()
        for written, placeholder in self._placeholders.items():
            value = placeholder.value(fillings)
            if value is None:
                missing.add(placeholder.name)
            else:
                values[written] = value
        return values, missing

    def _lacks(self, missing: set[str]) -> ContentProblem:
        fields = [
            string.path
            for string, fillable in self._asking
            if any(one.name in missing and one.default is None for one in fillable.placeholders.values())
        ]
        names = ", ".join("{{" + name + "}}" for name in sorted(missing))
        asking = "the content" if len(fields) > 1 else _shown(fields[0])
        return ContentProblem(f"lacks {names}, which {asking} asks for", tuple(sorted(missing)))

    def _with(self, texts: Mapping[str, str]) -> Content:
        if texts.keys() == {"text"}:
            return msgspec.structs.replace(self._content, text=texts["text"])
        return _changed(self._content, lambda string: texts.get(string.path, string.text))


def _too_large_template(size: str, limit: int) -> ContentProblem:
    return ContentProblem(f"makes a content.attachment.template of {size}; at most {limit:,} are allowed")


def _too_long(string: ContentString, length: int) -> str | None:
    if length <= string.rule.limit:
        return None
    return f"makes {_a(string.path)} of {length:,} characters; at most {string.rule.limit:,} are allowed"


def _broken(string: ContentString, text: str) -> str | None:
    """Return which rule a string breaks once it is filled in, in words that do not show it."""
    rule = string.rule
    if (words := _too_long(string, len(text))) is not None:
        return words
    if rule.is_url and not is_web_address(text):
        return f"makes {_a(string.path)} that is no http or https address"
    if rule.is_required and is_blank(text):
        return f"makes {_a(string.path)} that is blank"
    return None


def _a(path: str) -> str:
    return "a text" if path == "text" else f"a content.{path}"


def _shown(path: str) -> str:
    return "the text" if path == "text" else f"content.{path}"


def _changed(content: Content, change: Change) -> Content:
    """Return the content with each of its strings changed: the one place that knows which strings there are."""
    text = change(ContentString("text", content.text, TEXT))
    attachment = content.attachment and _changed_attachment(content.attachment, change)
    replies = [
        _changed_reply(f"quick_replies[{index}]", reply, change) for index, reply in enumerate(content.quick_replies)
    ]
    return msgspec.structs.replace(content, text=text, attachment=attachment, quick_replies=tuple(replies))


def _changed_attachment(attachment: Attachment, change: Change) -> Attachment:
    url = change(ContentString("attachment.url", attachment.url, URL))
    template = attachment.template
    if template is not None:
        template = _changed_value(_TEMPLATE_PATH, "", template, change)
    return msgspec.structs.replace(attachment, url=url, template=template)


def _changed_reply(path: str, reply: QuickReply, change: Change) -> QuickReply:
    rule = TITLE if reply.content_type == "text" else OTHER_TITLE
    title = change(ContentString(f"{path}.title", reply.title, rule))
    payload = change(ContentString(f"{path}.payload", reply.payload, PAYLOAD))
    return msgspec.structs.replace(reply, title=title, payload=payload)


def _changed_value(path: str, key: str, value: Any, change: Change) -> Any:
    """Return a template's value with its strings changed; the entries of a list have the key of the list."""
    if isinstance(value, str):
        return change(ContentString(path, value, template_rule(key)))
    if isinstance(value, dict):
        return {name: _changed_value(_joined(path, name), name, inner, change) for name, inner in value.items()}
    if isinstance(value, list):
        return [_changed_value(f"{path}[{index}]", key, inner, change) for index, inner in enumerate(value)]
    return value


def template_rule(key: str) -> StringRule:
    """Return the rule for a template's string, which its key decides: url and image_url hold addresses."""
    if _URL_KEY.fullmatch(key):
        return URL
    if key in _NEVER_BLANK_KEYS:
        return TEMPLATE_TITLE
    return TEMPLATE_PAYLOAD if key == "payload" else TEMPLATE_STRING


def _joined(path: str, key: str) -> str:
    if _PLAIN_KEY.fullmatch(key):
        return f"{path}.{key}" if path else key
    return f"{path}[{msgspec.json.encode(key[:64]).decode()}]"
