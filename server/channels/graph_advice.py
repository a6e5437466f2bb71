"""What the reply's headers say about the pace."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any

import msgspec

from server.channels.channel import Advice

_USAGE_HEADERS = ("x-app-usage", "x-page-usage", "x-business-use-case-usage")
_PERCENTAGES = ("call_count", "total_cputime", "total_time")
_LONGEST_WAIT = timedelta(days=1)  # the longest window of any of the platform's limits
_NONSENSE = 1e9


def advice_from(headers: Mapping[str, str]) -> Advice | None:
    """Reads headers by their names in lower case; what is malformed counts as absent. None where nothing is said."""
    usage = _usage(*[headers.get(name, "") for name in _USAGE_HEADERS])
    retry_after = _retry_after(headers["retry-after"]) if "retry-after" in headers else None
    if not retry_after:
        return usage
    return Advice(retry_after=retry_after, usage=usage.usage if usage else None)


@lru_cache(maxsize=1024)  # the values are small percentages: the same come again and again
def _usage(*headers: str) -> Advice | None:
    """What the usage headers alone say; their estimate of the wait is in whole minutes, so Retry-After goes first."""
    records = [record for header in headers for record in _records(header)]
    shares = [share for record in records for key in _PERCENTAGES if (share := _number(record.get(key))) is not None]
    minutes = [_wait(record.get("estimated_time_to_regain_access"), unit=timedelta(minutes=1)) for record in records]
    estimate = max((wait for wait in minutes if wait is not None), default=None)
    if not shares and not estimate:
        return None
    return Advice(retry_after=estimate, usage=max(shares) / 100 if shares else None)


def _records(header: str) -> Iterator[dict[str, Any]]:
    """The usage records of one header: itself, or per business a list of them."""
    try:
        value = msgspec.json.decode(header) if header else None
    except (ValueError, RecursionError):  # msgspec's errors are ValueErrors
        return
    if not isinstance(value, dict):
        return
    yield value
    for records in value.values():
        if isinstance(records, list):
            yield from (record for record in records if isinstance(record, dict))


def _retry_after(header: str) -> timedelta | None:
    """Seconds, fractions too, or an HTTP date."""
    try:
        return _wait(float(header), unit=timedelta(seconds=1))
    except ValueError:
        pass
    try:
        moment = parsedate_to_datetime(header)
    except (ValueError, OverflowError):
        return None
    left = moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC)
    return _wait(left.total_seconds(), unit=timedelta(seconds=1))


def _wait(count: object, *, unit: timedelta) -> timedelta | None:
    """A wait of more than nothing, and at most a day; 0 means that the platform does not know."""
    number = _number(count)
    return min(number, _LONGEST_WAIT / unit) * unit if number else None


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value < _NONSENSE else None  # NaN neither
