"""Times and spans as people write them on a command line."""

import re
from datetime import datetime, timedelta
from typing import Any

import typer

_SPAN = re.compile(r"(\d+(?:\.\d+)?)([smhd]?)")
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3_600, "d": 86_400}
_LONGEST = 10_000 * 86_400  # seconds


def time_option(*names: str, text: str) -> Any:
    """A typer option that takes a point in time."""
    return typer.Option(*names, parser=_time, metavar="TIME", show_default=False, help=text)


def span_option(*names: str, text: str) -> Any:
    """A typer option that takes a span of time."""
    return typer.Option(*names, parser=_span, metavar="30s|15m|2h|1d", show_default=False, help=text)


def _time(given: str) -> datetime:
    """ISO 8601; without an offset it is the time where the reader is."""
    try:
        return datetime.fromisoformat(given).astimezone()
    except (ValueError, OverflowError) as error:
        raise typer.BadParameter(f"{given!r} is no time like 2026-12-24T18:00 or 2026-12-24T18:00+01:00.") from error


def _span(given: str) -> timedelta:
    """A number of seconds, or one with its unit."""
    match = _SPAN.fullmatch(given.strip().lower())
    seconds = float(match[1]) * _SECONDS[match[2]] if match else _LONGEST + 1
    if seconds > _LONGEST:
        raise typer.BadParameter(f"{given!r} is no span like 30s, 15m, 2h or 1d.")
    return timedelta(seconds=seconds)
