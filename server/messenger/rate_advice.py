"""Read what a reply's headers say about the pace.

`X-Business-Use-Case-Usage` lists objects (pages, businesses, ad accounts), each with entries of several products. Only
entries of this channel's products count: a limit of advertising says nothing about messages.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any, NamedTuple

from server.messenger.channel import Advice

_BUSINESS_USAGE = "x-business-use-case-usage"
_OWN_TYPES = ("messenger", "pages")  # a tuple: a type of any shape can be compared with it
_PERCENTAGES = ("call_count", "total_cputime", "total_time")
_LONGEST_WAIT = timedelta(days=1)  # the longest window of any of the platform's limits
_NONSENSE = 1e9
_MAX_SHOWN = 100  # characters of a header's words
_NO_WAIT = timedelta()


class OwnObjects:
    """The objects of `X-Business-Use-Case-Usage` that are one page's own.

    These are the page itself, and the object that was last listed alone for it: usually the business that owns it.
    """

    def __init__(self, page_id: str = "") -> None:
        self._page_id = page_id
        self._business_id = ""

    def ids(self, header: str) -> tuple[str, str]:
        """Return the ids of the page's own objects, after taking note of an object that this header lists alone."""
        alone = _listed_alone(header)
        if alone not in ("", self._page_id):
            self._business_id = alone
        return self._page_id, self._business_id


class _Usage(NamedTuple):
    """One record: the share of a limit that is used, the wait that it asks for, and the words for that."""

    share: float | None
    wait: timedelta | None
    words: str


class _Entry(NamedTuple):
    object_id: str
    usage: _Usage


def advice_from(headers: Mapping[str, str], own: OwnObjects | None = None) -> Advice | None:
    """Read headers by their names in lower case; malformed ones count as absent. None if they say nothing."""
    business = headers.get(_BUSINESS_USAGE, "")
    own_ids = (own or OwnObjects()).ids(business)
    usage = _usage(headers.get("x-app-usage", ""), headers.get("x-page-usage", ""), business, own_ids)
    retry_after = _retry_after(headers["retry-after"]) if "retry-after" in headers else None
    if not retry_after:
        return usage
    asked_by = f"Retry-After: {_shown(headers['retry-after'])}"
    return Advice(retry_after=retry_after, asked_by=asked_by, usage=usage.usage if usage else None)


def merged(one: Advice | None, other: Advice | None) -> Advice | None:
    """Return the longer wait and the higher usage of two."""
    if one is None or other is None:
        return one or other
    longer = max(one, other, key=lambda advice: advice.retry_after or _NO_WAIT)
    shares = [advice.usage for advice in (one, other) if advice.usage is not None]
    return Advice(retry_after=longer.retry_after, asked_by=longer.asked_by, usage=max(shares, default=None))


@lru_cache(maxsize=1024)  # the values are small percentages: the same come again and again
def _usage(app: str, page: str, business: str, own_ids: tuple[str, str]) -> Advice | None:
    """Return what the usage headers say; their estimates are whole minutes, so Retry-After goes first."""
    usages = [*_plain(app, "X-App-Usage"), *_plain(page, "X-Page-Usage"), *_of_own(_entries(business), own_ids)]
    shares = [usage.share for usage in usages if usage.share is not None]
    longest = max(usages, key=lambda usage: usage.wait or _NO_WAIT, default=None)
    if longest is None or (longest.wait is None and not shares):
        return None
    return Advice(retry_after=longest.wait, asked_by=longest.words, usage=max(shares) / 100 if shares else None)


def _plain(header: str, name: str) -> Iterator[_Usage]:
    """Yield the one record of a header that is about the app or the page alone."""
    value = _json(header)
    if isinstance(value, dict):
        yield _usage_of(value, name)


def _of_own(entries: Sequence[_Entry], own_ids: tuple[str, str]) -> Sequence[_Usage]:
    """Return the usage of the page's own objects; of all objects if none of them is known to be its own."""
    own = [entry.usage for entry in entries if entry.object_id in own_ids]
    return own or [entry.usage for entry in entries]


@lru_cache(maxsize=1024)
def _listed_alone(header: str) -> str:
    """Return the id of the only object with entries of this channel's products; empty if there are several or none."""
    listed = {entry.object_id for entry in _entries(header)}
    return listed.pop() if len(listed) == 1 else ""


def _entries(header: str) -> Sequence[_Entry]:
    """Return the entries of this channel's products; anything of an unknown shape is left out."""
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
    words = "" if wait is None else f"{source}: access again in {minutes:,} minutes"
    return _Usage(max(shares, default=None), wait, words)


def _shown(text: str) -> str:
    """Return what can be stored and printed of a text."""
    return "".join(filter(str.isprintable, text.strip()[:_MAX_SHOWN]))


def _json(header: str) -> Any:
    """Return the value; None for an absent header, and for one that is not JSON or names a key twice."""
    try:
        return json.loads(header, object_pairs_hook=_unambiguous, parse_constant=_refuse) if header else None
    except (ValueError, RecursionError):
        return None


def _unambiguous(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key comes twice")
    return found


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


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
