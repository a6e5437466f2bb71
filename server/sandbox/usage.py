"""The headers in which the platform says how much of its limits is used up."""

from collections.abc import Mapping
from types import MappingProxyType

import msgspec

_BUSINESS_ID = "100000000000001"


def usage_headers(percent: int = 1, minutes_to_regain_access: int = 0) -> Mapping[str, str]:
    """All three usage headers; by default they show a page that is nowhere near a limit."""
    calls = {"call_count": percent, "total_cputime": 1, "total_time": 1}
    business = {"type": "messenger", **calls, "estimated_time_to_regain_access": minutes_to_regain_access}
    headers = {
        "X-App-Usage": _json(calls),
        "X-Page-Usage": _json(calls),
        "X-Business-Use-Case-Usage": _json({_BUSINESS_ID: [business]}),
    }
    return MappingProxyType(headers)


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
