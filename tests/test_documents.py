"""Links, settings, commands and options named in the documents exist."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.core import TyperGroup

from redrive.cli.main import app
from server.main import cli
from server.settings import _OTHER_NAMES, Settings

ROOT = Path(__file__).parents[1]
_READMES = [ROOT / folder / "README.md" for folder in ("clients", "examples")]
DOCUMENTS = [*ROOT.glob("*.md"), *_READMES, *(ROOT / "docs").rglob("*.md")]
PROGRAMS = {"redrive": typer.main.get_command(app), "redrive-server": typer.main.get_command(cli)}

_LINK = re.compile(r"\]\((?!https?:)([^)#]*)(?:#([^)]+))?\)")
_HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
_VARIABLE = re.compile(r"\bREDRIVE_[A-Z_]*[A-Z]\b(?!_)")
# A program at the start of code or of a line of code, and its arguments up to the end of the command.
_COMMAND = re.compile(r"(?:`|^)(redrive(?:-server)?)((?: +[^\s`;|#)]+)+)", re.MULTILINE)


def _anchors(document: Path) -> set[str]:
    """Return the anchors of a document's headings."""
    headings = _HEADING.findall(document.read_text())
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_link_has_a_target(document: Path) -> None:
    links = [
        (document.parent / path if path else document, anchor) for path, anchor in _LINK.findall(document.read_text())
    ]

    assert [path for path, _ in links if not path.exists()] == []
    assert [anchor for path, anchor in links if anchor and anchor not in _anchors(path)] == []


def test_every_variable_is_a_setting() -> None:
    named = {name for document in DOCUMENTS for name in _VARIABLE.findall(document.read_text())}

    known = {f"REDRIVE_{name.upper()}" for name in Settings.model_fields} | _OTHER_NAMES

    assert named >= {"REDRIVE_LISTEN", "REDRIVE_TOKEN"}
    assert named - known - {"REDRIVE_JWT"} == set()  # REDRIVE_JWT_* means three settings


def _unknown_options(program: str, words: list[str]) -> Iterator[str]:
    """Yield the options in a command line that its program does not have."""
    command, line = PROGRAMS[program], " ".join((program, *words))
    known = {option for parameter in command.params for option in parameter.opts} | {"--help"}
    while isinstance(command, TyperGroup) and words and words[0] in command.commands:
        command = command.commands[words.pop(0)]
        known |= {option for parameter in command.params for option in parameter.opts}
    for word in words:
        option = word.strip("[].,:\"'").split("=")[0]
        if re.match("--?[a-z]", option) and option not in known:
            yield f"{line}: {option}"


def test_every_option_in_the_documents_exists() -> None:
    lines = [line for document in DOCUMENTS for line in _COMMAND.findall(document.read_text())]

    assert len(lines) > 50
    assert [wrong for program, words in lines for wrong in _unknown_options(program, words.split())] == []
