"""Numbers and spans as people read them."""

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

_SPANS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def number(value: int) -> str:
    """12,345."""
    return f"{value:,}"


def counted(value: int, one: str, many: str = "") -> str:
    """1 recipient, 2 recipients; `many` where it is not one with an s."""
    return f"{value:,} {one if value == 1 else many or one + 's'}"


def share(part: int, whole: int) -> str:
    """A percentage that is 100 only when all of it is there, and 0 only when none is."""
    if whole == 0:
        return "0 %"
    percent = min(99.9, max(0.1, 100 * part / whole)) if 0 < part < whole else 100 * part / whole
    return f"{percent:.1f} %" if 0 < part < whole and (percent < 1 or percent > 99) else f"{percent:.0f} %"


def rate(per_second: float) -> str:
    """12 a second, or 0.5 a second."""
    return f"{per_second:,.0f} a second" if per_second >= 10 else f"{per_second:.1f} a second"


def span(seconds: float) -> str:
    """The two biggest units of a span: 1 h 5 min."""
    left = max(0, round(seconds))
    parts: list[str] = []
    for size, unit in _SPANS:
        count, left = divmod(left, size)
        if count or (parts and len(parts) < 2):
            parts.append(f"{count} {unit}")
    return " ".join([part for part in parts[:2] if not part.startswith("0 ")]) or "0 s"


def duration(value: Duration) -> str:
    """A span of the contract."""
    return span(value.ToTimedelta().total_seconds())


def moment(value: Timestamp) -> str:
    """A time for the browser, which shows it in the viewer's zone; empty for one that is absent."""
    return value.ToJsonString() if value.seconds or value.nanos else ""
