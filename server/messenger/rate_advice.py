"""Reads the platform's rate headers: Retry-After and the usage headers.

`X-Business-Use-Case-Usage` lists objects (pages, businesses, ad accounts), each with entries of several products. Only
entries of messaging products count: a limit on advertising says nothing about messages.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any, NamedTuple

from server.messenger.channel import RateAdvice

_BUSINESS_USAGE = "x-business-use-case-usage"
_OWN_TYPES = ("messenger", "pages")  # a tuple, because an unhashable type can be compared with it
_PERCENTAGES = ("call_count", "total_cputime", "total_time")
_LONGEST_WAIT = timedelta(days=1)  # the longest window of any of the platform's limits
_MAX_NUMBER = 1e9  # a larger number in a header counts as absent
_MAX_SHOWN = 100  # characters of a header that are quoted
_NO_WAIT = timedelta()


class OwnObjects:
    """The objects of `X-Business-Use-Case-Usage` that belong to one page.

    These are the page itself, and the object that was last listed alone for it, usually the business that owns it.
    """

    def __init__(self, page_id: str = "") -> None:
        self._page_id = page_id
        self._business_id = ""

    def ids(self, header: str) -> tuple[str, str]:
        """Return the ids of the page's objects; remember an object that this header lists alone."""
        alone = _listed_alone(header)
        if alone not in ("", self._page_id):
            self._business_id = alone
        return self._page_id, self._business_id


class _Usage(NamedTuple):
    """One record: the share of a limit that is used (in percent), the wait that it requests, and a text for that."""

    share: float | None
    wait: timedelta | None
    text: str


class _Entry(NamedTuple):
    object_id: str
    usage: _Usage


def read_rate_advice(headers: Mapping[str, str], own: OwnObjects | None = None) -> RateAdvice | None:
    """Return what headers say about the rate; None if they say nothing.

    Header names are in lower case. Malformed headers count as absent.
    """
    business = headers.get(_BUSINESS_USAGE, "")
    own_ids = (own or OwnObjects()).ids(business)
    usage = _usage(headers.get("x-app-usage", ""), headers.get("x-page-usage", ""), business, own_ids)
    retry_after = _retry_after(headers["retry-after"]) if "retry-after" in headers else None
    if not retry_after:
        return usage
    requested_by = f"Retry-After: {_shown(headers['retry-after'])}"
    return RateAdvice(retry_after=retry_after, requested_by=requested_by, usage=usage.usage if usage else None)


def merge_advice(one: RateAdvice | None, other: RateAdvice | None) -> RateAdvice | None:
    """Return the longer wait and the higher usage of both."""
    if one is None or other is None:
        return one or other
    longer = max(one, other, key=lambda advice: advice.retry_after or _NO_WAIT)
    shares = [advice.usage for advice in (one, other) if advice.usage is not None]
    return RateAdvice(retry_after=longer.retry_after, requested_by=longer.requested_by, usage=max(shares, default=None))


@lru_cache(maxsize=1024)  # the values are small percentages, so they often repeat
def _usage(app: str, page: str, business: str, own_ids: tuple[str, str]) -> RateAdvice | None:
    """Return what the usage headers say; their estimates are whole minutes, so Retry-After takes precedence."""
    usages = [*_single(app, "X-App-Usage"), *_single(page, "X-Page-Usage"), *_of_own(_entries(business), own_ids)]
    shares = [usage.share for usage in usages if usage.share is not None]
    longest = max(usages, key=lambda usage: usage.wait or _NO_WAIT, default=None)
    if longest is None or (longest.wait is None and not shares):
        return None
    return RateAdvice(retry_after=longest.wait, requested_by=longest.text, usage=max(shares) / 100 if shares else None)


def _single(header: str, name: str) -> Iterator[_Usage]:
    """Yield the record of a header that holds only one, about the app or the page."""
    value = _json(header)
    if isinstance(value, dict):
        yield _usage_of(value, name)


def _of_own(entries: Sequence[_Entry], own_ids: tuple[str, str]) -> Sequence[_Usage]:
    """Return the usage of the page's objects; of all objects if none is known to belong to the page."""
    own = [entry.usage for entry in entries if entry.object_id in own_ids]
    return own or [entry.usage for entry in entries]


@lru_cache(maxsize=1024)
def _listed_alone(header: str) -> str:
    """Return the id of the only object with entries of messaging products; empty if there are several or none."""
    listed = {entry.object_id for entry in _entries(header)}
    return listed.pop() if len(listed) == 1 else ""


def _entries(header: str) -> Sequence[_Entry]:
    """Return the entries of messaging products; anything of an unknown shape is ignored."""
    objects = _json(header)
    if not isinstance(objects, dict):
        return ()
    return [
        _Entry(object_id, _usage_of(record, f"X-Business-Use-Case-Usage, {kind} of {_shown(object_id)}"))
        for object_id, records in objects.items()
        if isinstance(records, list)
        for record in records
        if isinstance(record, dict) and (kind := record.get("type")) in _OWN_TYPES
    ]


def _usage_of(record: Mapping[str, Any], source: str) -> _Usage:
    shares = [share for key in _PERCENTAGES if (share := _number(record.get(key))) is not None]
    minutes = record.get("estimated_time_to_regain_access")
    wait = _wait(minutes, unit=timedelta(minutes=1))
    text = "" if wait is None else f"{source}: access again in {minutes:,} minutes"
    return _Usage(max(shares, default=None), wait, text)


def _shown(text: str) -> str:
    """Return the printable characters of a text, at most _MAX_SHOWN."""
    return "".join(filter(str.isprintable, text.strip()[:_MAX_SHOWN]))


def _json(header: str) -> Any:
    """Return the JSON value; None for an absent header, for invalid JSON and for a duplicate key."""
    try:
        return json.loads(header, object_pairs_hook=_unambiguous, parse_constant=_refuse) if header else None
    except (ValueError, RecursionError):
        return None


def _unambiguous(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("duplicate key")
    return found


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _retry_after(header: str) -> timedelta | None:
    """Return the wait of a Retry-After header: seconds, also fractions, or an HTTP date."""
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
    """Return a wait of at most a day; None for 0, which means that the platform does not know."""
    number = _number(count)
    return min(number, _LONGEST_WAIT / unit) * unit if number else None


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value < _MAX_NUMBER else None  # NaN neither
