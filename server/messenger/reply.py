"""Reads the outcome of each message from replies to single requests and Graph batches (protocol rule 5)."""

import re
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec

from domain.classification import PlatformError, classify, classify_no_answer, classify_unreadable_answer
from domain.outcome import Outcome, Sent
from domain.visible_text import one_line
from server.messenger.channel import RateAdvice, SendResult
from server.messenger.http import HttpResponse
from server.messenger.rate_advice import OwnObjects, merge_advice, read_rate_advice

_MAX_ID = 1_000  # characters of a message's id; the platform's ids have about 160
_INT32 = range(-(2**31), 2**31)  # an error code fits into a database column and a wire field


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """A response with its parsed JSON; `body` is None if it is not JSON."""

    status: int
    body: Any
    advice: RateAdvice | None = None

    @property
    def is_success(self) -> bool:
        """Return whether status and body say that the request succeeded."""
        return 200 <= self.status < 300 and isinstance(self.body, dict) and self.error() is None

    def error(self) -> PlatformError | None:
        """Return the error in any of the platform's forms: an envelope, a plain text, or flat with `error_code`."""
        if not isinstance(self.body, dict):
            return None
        match self.body.get("error"):
            case dict() as envelope:
                return self._enveloped(envelope)
            case str() as text if text:
                return PlatformError(message=text, http_status=self.status)
        code = as_int32(self.body.get("error_code"))
        text = as_text(self.body.get("error_description")) or as_text(self.body.get("error_msg"))
        return None if code is None else PlatformError(code=code, message=text, http_status=self.status)

    def failure(self) -> Outcome:
        """Return the outcome of a reply that is not the expected success."""
        error = self.error()
        if error is None:
            return classify_unreadable_answer(self.status)
        return with_user_message(classify(error), user_message(self.body), has_message=bool(error.message))

    def outcome(self) -> Outcome:
        """Return the outcome of the one message that was sent; a success has to name the message's id."""
        message_id = _as_id(self.body.get("message_id")) if self.is_success else ""
        return Sent(message_id) if message_id else self.failure()

    def _enveloped(self, envelope: Mapping[str, Any]) -> PlatformError | None:
        code, type_name, message = (
            as_int32(envelope.get("code")),
            as_text(envelope.get("type")),
            as_text(envelope.get("message")),
        )
        if code is None and not type_name and not message:
            return None
        is_transient = envelope.get("is_transient")
        return PlatformError(
            code=code,
            subcode=as_int32(envelope.get("error_subcode")) or 0,
            type_name=type_name,
            message=message,
            is_transient=is_transient if isinstance(is_transient, bool) else None,
            error_data=as_text(envelope.get("error_data")),
            http_status=self.status,
        )


class _Accepted(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """A success in its usual form; any other form is read by the slower `Reply`."""

    message_id: str
    recipient_id: str = ""
    attachment_id: str = ""


_accepted = msgspec.json.Decoder(_Accepted)


def read_reply(response: HttpResponse, own: OwnObjects | None = None) -> Reply:
    """Parse a response."""
    return Reply(
        status=response.status, body=parse_json(response.content), advice=read_rate_advice(response.headers, own)
    )


def read_send_result(response: HttpResponse, own: OwnObjects | None = None) -> SendResult:
    """Return the result of sending one message."""
    return SendResult(
        outcome=read_outcome(response.status, response.content), advice=read_rate_advice(response.headers, own)
    )


def read_outcome(status: int, body: bytes | str) -> Outcome:
    """Return the outcome of one message by status and body."""
    message_id = _accepted_id(body) if 200 <= status < 300 else ""
    return Sent(message_id) if message_id else Reply(status=status, body=parse_json(body)).outcome()


def user_message(body: Any) -> str:
    """Return an error's text for users, `error_user_title: error_user_msg`; empty if it has none."""
    envelope = body.get("error") if isinstance(body, dict) else None
    if not isinstance(envelope, dict):
        return ""
    texts = (as_text(envelope.get(name)).strip() for name in ("error_user_title", "error_user_msg"))
    return ": ".join(filter(None, texts))


def with_user_message(outcome: Outcome, reason: str, *, has_message: bool) -> Outcome:
    """Return the outcome with the text for users added to the error message, unless the message contains it."""
    if isinstance(outcome, Sent) or not reason or reason in outcome.fault.message:
        return outcome
    message = f"{outcome.fault.message} ({reason})" if has_message else reason
    return msgspec.structs.replace(outcome, fault=msgspec.structs.replace(outcome.fault, message=message))


def parse_json(data: bytes | str) -> Any:
    """Return the JSON value; None for invalid JSON."""
    try:
        return msgspec.json.decode(data)
    except (ValueError, RecursionError):  # msgspec's errors are ValueErrors
        return None


def as_int32(value: object) -> int | None:
    """Return an integer of 32 bits, also from a text; None for anything else."""
    if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,10}", value):
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value in _INT32 else None


