"""Formatting of numbers, durations and times for people."""

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

_SPANS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def format_number(value: int) -> str:
    """Return 12,345."""
    return f"{value:,}"


def format_count(value: int, one: str, many: str = "") -> str:
    """Return 1 recipient, 2 recipients; `many` is the plural if it is not `one` with an s."""
    return f"{value:,} {one if value == 1 else many or one + 's'}"


def format_share(part: int, whole: int) -> str:
    """Return a percentage; 100 % only if nothing is missing, 0 % only if there is none."""
    if whole == 0:
        return "0 %"
    percent = min(99.9, max(0.1, 100 * part / whole)) if 0 < part < whole else 100 * part / whole
    return f"{percent:.1f} %" if 0 < part < whole and (percent < 1 or percent > 99) else f"{percent:.0f} %"


def format_rate(per_second: float) -> str:
    """Return 12 a second, or 0.5 a second."""
    return f"{per_second:,.0f} per second" if per_second >= 10 else f"{per_second:.1f} per second"


def format_seconds(seconds: float) -> str:
    """Return the two largest units of a duration: 1 h 5 min."""
    left = max(0, round(seconds))
    parts: list[str] = []
    for size, unit in _SPANS:
        count, left = divmod(left, size)
        if count or (parts and len(parts) < 2):
            parts.append(f"{count} {unit}")
    return " ".join([part for part in parts[:2] if not part.startswith("0 ")]) or "0 s"


def format_duration(value: Duration) -> str:
    """Return the two largest units of a Duration."""
    return format_seconds(value.ToTimedelta().total_seconds())


def iso_time(value: Timestamp) -> str:
    """Return RFC 3339 text, which the browser displays in the viewer's time zone; empty if the time is not set."""
    return value.ToJsonString() if value.seconds or value.nanos else ""
