"""Command-line options for times and durations."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import typer

from redrive.cli.local_time import ResolvedTime, resolve_local_time

_SPAN = re.compile(r"(\d+(?:\.\d+)?)([smhd]?)")
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3_600, "d": 86_400}
_LONGEST = 10_000 * 86_400  # seconds


def time_option(*names: str, text: str) -> Any:
    """Return a typer option for a point in time."""
    return typer.Option(*names, parser=_TimeParser(names[0]), metavar="TIME", show_default=False, help=text)


def duration_option(*names: str, text: str) -> Any:
    """Return a typer option for a duration."""
    return typer.Option(*names, parser=_parse_duration, metavar="30s|15m|2h|1d", show_default=False, help=text)


class _TimeParser:
    """Parses ISO 8601. A time without an offset is in this machine's time zone (TZ); ambiguous times get a note."""

    def __init__(self, option: str) -> None:
        self._option = option
        self.__name__ = "TIME"  # typer reads the parser's name

    def __call__(self, given: str) -> datetime:
        try:
            time = datetime.fromisoformat(given)
            local = ResolvedTime(time) if time.tzinfo else resolve_local_time(time)
            local.moment.astimezone(UTC)
        except (ValueError, OverflowError, OSError) as error:
            raise typer.BadParameter(
                f"{given!r} is not a time like 2026-12-24T18:00 or 2026-12-24T18:00+01:00."
            ) from error
        if note := self._note(given, local):
            typer.echo(note, err=True)
        return local.moment

    def _note(self, given: str, local: ResolvedTime) -> str:
        taken = local.moment.isoformat()
        if local.is_skipped:
            return f"Note: {self._option} {given} does not exist here: the clock skips it. It is taken as {taken}."
        if local.second is not None:
            other = local.second.isoformat()
            return (
                f"Note: {self._option} {given} occurs twice here. The first is taken, {taken}; the second is {other}."
            )
        return ""


def _parse_duration(given: str) -> timedelta:
    """Parse a number of seconds, or a number with a unit."""
    match = _SPAN.fullmatch(given.strip().lower())
    seconds = float(match[1]) * _SECONDS[match[2]] if match else _LONGEST + 1
    if seconds > _LONGEST:
        raise typer.BadParameter(f"{given!r} is not a duration like 30s, 15m, 2h or 1d.")
    return timedelta(seconds=seconds)