def as_text(value: object) -> str:
    """Return a text without NUL characters, which PostgreSQL cannot store; empty for anything else."""
    return value.replace("\0", "") if isinstance(value, str) else ""


def _as_id(value: object) -> str:
    """Return a message's id in a form that can be recorded and shown."""
    return one_line(as_text(value))[:_MAX_ID]


def _accepted_id(body: bytes | str) -> str:
    try:
        return _as_id(_accepted.decode(body).message_id)
    except (ValueError, RecursionError):
        return ""


class _Header(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    name: str
    value: str


class _Part(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """A part of a Graph batch in its usual form; a reply with any other part is read by the slower way."""

    code: Annotated[int, msgspec.Meta(ge=-(2**31), lt=2**31)]
    body: str
    headers: list[_Header] | None = None


_usual = msgspec.json.Decoder(list[_Part | None])


def read_batch_results(response: HttpResponse, *, size: int, own: OwnObjects | None = None) -> list[SendResult]:
    """Return the results of a Graph batch of so many messages, in their order.

    A reply with another number of parts cannot be assigned to the messages, so it counts as unreadable.
    """
    try:
        parts = _usual.decode(response.content)
    except (ValueError, RecursionError):  # msgspec's errors are ValueErrors
        return read_any_batch_results(response, size=size, own=own)
    if len(parts) != size:
        return read_any_batch_results(response, size=size, own=own)
    advice = read_rate_advice(response.headers, own)
    return [_usual_part(part, advice, own) for part in parts]


def read_any_batch_results(response: HttpResponse, *, size: int, own: OwnObjects | None = None) -> list[SendResult]:
    """Return the same for a reply of any form; three times slower."""
    reply = read_reply(response, own)
    if isinstance(reply.body, list) and len(reply.body) == size:
        return [_any_part(part, reply.advice, own) for part in reply.body]
    return [SendResult(outcome=reply.failure(), advice=reply.advice)] * size


def _usual_part(part: _Part | None, advice: RateAdvice | None, own: OwnObjects | None) -> SendResult:
    if part is None:
        return _unfinished(advice)
    headers = {header.name.lower(): header.value for header in part.headers or ()}
    return SendResult(
        outcome=read_outcome(part.code, part.body), advice=merge_advice(read_rate_advice(headers, own), advice)
    )


def _any_part(part: object, advice: RateAdvice | None, own: OwnObjects | None) -> SendResult:
    if not isinstance(part, dict):
        return _unfinished(advice)
    body = part.get("body")
    body = parse_json(body) if isinstance(body, str) else body
    reply = Reply(status=as_int32(part.get("code")) or 0, body=body)
    of_part = read_rate_advice(_headers(part.get("headers")), own)
    return SendResult(outcome=reply.outcome(), advice=merge_advice(of_part, advice))


def _unfinished(advice: RateAdvice | None) -> SendResult:
    return SendResult(outcome=classify_no_answer("the platform did not finish this part of the batch"), advice=advice)


def _headers(headers: object) -> dict[str, str]:
    listed = [header for header in headers if isinstance(header, dict)] if isinstance(headers, list) else []
    return {as_text(header.get("name")).lower(): as_text(header.get("value")) for header in listed}
