"""The content of a message, and filling in a recipient's variables in each of its strings."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from domain.placeholders import Fillable, Placeholder, is_blank, is_web_address
from domain.template_size import MAX_TEMPLATE_BYTES, exceeded_limit, json_size

# Limits in characters after filling in. The platform documents those of the text, of a quick reply and of a URL. A
# template's string with placeholders has the limit of a text; MAX_TEMPLATE_LENGTH limits all such strings together.
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
    """A file, given by its URL, or a template, given by its payload; `type` is the platform's value."""

    type: str
    url: str = ""
    is_reusable: bool = False
    template: dict[str, Any] | None = None


class QuickReply(msgspec.Struct, frozen=True, kw_only=True):
    """A quick reply button below the text."""

    content_type: str = "text"
    title: str = ""
    payload: str = ""


class Content(msgspec.Struct, frozen=True, kw_only=True):
    """The content as the sender wrote it, with placeholders; enum-like fields hold the platform's values."""

    text: str = ""
    attachment: Attachment | None = None
    quick_replies: Sequence[QuickReply] = ()
    messaging_type: str = "UPDATE"
    tag: str = ""
    notification_type: str = "REGULAR"

    def __repr__(self) -> str:
        return "Content()"


class StringRule(msgspec.Struct, frozen=True, kw_only=True):
    """The rule for a string after it is filled in; `limit` is in characters."""

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
    """One string of a content: the path of its field, its text and its rule."""

    path: str
    text: str
    rule: StringRule


StringChange = Callable[[ContentString], str]


class ContentProblem(msgspec.Struct, frozen=True):
    """Why a content cannot be sent to a recipient.

    `words` does not quote the content. `missing` names the variables that the recipient lacks.
    """

    words: str
    missing: Sequence[str] = ()


def exceeded_content_limit(content: Content) -> str | None:
    """Return which limit a content exceeds for every recipient, without quoting the content; None if none.

    Earlier releases accepted templates of any size, so stored contents have to be checked too.
    """
    template = content.attachment.template if content.attachment is not None else None
    words = None if template is None else exceeded_limit(template)
    return words and f"content.attachment.template {words}"


def content_strings(content: Content) -> Sequence[ContentString]:
    """Return every string of a content that may hold placeholders; empty optional strings are left out."""
    found: list[ContentString] = []
    _with_changed_strings(content, _collect_into(found))
    return found


def template_strings(template: dict[str, Any]) -> Sequence[ContentString]:
    """Return every string of a template's values, with its path inside the template."""
    found: list[ContentString] = []
    _with_changed_value("", "", template, _collect_into(found))
    return found


def _collect_into(found: list[ContentString]) -> StringChange:
    def collect(string: ContentString) -> str:
        if string.text or string.rule.is_required:
            found.append(string)
        return string.text

    return collect


def fill(content: Content, variables: Mapping[str, str]) -> Content | ContentProblem:
    """Return the content for one recipient, or why it cannot be sent; use FillableContent for many recipients."""
    return FillableContent(content).fill(variables)


class FillableContent:
    """A content within its limits (see content_excess), parsed once and filled in for many recipients.

    `text_only` leaves placeholders outside the text unfilled, as earlier releases did.
    """

    def __init__(self, content: Content, *, text_only: bool = False) -> None:
        self._content = content
        strings = [
            one for one in content_strings(content) if "{{" in one.text and (one.path == "text" or not text_only)
        ]
        parsed = [(string, Fillable(string.text, is_url=string.rule.is_url)) for string in strings]
        self._with_placeholders = [(string, fillable) for string, fillable in parsed if fillable.count]
        self._placeholders: Mapping[str, Placeholder] = {
            source: placeholder
            for _, fillable in self._with_placeholders
            for source, placeholder in fillable.placeholders.items()
        }
        self.variables = frozenset(placeholder.name for placeholder in self._placeholders.values())
        self.count = sum(fillable.count for _, fillable in self._with_placeholders)
        template = content.attachment.template if content.attachment is not None else None
        self.template_size = 0 if template is None else json_size(template)  # bytes, before filling in
        in_template = [string.text for string, _ in self._with_placeholders if string.path.startswith(_TEMPLATE_PATH)]
        self._fixed_size = self.template_size - sum(map(json_size, in_template))

    @property
    def is_plain(self) -> bool:
        """Whether earlier releases fill it in the same way: all placeholders are in the text, without defaults."""
        has_defaults = any(placeholder.default is not None for placeholder in self._placeholders.values())
        return not has_defaults and all(string.path == "text" for string, _ in self._with_placeholders)

    def fill(self, variables: Mapping[str, str]) -> Content | ContentProblem:
        """Return the content for a recipient with these variable values, or why it cannot be sent."""
        if not self._with_placeholders:
            return self._content
        texts = self._texts(variables)
        return texts if isinstance(texts, ContentProblem) else self._with(texts)

    def problem(self, variables: Mapping[str, str]) -> ContentProblem | None:
        """Return why the content cannot be sent to a recipient with these variable values; None if it can."""
        texts = self._texts(variables)
        return texts if isinstance(texts, ContentProblem) else None

    def _texts(self, variables: Mapping[str, str]) -> Mapping[str, str] | ContentProblem:
        """Return each string with placeholders, filled in, by its path."""
        values, missing = self._values(variables)
        if missing:
            return self._missing_variables(missing)
        texts: dict[str, str] = {}
        for string, fillable in self._with_placeholders:
            if (words := _length_problem(string, fillable.least_length(values))) is not None:
                return ContentProblem(words)  # before the text is built: it may be a thousand times too long
            text = texts[string.path] = fillable.fill(values)
            if (words := _rule_problem(string, text)) is not None:
                return ContentProblem(words)
        return texts if not self.template_size else self._within_template_limits(texts)

    def _within_template_limits(self, texts: Mapping[str, str]) -> Mapping[str, str] | ContentProblem:
        in_template = [text for path, text in texts.items() if path.startswith(_TEMPLATE_PATH)]
        length = sum(map(len, in_template))
        if length > MAX_TEMPLATE_LENGTH:
            return _template_problem(f"{length:,} characters", MAX_TEMPLATE_LENGTH)
        size = self._fixed_size + sum(map(json_size, in_template))
        if size > MAX_TEMPLATE_BYTES:
            return _template_problem(f"{size:,} bytes as JSON", MAX_TEMPLATE_BYTES)
        return texts

    def _values(self, variables: Mapping[str, str]) -> tuple[Mapping[str, str], set[str]]:
        """Return the value of each placeholder, and the names of variables that are missing."""
        values: dict[str, str] = {}
        missing: set[str] = set()
        for source, placeholder in self._placeholders.items():
            value = placeholder.value(variables)
            if value is None:
                missing.add(placeholder.name)
            else:
                values[source] = value
        return values, missing

    def _missing_variables(self, missing: set[str]) -> ContentProblem:
        fields = [
            string.path
            for string, fillable in self._with_placeholders
            if any(one.name in missing and one.default is None for one in fillable.placeholders.values())
        ]
        names = ", ".join("{{" + name + "}}" for name in sorted(missing))
        field = "the content" if len(fields) > 1 else _definite_name(fields[0])
        return ContentProblem(f"lacks {names}, which {field} asks for", tuple(sorted(missing)))

    def _with(self, texts: Mapping[str, str]) -> Content:
        if texts.keys() == {"text"}:
            return msgspec.structs.replace(self._content, text=texts["text"])
        return _with_changed_strings(self._content, lambda string: texts.get(string.path, string.text))


