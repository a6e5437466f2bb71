"""The sandbox's answer to one request or batch part."""

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
from server.sandbox.fault_book import PASSES, FaultDecision
from server.sandbox.graph_error import GraphError
from server.sandbox.record import Incoming

JSON = "application/json; charset=UTF-8"
_HTML = "text/html; charset=utf-8"
_GARBAGE = b'{"recipient_id":"'
_BUSINESS_ID = "100000000000001"


def usage_headers(percent: int = 1, minutes_to_regain_access: int = 0) -> Mapping[str, str]:
    """Return the platform's three usage headers; by default far from every limit."""
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


USUAL_USAGE = usage_headers()  # computed once, because almost every answer has them


class ReplyKind(Enum):
    """Whether and how the sandbox replies."""

    REPLY = auto()
    NULL_PART = auto()
    SILENCE = auto()
    RESET = auto()


class Answer(msgspec.Struct, frozen=True, gc=False):
    """A reply, and the name of its outcome in the record; or no reply, as a fault ordered."""

    outcome: str
    status: int = 200
    body: bytes = b""
    content_type: str = JSON
    limits: Mapping[str, str] = USUAL_USAGE  # the usage headers, and Retry-After
    kind: ReplyKind = ReplyKind.REPLY
    whole_batch: bool = False
    delay_seconds: float = 0.0


class _Taken(msgspec.Struct, frozen=True, gc=False):
    recipient_id: str
    message_id: str


_encoder = msgspec.json.Encoder()


def accepted(recipient: str, message_id: str, decision: FaultDecision = PASSES) -> Answer:
    """Return the answer to an accepted message."""
    body = _encoder.encode(_Taken(recipient, message_id))
    if decision is PASSES:
        return Answer("accepted", 200, body)
    return Answer("accepted", 200, body, limits=_limits(decision), delay_seconds=decision.delay_seconds)


def checked(node_id: str, decision: FaultDecision) -> Answer:
    """Return the answer to a token check: the id of the page or user."""
    body = _encoder.encode({"id": node_id})
    return Answer("checked", 200, body, limits=_limits(decision), delay_seconds=decision.delay_seconds)


def refused(error: GraphError, decision: FaultDecision = PASSES) -> Answer:
    """Return the answer to a wrong request, or to one that a fault refuses."""
    limits, delay = _limits(decision), decision.delay_seconds
    return Answer(error.outcome, error.http_status, error.envelope(), limits=limits, delay_seconds=delay)


def by_fault(decision: FaultDecision, incoming: Incoming) -> Answer | None:
    """Return the answer that an ending effect gives; None if the request passes."""
    match decision.effect:
        case None:
            return None
        case ErrorAnswer() | RateLimit() | TokenExpired() | UserToken() as effect:
            return refused(effect.error().about(page=incoming.page, recipient=incoming.recipient or ""), decision)
        case Status() | Garbage() | Empty() as effect:
            answer = _unreadable(effect)
        case Timeout():
            answer = Answer("timeout", kind=ReplyKind.SILENCE)
        case Reset():
            answer = Answer("reset", kind=ReplyKind.RESET)
        case NullPart():
            answer = Answer("null_part", kind=ReplyKind.NULL_PART)
    return msgspec.structs.replace(answer, delay_seconds=decision.delay_seconds)


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


def _limits(decision: FaultDecision) -> Mapping[str, str]:
    limits = _usual_limits(decision)
    if not decision.headers:
        return limits
    overridden = {name.lower() for name in decision.headers}
    return {name: value for name, value in limits.items() if name.lower() not in overridden} | dict(decision.headers)


def _usual_limits(decision: FaultDecision) -> Mapping[str, str]:
    if decision.retry_after is not None:
        minutes = ceil(decision.retry_after / 60)
        return {**usage_headers(100, minutes), "Retry-After": str(decision.retry_after)}
    if decision.usage_percent is not None:
        return usage_headers(decision.usage_percent)
    return USUAL_USAGE
