"""Timetables of the retry timer: a fixed interval, a cron expression in UTC, or none."""

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Protocol

from croniter import CroniterBadDateError, CroniterError, croniter

SHORTEST_INTERVAL = timedelta(seconds=0.1)
LONGEST_INTERVAL = timedelta(days=366)
OFF = "off"
FIELDS = ("minute", "hour", "day-of-month", "month", "day-of-week")
EXAMPLE = "*/15 * * * *"
_LARGEST_STEP = dict(zip(FIELDS, (59, 23, 31, 12, 7), strict=True))
_ALIASES = ("@hourly", "@daily", "@midnight", "@weekly", "@monthly", "@yearly", "@annually")
_RANDOM = re.compile(r"(?<![a-z])[rh](?![a-z])", re.IGNORECASE)
_STEP = re.compile(r"/([0-9]+)")
_SPAN = re.compile(
    r"(?:@every )?([0-9]{1,6}(?:\.[0-9]{1,6})?) ?(s|sec|seconds|m|min|minutes|h|hours|d|days)", re.IGNORECASE
)
_SECONDS = {"s": 1, "sec": 1, "seconds": 1, "m": 60, "min": 60, "minutes": 60, "h": 3_600, "hours": 3_600}
_SECONDS |= {"d": 86_400, "days": 86_400}
_PLAIN = re.compile(r"\*|[0-9]{1,2}")
_LIKELY_SECONDS = re.compile(r"(?:\*/)?[0-9]{1,2}(?:,[0-9]{1,2})*")
_SECONDS_FIELD = re.compile(r"[0-9*/,-]+")
_SOME_TIME = datetime(2026, 1, 1, tzinfo=UTC)


class Timetable(Protocol):
    """Computes the time of the next run."""

    def after(self, last: datetime) -> datetime | None:
        """Return the time of the run that follows one at `last`; None if there is none."""
        ...


class Every:
    """A fixed interval."""

    def __init__(self, interval: timedelta) -> None:
        self._interval = interval

    def after(self, last: datetime) -> datetime:
        """Return the time of the run that follows one at `last`."""
        return last + self._interval


class Cron:
    """A cron expression, read in UTC."""

    def __init__(self, expression: str) -> None:
        self._expression = expression

    def after(self, last: datetime) -> datetime:
        """Return the time of the run that follows one at `last`."""
        following: datetime = croniter(self._expression, last).get_next(datetime)
        return following


class Never:
    """No runs by a timetable: a scheduler of the operator calls RunScheduledRetries."""

    def after(self, last: datetime) -> None:
        """Return None: no run follows."""


def parse_timetable(text: str) -> Timetable:
    """Return the timetable for seconds, a cron expression or `off`.

    Raises ValueError for any other text, with a suggestion of what is probably meant.
    """
    if text == OFF:
        return Never()
    try:
        seconds = float(text)
    except ValueError:
        return _parse_cron(text)
    if not SHORTEST_INTERVAL.total_seconds() <= seconds <= LONGEST_INTERVAL.total_seconds():
        raise ValueError(f"{text!r} is no interval: it must be at least 0.1 seconds and at most a year")
    return Every(timedelta(seconds=seconds))


def _parse_cron(text: str) -> Cron:
    """Return the timetable for a cron expression of five fields, or for an alias such as @hourly.

    Raises ValueError, also for an expression that never falls due. croniter alone would accept six fields and read the
    sixth as seconds, but most people write seconds first: `0 */15 * * * *` would run every second for a minute.
    """
    fields = text.split()
    if not _is_alias(fields) and len(fields) != len(FIELDS):
        raise ValueError(f"{text!r} {_wrong_form(fields)}{_hint(fields)}")
    if problem := _problem(text):
        raise ValueError(f"{text!r} {problem}")
    return Cron(text)


def _problem(text: str) -> str:
    """Return what is wrong with an expression of five fields; empty if it is valid and falls due at some time."""
    for name, field in zip(FIELDS, text.split(), strict=False):
        if _RANDOM.search(field):
            return "has a field of R or H, whose meaning differs from process to process"
        if (step := _STEP.search(field)) and int(step[1]) > _LARGEST_STEP[name]:
            return f"has a step that is larger than the {name} field; give an interval in seconds instead"
    try:
        Cron(text).after(_SOME_TIME)
    except CroniterBadDateError:
        return "never falls due: there is no such day"
    except (CroniterError, ValueError, OverflowError):
        return "is not a valid cron expression"
    return ""


def _wrong_form(fields: Sequence[str]) -> str:
    if len(fields) in (len(FIELDS) + 1, len(FIELDS) + 2):
        return f"has {'six' if len(fields) == len(FIELDS) + 1 else 'seven'} fields, but a cron expression here has five"
    return "is neither seconds, nor off, nor a cron expression of five fields"


def _hint(fields: Sequence[str]) -> str:
    """Return the fields of a cron expression, and a suggestion or an example."""
    suggested = " or ".join(_suggestions(fields))
    return f": {' '.join(FIELDS)}; " + (f"do you mean {suggested}?" if suggested else f"as in {EXAMPLE!r}")


def _suggestions(fields: Sequence[str]) -> Sequence[str]:
    """Return seconds for a time span, or five of six or seven fields: those without seconds and year."""
    if span := _SPAN.fullmatch(" ".join(fields)):
        seconds = float(span[1]) * _SECONDS[span[2].lower()]
        return [repr(f"{seconds:.15g}")] if seconds else []
    if len(fields) <= len(FIELDS):
        return []
    readings = {five: where for five, where in _readings(fields) if not _problem(five)}
    if len(readings) == 1:
        return [repr(five) for five in readings]
    return [f"{five!r} ({where})" for five, where in readings.items()]


def _readings(fields: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield five of six fields, with where the seconds are.

    Most people write seconds first, croniter reads them last. Only the first is yielded if it is the only likely one.
    """
    first, last = fields[0], fields[len(FIELDS)]
    yield " ".join(fields[1 : len(FIELDS) + 1]).replace("?", "*"), "seconds first"
    is_first_clear = _PLAIN.fullmatch(first) and not _LIKELY_SECONDS.fullmatch(last)
    if not is_first_clear and _SECONDS_FIELD.fullmatch(last):
        yield " ".join(fields[: len(FIELDS)]).replace("?", "*"), "seconds last"


def _is_alias(fields: Sequence[str]) -> bool:
    return len(fields) == 1 and fields[0].lower() in _ALIASES
