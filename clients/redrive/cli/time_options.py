"""Times and spans as people write them on a command line."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import typer

from redrive.cli.local_time import LocalTime, resolve

_SPAN = re.compile(r"(\d+(?:\.\d+)?)([smhd]?)")
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3_600, "d": 86_400}
_LONGEST = 10_000 * 86_400  # seconds


def time_option(*names: str, text: str) -> Any:
    """A typer option that takes a point in time."""
    return typer.Option(*names, parser=_Time(names[0]), metavar="TIME", show_default=False, help=text)


def span_option(*names: str, text: str) -> Any:
    """A typer option that takes a span of time."""
    return typer.Option(*names, parser=_span, metavar="30s|15m|2h|1d", show_default=False, help=text)


class _Time:
    """Reads ISO 8601; without an offset it is a time of this machine's zone (TZ), with a note where that is unclear."""

    def __init__(self, option: str) -> None:
        self._option = option
        self.__name__ = "TIME"  # typer asks for the name of a parser

    def __call__(self, given: str) -> datetime:
        try:
            time = datetime.fromisoformat(given)
            local = LocalTime(time) if time.tzinfo else resolve(time)
            local.moment.astimezone(UTC)
        except (ValueError, OverflowError, OSError) as error:
            raise typer.BadParameter(
                f"{given!r} is no time like 2026-12-24T18:00 or 2026-12-24T18:00+01:00."
            ) from error
        if note := self._note(given, local):
            typer.echo(note, err=True)
        return local.moment

    def _note(self, given: str, local: LocalTime) -> str:
        taken = local.moment.isoformat()
        if local.is_skipped:
            return f"Note: {self._option} {given} does not exist here, the clock skips it; taken as {taken}."
        if local.second is not None:
            other = local.second.isoformat()
            return f"Note: {self._option} {given} comes twice here; taken as the first, {taken}. The second is {other}."
        return ""


def _span(given: str) -> timedelta:
    """A number of seconds, or one with its unit."""
    match = _SPAN.fullmatch(given.strip().lower())
    seconds = float(match[1]) * _SECONDS[match[2]] if match else _LONGEST + 1
    if seconds > _LONGEST:
        raise typer.BadParameter(f"{given!r} is no span like 30s, 15m, 2h or 1d.")
    return timedelta(seconds=seconds)
