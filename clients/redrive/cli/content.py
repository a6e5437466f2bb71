"""The content of a message on the command line: its options, its strings, and a preview for one recipient."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from google.protobuf import json_format
from google.protobuf.struct_pb2 import Value

from redrive.cli.exit_codes import InvalidInput
from redrive.texts.message_text import filled_address, filled_in
from redrive.v1.content_pb2 import Content, Recipient

TextOption = Annotated[
    str,
    typer.Option(
        "--text",
        show_default=False,
        help="The text; may use {{name}}, and {{city}} for a CSV column city; {{name|friend}} has a default.",
    ),
]
ContentFileOption = Annotated[
    Path | None,
    typer.Option(
        "--content-file",
        exists=True,
        dir_okay=False,
        metavar="FILE",
        help="Instead of --text: a Content as JSON, with attachment, quick_replies and the other fields.",
    ),
]


def content_from_options(text: str, path: Path | None) -> Content | None:
    """Return the content that the options give; None if they give none.

    Raises BadParameter if both are given, InvalidInput for a file that holds no Content.
    """
    if text and path is not None:
        raise typer.BadParameter("Give --text or --content-file, not both.")
    if path is not None:
        return _read(path)
    return Content(text=text) if text else None


def _read(path: Path) -> Content:
    """Read a Content from a JSON file; the error names the wrong field, as protobuf does."""
    try:
        return json_format.Parse(path.read_text(encoding="utf-8"), Content())
    except (json_format.ParseError, UnicodeDecodeError) as error:
        raise InvalidInput(f"Nothing was sent. {path.name} does not hold a Content as JSON: {error}") from error


_ADDRESS = re.compile(r"(?i)(?:.*[._])?urls?(?:\[\d+\])*")


def content_strings(content: Content) -> dict[str, str]:
    """Return all non-empty strings in which variables are filled in, by the paths of their fields."""
    strings = {"text": content.text, "attachment.url": content.attachment.url}
    strings |= _strings_in("attachment.template", Value(struct_value=content.attachment.template))
    for index, reply in enumerate(content.quick_replies):
        strings |= {f"quick_replies[{index}].title": reply.title, f"quick_replies[{index}].payload": reply.payload}
    return {path: text for path, text in strings.items() if text}


def preview(content: Content, recipient: Recipient) -> Iterator[str]:
    """Yield what one recipient gets: the text, then each other string with the path of its field."""
    yield f"The {'text' if content.text else 'content'} for {recipient.id}:"
    for path, text in content_strings(content).items():
        filled = (filled_address if _ADDRESS.fullmatch(path) else filled_in)(text, recipient)
        yield filled if path == "text" else f"{path}: {filled}"


def _strings_in(path: str, value: Value) -> dict[str, str]:
    strings = {path: value.string_value}
    for name, inner in value.struct_value.fields.items():
        strings |= _strings_in(f"{path}.{name}", inner)
    for index, inner in enumerate(value.list_value.values):
        strings |= _strings_in(f"{path}[{index}]", inner)
    return strings
