"""The content of a message on the command line: a text, or a file with everything that a message can hold."""

from pathlib import Path
from typing import Annotated

import typer
from google.protobuf import json_format

from redrive.cli.exits import RefusedInput
from redrive.v1.content_pb2 import Content

TextOption = Annotated[
    str,
    typer.Option(
        "--text",
        show_default=False,
        help="May say {{name}}, or {{city}} for a column city of the CSV, with a default: {{name|friend}}.",
    ),
]
ContentFileOption = Annotated[
    Path | None,
    typer.Option(
        "--content-file",
        exists=True,
        dir_okay=False,
        metavar="FILE",
        help="Instead of --text: a Content as JSON, with attachment, quick_replies and all else that the contract has.",
    ),
]


def content_of(text: str, path: Path | None) -> Content | None:
    """Return the content that the options give; None when they give none.

    Raise BadParameter when both are given, RefusedInput for a file that holds no Content.
    """
    if text and path is not None:
        raise typer.BadParameter("Give --text or --content-file, not both.")
    if path is not None:
        return _read(path)
    return Content(text=text) if text else None


def _read(path: Path) -> Content:
    """Read a Content; the error names the field that is wrong, as protobuf's own does."""
    try:
        return json_format.Parse(path.read_text(encoding="utf-8"), Content())
    except (json_format.ParseError, UnicodeDecodeError) as error:
        raise RefusedInput(f"Nothing was sent. {path.name} holds no Content as JSON: {error}") from error