def _template_problem(size: str, limit: int) -> ContentProblem:
    return ContentProblem(f"makes a content.attachment.template of {size}; at most {limit:,} are allowed")


def _length_problem(string: ContentString, length: int) -> str | None:
    if length <= string.rule.limit:
        return None
    return f"makes {_indefinite_name(string.path)} of {length:,} characters; at most {string.rule.limit:,} are allowed"


def _rule_problem(string: ContentString, text: str) -> str | None:
    """Return which rule a filled-in text breaks, without quoting the text; None if none."""
    rule = string.rule
    if (words := _length_problem(string, len(text))) is not None:
        return words
    if rule.is_url and not is_web_address(text):
        return f"makes {_indefinite_name(string.path)} that is no http or https address"
    if rule.is_required and is_blank(text):
        return f"makes {_indefinite_name(string.path)} that is blank"
    return None


def _indefinite_name(path: str) -> str:
    return "a text" if path == "text" else f"a content.{path}"


def _definite_name(path: str) -> str:
    return "the text" if path == "text" else f"content.{path}"


def _with_changed_strings(content: Content, change: StringChange) -> Content:
    """Return the content with each of its strings changed. Only this function knows which strings a content has."""
    text = change(ContentString("text", content.text, TEXT))
    attachment = content.attachment and _with_changed_attachment(content.attachment, change)
    replies = [
        _with_changed_reply(f"quick_replies[{index}]", reply, change)
        for index, reply in enumerate(content.quick_replies)
    ]
    return msgspec.structs.replace(content, text=text, attachment=attachment, quick_replies=tuple(replies))


def _with_changed_attachment(attachment: Attachment, change: StringChange) -> Attachment:
    url = change(ContentString("attachment.url", attachment.url, URL))
    template = attachment.template
    if template is not None:
        template = _with_changed_value(_TEMPLATE_PATH, "", template, change)
    return msgspec.structs.replace(attachment, url=url, template=template)


def _with_changed_reply(path: str, reply: QuickReply, change: StringChange) -> QuickReply:
    rule = TITLE if reply.content_type == "text" else OTHER_TITLE
    title = change(ContentString(f"{path}.title", reply.title, rule))
    payload = change(ContentString(f"{path}.payload", reply.payload, PAYLOAD))
    return msgspec.structs.replace(reply, title=title, payload=payload)


def _with_changed_value(path: str, key: str, value: Any, change: StringChange) -> Any:
    """Return a template's value with its strings changed; `key` is the value's key, for list entries the list's key."""
    if isinstance(value, str):
        return change(ContentString(path, value, template_rule(key)))
    if isinstance(value, dict):
        return {name: _with_changed_value(_child_path(path, name), name, one, change) for name, one in value.items()}
    if isinstance(value, list):
        return [_with_changed_value(f"{path}[{index}]", key, one, change) for index, one in enumerate(value)]
    return value


def template_rule(key: str) -> StringRule:
    """Return the rule for a template's string by its key, for example URL for `url` and `image_url`."""
    if _URL_KEY.fullmatch(key):
        return URL
    if key in _NEVER_BLANK_KEYS:
        return TEMPLATE_TITLE
    return TEMPLATE_PAYLOAD if key == "payload" else TEMPLATE_STRING


def _child_path(path: str, key: str) -> str:
    if _PLAIN_KEY.fullmatch(key):
        return f"{path}.{key}" if path else key
    return f"{path}[{msgspec.json.encode(key[:64]).decode()}]"
