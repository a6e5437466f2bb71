"""Every string of a content that variables are filled in in, and what one recipient gets."""

import re
from collections.abc import Iterator

from google.protobuf.struct_pb2 import Value

from redrive.cli.message_text import filled_address, filled_in
from redrive.v1.content_pb2 import Content, Recipient

_ADDRESS = re.compile(r"(?i)(?:.*[._])?urls?(?:\[\d+\])*")


def strings_of(content: Content) -> dict[str, str]:
    """Return the strings that are not empty, by the paths of their fields."""
    strings = {"text": content.text, "attachment.url": content.attachment.url}
    strings |= _strings_in("attachment.template", Value(struct_value=content.attachment.template))
    for index, reply in enumerate(content.quick_replies):
        strings |= {f"quick_replies[{index}].title": reply.title, f"quick_replies[{index}].payload": reply.payload}
    return {path: text for path, text in strings.items() if text}


def preview(content: Content, recipient: Recipient) -> Iterator[str]:
    """Yield what one recipient gets: the text, and then each other string with the path of its field."""
    yield f"The {'text' if content.text else 'content'} for {recipient.id}:"
    for path, text in strings_of(content).items():
        filled = (filled_address if _ADDRESS.fullmatch(path) else filled_in)(text, recipient)
        yield filled if path == "text" else f"{path}: {filled}"


def _strings_in(path: str, value: Value) -> dict[str, str]:
    strings = {path: value.string_value}
    for name, inner in value.struct_value.fields.items():
        strings |= _strings_in(f"{path}.{name}", inner)
    for index, inner in enumerate(value.list_value.values):
        strings |= _strings_in(f"{path}[{index}]", inner)
    return strings
