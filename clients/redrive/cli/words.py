"""Enum values as people write and read them: RATE_LIMIT, or rate-limit, for ERROR_TYPE_RATE_LIMIT."""

from collections.abc import Callable
from typing import Any, Protocol

import typer


class EnumKind(Protocol):
    """A generated enum."""

    def Name(self, number: Any) -> str: ...  # noqa: N802 - protobuf's own name
    def keys(self) -> list[str]: ...


def word(kind: EnumKind, value: int) -> str:
    """The value's name without its prefix; the number for a value that this version does not know."""
    try:
        return kind.Name(value).removeprefix(_prefix(kind))
    except ValueError:
        return str(value)


def enum_option(kind: EnumKind, *names: str, text: str) -> Any:
    """A typer option that takes such words, in any case, and gives the value's full name."""
    return typer.Option(*names, parser=_parser(kind), metavar="|".join(_words(kind)).lower(), help=text)


def _parser(kind: EnumKind) -> Callable[[str], str]:
    def parse(given: str) -> str:
        name = given.upper().replace("-", "_").removeprefix(_prefix(kind))
        if name not in _words(kind):
            raise typer.BadParameter(f"{given!r} is none of {', '.join(_words(kind)).lower()}.")
        return _prefix(kind) + name

    return parse


def _words(kind: EnumKind) -> list[str]:
    return [name.removeprefix(_prefix(kind)) for name in kind.keys() if not name.endswith("_UNSPECIFIED")]  # noqa: SIM118


def _prefix(kind: EnumKind) -> str:
    return kind.Name(0).removesuffix("UNSPECIFIED")
