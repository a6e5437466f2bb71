"""What the sandbox gives back for one request or batch part."""

from collections.abc import Mapping
from enum import Enum, auto
from math import ceil
from types import MappingProxyType

import msgspec

from server.sandbox.effect import (
    Empty,
    ErrorAnswer,
    Garbage,
    NullPart,
    RateLimit,
    Reset,
    Status,
    Timeout,
    TokenExpired,
    UserToken,
)
from server.sandbox.fault_book import PASSES, Verdict
from server.sandbox.graph_error import GraphError
from server.sandbox.record import Incoming

# The headers in which the platform says how much of its limits is used up.


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


JSON = "application/json; charset=UTF-8"
_HTML = "text/html; charset=utf-8"
_GARBAGE = b'{"recipient_id":"'
CALM = usage_headers()  # of nearly every answer, so made once


class Manner(Enum):
    """How an answer is given."""

    REPLY = auto()
    NULL_PART = auto()
    SILENCE = auto()
    RESET = auto()


class Answer(msgspec.Struct, frozen=True, gc=False):
    """A reply with its outcome's name for the record; or none, in the manner that was ordered."""

    outcome: str
    status: int = 200
    body: bytes = b""
    content_type: str = JSON
    limits: Mapping[str, str] = CALM  # the usage headers, and Retry-After
    manner: Manner = Manner.REPLY
    whole_batch: bool = False
    delay_seconds: float = 0.0


class _Taken(msgspec.Struct, frozen=True, gc=False):
    recipient_id: str
    message_id: str


_encoder = msgspec.json.Encoder()


def taken(recipient: str, message_id: str, verdict: Verdict = PASSES) -> Answer:
    """The answer to a message that was accepted."""
    body = _encoder.encode(_Taken(recipient, message_id))
    if verdict is PASSES:
        return Answer("accepted", 200, body)
    return Answer("accepted", 200, body, limits=_limits(verdict), delay_seconds=verdict.delay_seconds)


def checked(node_id: str, verdict: Verdict) -> Answer:
    """The answer to a token check: the id of the page or user that was asked for."""
    body = _encoder.encode({"id": node_id})
    return Answer("checked", 200, body, limits=_limits(verdict), delay_seconds=verdict.delay_seconds)


def refused(error: GraphError, verdict: Verdict = PASSES) -> Answer:
    """The answer to a request that is wrong, or for which an error was ordered."""
    limits, delay = _limits(verdict), verdict.delay_seconds
    return Answer(error.outcome, error.http_status, error.envelope(), limits=limits, delay_seconds=delay)


def ordered(verdict: Verdict, incoming: Incoming) -> Answer | None:
    """The answer that an ending effect gives; None when the request passes."""
    match verdict.effect:
        case None:
            return None
        case ErrorAnswer() | RateLimit() | TokenExpired() | UserToken() as effect:
            return refused(effect.error().about(page=incoming.page, recipient=incoming.recipient or ""), verdict)
        case Status() | Garbage() | Empty() as effect:
            answer = _unreadable(effect)
        case Timeout():
            answer = Answer("timeout", manner=Manner.SILENCE)
        case Reset():
            answer = Answer("reset", manner=Manner.RESET)
        case NullPart():
            answer = Answer("null_part", manner=Manner.NULL_PART)
    return msgspec.structs.replace(answer, delay_seconds=verdict.delay_seconds)


def _unreadable(effect: Status | Garbage | Empty) -> Answer:
    match effect:
        case Status(http_status=status, whole_batch=whole):
            body = (
                f"<html><head><title>{status}</title></head><body><h1>Sorry, something went wrong.</h1></body></html>"
            )
            return Answer(f"status:{status}", status, body.encode(), _HTML, {}, whole_batch=whole)
        case Garbage(whole_batch=whole):
            return Answer("garbage", body=_GARBAGE, whole_batch=whole)
        case Empty(whole_batch=whole):
            return Answer("empty", whole_batch=whole)


def _limits(verdict: Verdict) -> Mapping[str, str]:
    limits = _usual_limits(verdict)
    if not verdict.headers:
        return limits
    ordered = {name.lower() for name in verdict.headers}
    return {name: value for name, value in limits.items() if name.lower() not in ordered} | dict(verdict.headers)


def _usual_limits(verdict: Verdict) -> Mapping[str, str]:
    if verdict.retry_after is not None:
        minutes = ceil(verdict.retry_after / 60)
        return {**usage_headers(100, minutes), "Retry-After": str(verdict.retry_after)}
    if verdict.usage_percent is not None:
        return usage_headers(verdict.usage_percent)
    return CALM
