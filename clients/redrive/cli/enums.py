"""Enum values as users write and read them: RATE_LIMIT or rate-limit for ERROR_TYPE_RATE_LIMIT."""

from collections.abc import Callable
from typing import Any, Protocol

import typer


class ProtoEnum(Protocol):
    """The interface of a generated protobuf enum."""

    def Name(self, number: Any) -> str: ...  # noqa: N802 - protobuf's name
    def keys(self) -> list[str]: ...


def enum_name(kind: ProtoEnum, value: int) -> str:
    """Return the value's name without its prefix; the number if this version does not know the value."""
    try:
        return kind.Name(value).removeprefix(_prefix(kind))
    except ValueError:
        return str(value)


def enum_option(kind: ProtoEnum, *names: str, text: str) -> Any:
    """Return a typer option that accepts these names in any case, and gives the full name of the value."""
    return typer.Option(*names, parser=_parser(kind), metavar="|".join(_names(kind)).lower(), help=text)


def _parser(kind: ProtoEnum) -> Callable[[str], str]:
    def parse(given: str) -> str:
        name = given.upper().replace("-", "_").removeprefix(_prefix(kind))
        if name not in _names(kind):
            raise typer.BadParameter(f"{given!r} is not one of {', '.join(_names(kind)).lower()}.")
        return _prefix(kind) + name

    return parse


def _names(kind: ProtoEnum) -> list[str]:
    return [name.removeprefix(_prefix(kind)) for name in kind.keys() if not name.endswith("_UNSPECIFIED")]  # noqa: SIM118


def _prefix(kind: ProtoEnum) -> str:
    return kind.Name(0).removesuffix("UNSPECIFIED")
